/** Submissions, results and the request table over the application (wire.md §3, §4, appendix C, §18). */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { loadPickle } from "../../api/unpickle.ts";
import { fromBase64 } from "../../api/pickle.ts";
import { operations } from "../../api/operations.ts";
import type { RequestPayload } from "../../api/requests.ts";
import { PICKLED_NONE } from "../../api/payload.ts";
import { API_VERSION, HEADERS, VERSION } from "../../api/wire.ts";
import { SkyError } from "../../core/errors.ts";
import { ENV_VARS, held, makeRig } from "./rig.ts";

Deno.test("appendix C: health, submit, stream, get", async () => {
  await using rig = await makeRig({
    works: {
      "sky.check": (_body, ctx) => {
        ctx.log.line("hello");
        return Promise.resolve({ default: { Kubernetes: ["compute"] } });
      },
    },
  });
  const health = await rig.app("/api/health");
  assertEquals([health.status, health.headers.get(HEADERS.apiVersion)], [200, String(API_VERSION)]);
  const body = await health.json();
  assertEquals([body.status, body.api_version, body.version, body.version_on_disk], [
    "healthy",
    "53",
    VERSION,
    VERSION,
  ]);

  const submitted = await rig.post("/check", { clouds: null, verbose: false });
  assertEquals([submitted.status, await submitted.json()], [200, null]);
  const id = submitted.headers.get("x-skypilot-request-id")!;

  const stream = await rig.app(`/api/stream?request_id=${id}&follow=True&format=console`);
  assertEquals(stream.headers.get("X-SkyPilot-Stream-Request-ID"), id);
  assertEquals(await stream.text(), "hello\n");

  const got = await rig.app(`/api/get?request_id=${id}`);
  assertEquals(got.status, 200);
  const payload: RequestPayload = await got.json();
  assertEquals(payload.request_id, id);
  assertEquals(payload.name, "sky.check");
  assertEquals(payload.return_value, '{"default":{"Kubernetes":["compute"]}}');
  assertEquals([payload.error, payload.status, payload.pid], ["null", "SUCCEEDED", null]);
  assertEquals([payload.entrypoint, payload.request_body], [PICKLED_NONE, PICKLED_NONE]);
  assertEquals([payload.user_id, payload.schedule_type], [ENV_VARS.SKYPILOT_USER_ID, "short"]);
});

Deno.test("every answer carries both version headers, also refusals", async () => {
  await using rig = await makeRig();
  for (const path of ["/api/health", "/nowhere", "/api/get?request_id=x", "/api/get", "/launch"]) {
    const response = await rig.app(path, { method: path === "/launch" ? "POST" : "GET" });
    await response.body?.cancel();
    assertEquals([path, response.headers.get(HEADERS.apiVersion)], [path, "53"]);
    assertEquals([path, response.headers.get(HEADERS.version)], [path, VERSION]);
  }
});

Deno.test("unknown paths are 404 with a detail, operations that others have 501", async () => {
  await using rig = await makeRig();
  const response = await rig.app("/nowhere");
  assertEquals([response.status, await response.json()], [404, { detail: "Not Found" }]);
  for (const headers of [{}, { [HEADERS.apiVersion]: "53", [HEADERS.client]: VERSION }]) {
    const operation = await rig.app("/jobs/launch", { method: "POST", body: "{}", headers });
    assertEquals(
      [operation.status, (await operation.json()).detail],
      [501, "POST /jobs/launch is not supported by this API server"],
    );
  }
});

Deno.test("a client below API version 24 is told so; newer ones and silent ones are served", async () => {
  await using rig = await makeRig();
  const ask = (version: string) => rig.app("/api/health", { headers: { [HEADERS.apiVersion]: version } });
  const old = await ask("23");
  assertEquals(old.status, 400);
  assertEquals((await old.json()).error, "version_mismatch");
  for (const version of ["24", "53", "99", "words"]) {
    const response = await ask(version);
    assertEquals([version, response.status], [version, 200]);
    await response.body?.cancel();
  }
});

Deno.test("missing and wrong fields are 422 before any record is made", async () => {
  await using rig = await makeRig();
  const refused = async (path: string, body: Record<string, unknown>) => {
    const response = await rig.post(path, body);
    assertEquals([path, response.status], [path, 422]);
    assertEquals(response.headers.get(HEADERS.requestId), null);
    return (await response.json()).detail as { loc: unknown[]; msg: string; type: string }[];
  };
  const [missing] = await refused("/launch", { task: "run: x" });
  assertEquals(missing, { loc: ["body", "cluster_name"], msg: "Field required", type: "missing" });
  await refused("/launch", { task: 5, cluster_name: "c" });
  await refused("/exec", {});
  await refused("/logs", { cluster_name: "c" });
  await refused("/cancel", { cluster_name: "c" });
  await refused("/job_status", { cluster_name: "c" });
  await refused("/download_logs", { cluster_name: "c" });
  await refused("/serve/status", {});
  await refused("/jobs/pool_status", {});
  await refused("/optimize", { dag: "run: x" });
  await refused("/status", { refresh: "SOMETIMES" });
  await refused("/autostop", { cluster_name: "c", idle_minutes: 1.5 });
  const [odd] = await refused("/check", { env_vars: { SKYPILOT_USER_ID: "../../etc" } });
  assertEquals(odd!.loc, ["body", "env_vars", "SKYPILOT_USER_ID"]);
  const garbage = await rig.app("/check", { method: "POST", body: "{no json" });
  assertEquals([garbage.status, (await garbage.json()).detail[0].type], [422, "json_invalid"]);
  const list = await rig.app("/check", { method: "POST", body: "[]" });
  assertEquals(list.status, 422);
  await list.body?.cancel();
  const deep = await rig.app("/check", { method: "POST", body: "[".repeat(200_000) });
  assertEquals(deep.status, 422);
  await deep.body?.cancel();
  assertEquals(await rig.engine.list({ allStatus: true }), []);
});

Deno.test("the body of /status may be absent; unknown fields are ignored", async () => {
  await using rig = await makeRig();
  const response = await rig.app("/status", { method: "POST" });
  assertEquals(response.status, 200);
  await response.body?.cancel();
  const payload = await rig.get(response.headers.get(HEADERS.requestId)!);
  assertEquals([payload.status, payload.return_value, payload.user_id], [
    "SUCCEEDED",
    "[]",
    rig.deps.user.id,
  ]);
  const more = await rig.submit("/status", { from_the_future: true });
  assertEquals((await rig.get(more)).status, "SUCCEEDED");
});

Deno.test("every operation of the table is served at its path under its name", async () => {
  const bodies: Record<string, Record<string, unknown>> = {
    launch: { task: "run: x", cluster_name: "c" },
    exec: { task: "run: x", cluster_name: "c" },
    autostop: { cluster_name: "c", idle_minutes: 5 },
    endpoints: { cluster: "c" },
    jobStatus: { cluster_name: "c", job_ids: null },
    cancel: { cluster_name: "c", job_ids: null },
    logs: { cluster_name: "c", job_id: null },
    downloadLogs: { cluster_name: "c", job_ids: null },
    clusterEvents: { cluster_name: "c", event_type: "DEBUG" },
    optimize: { dag: "run: x", request_options: null },
    pools: { pool_names: null },
    services: { service_names: null },
  };
  const works = Object.fromEntries(
    Object.values(operations).map(({ name }) => [name, () => Promise.resolve(`did ${name}`)]),
  );
  await using rig = await makeRig({ works });
  for (const [key, { name, path, method, kind }] of Object.entries(operations)) {
    const body = bodies[key] ?? { cluster_name: "c" };
    const response = method === "GET" ? await rig.app(path) : await rig.post(path, body);
    assertEquals([key, response.status], [key, 200]);
    const answer = response.headers.get(HEADERS.requestId);
    if (path.startsWith("/ssh_node_pools/")) assertEquals((await response.json()).request_id, answer);
    else if (kind === "queued") assertEquals(await response.text(), "null");
    else await response.body?.cancel();
    if (kind === "streaming") continue;
    const payload = await rig.get(response.headers.get(HEADERS.requestId)!);
    assertEquals([payload.name, payload.return_value], [name, JSON.stringify(`did ${name}`)]);
  }
});

Deno.test("a failed request is 500, readable at both levels, with an exception the client can rebuild", async () => {
  await using rig = await makeRig({
    works: {
      "sky.stop": () => Promise.reject(new SkyError("cluster_not_found", "Cluster 'c1' does not exist.")),
      "sky.check": () => Promise.reject(new Error("a bug")),
    },
  });
  const response = await rig.app(`/api/get?request_id=${await rig.submit("/stop", { cluster_name: "c1" })}`);
  assertEquals(response.status, 500);
  const payload = await response.json();
  assertEquals(payload.detail.request_id, payload.request_id);
  assertEquals(payload.error, payload.detail.error);
  const error = JSON.parse(payload.error);
  assertEquals([error.type, error.message], ["ClusterDoesNotExist", "Cluster 'c1' does not exist."]);
  const dict = loadPickle(fromBase64(error.object)) as Record<string, unknown>;
  assertEquals([dict["type"], dict["args"]], ["ClusterDoesNotExist", ["Cluster 'c1' does not exist."]]);

  const bug = await rig.app(`/api/get?request_id=${await rig.submit("/check")}`);
  assertEquals(bug.status, 500);
  assertEquals(JSON.parse((await bug.json()).error).type, "RuntimeError");
  assert(rig.faults.some((line) => line.includes("a bug")));
});

Deno.test("a cancelled request is 200 with its status; cancelling works past full lanes", async () => {
  const one = held();
  await using rig = await makeRig({ works: { "sky.check": one.work }, engineLimits: { short: 1 } });
  const running = await rig.submit("/check");
  await one.started;
  const waiting = await rig.submit("/check");
  const cancel = await rig.submit("/api/cancel", { request_ids: [waiting.slice(0, 8)], user_id: "abcd1234" });
  assertEquals(JSON.parse((await rig.get(cancel)).return_value), [waiting]);
  const response = await rig.app(`/api/get?request_id=${waiting}`);
  assertEquals([response.status, (await response.json()).status], [200, "CANCELLED"]);
  const all = await rig.submit("/api/cancel", { request_ids: null, user_id: ENV_VARS.SKYPILOT_USER_ID });
  assertEquals(JSON.parse((await rig.get(all)).return_value), [running]);
  const none = await rig.submit("/api/cancel", { request_ids: [], user_id: "abcd1234" });
  assertEquals((await rig.get(none)).return_value, "[]");
});

Deno.test("/api/get: unknown is 404, an ambiguous prefix 400 and lists the matches, a prefix works", async () => {
  await using rig = await makeRig({ works: { "sky.check": () => Promise.resolve(1) } });
  const unknown = await rig.app("/api/get?request_id=zzz");
  assertEquals([unknown.status, (await unknown.json()).detail], [404, "Request 'zzz' not found"]);
  const ids = await Promise.all(Array.from({ length: 40 }, () => rig.submit("/check")));
  const prefix = "0123456789abcdef".split("").find((hex) =>
    ids.filter((id) => id.startsWith(hex)).length > 1
  )!;
  const ambiguous = await rig.app(`/api/get?request_id=${prefix}`);
  assertEquals(ambiguous.status, 400);
  assertStringIncludes(
    (await ambiguous.json()).detail,
    `Multiple requests found for request ID prefix: ${prefix}`,
  );
  const wild = await rig.app("/api/get?request_id=%25");
  assertEquals(wild.status, 404);
  await wild.body?.cancel();
  assertEquals((await rig.get(ids[0]!.slice(0, 13))).request_id, ids[0]);
  const missing = await rig.app("/api/get");
  assertEquals([missing.status, (await missing.json()).detail[0].loc], [422, ["query", "request_id"]]);
});

Deno.test("/api/get waits; a client that leaves does not disturb the request", async () => {
  const one = held();
  await using rig = await makeRig({ works: { "sky.check": one.work } });
  const id = await rig.submit("/check");
  const left = new AbortController();
  const leaving = rig.app(`/api/get?request_id=${id}`, { signal: left.signal });
  const waiting = rig.app(`/api/get?request_id=${id}`);
  await one.started;
  left.abort();
  const gone = await leaving;
  assertEquals(gone.status, 503);
  await gone.body?.cancel();
  one.release("done");
  assertEquals((await (await waiting).json()).return_value, '"done"');
});

Deno.test("X-Sky-Wait: the result comes with the submission, failures too, long ones later", async () => {
  const long = held();
  await using rig = await makeRig({
    works: {
      "sky.check": () => Promise.resolve("quick"),
      "sky.queue": () => Promise.reject(new SkyError("cluster_not_up", "not up")),
      "sky.optimize": long.work,
    },
    timing: { waitMs: 50 },
  });
  const wait = { headers: { [HEADERS.wait]: "1" } };
  const quick = await rig.post("/check", {}, wait);
  assertEquals([quick.status, quick.headers.get(HEADERS.finished)], [200, "1"]);
  const payload = await quick.json();
  assertEquals([payload.request_id, payload.return_value], [quick.headers.get(HEADERS.requestId), '"quick"']);
  const failed = await rig.post("/queue", { cluster_name: "c" }, wait);
  assertEquals([failed.status, failed.headers.get(HEADERS.finished)], [200, "1"]);
  assertEquals(JSON.parse((await failed.json()).error).type, "ClusterNotUpError");
  const slow = await rig.post("/optimize", { dag: "run: x", request_options: null }, wait);
  assertEquals([slow.status, slow.headers.get(HEADERS.finished), await slow.json()], [200, null, null]);
  long.release(null);
  assertEquals((await rig.get(slow.headers.get(HEADERS.requestId)!)).status, "SUCCEEDED");
});

Deno.test("Idempotency-Key: a repeated POST is the same request, another user's is not", async () => {
  let runs = 0;
  await using rig = await makeRig({ works: { "sky.check": () => Promise.resolve(++runs) } });
  const send = async (key: string, user = "abcd1234") => {
    const response = await rig.post("/check", { env_vars: { ...ENV_VARS, SKYPILOT_USER_ID: user } }, {
      headers: { [HEADERS.idempotencyKey]: key },
    });
    await response.body?.cancel();
    return response.headers.get(HEADERS.requestId)!;
  };
  const ids = await Promise.all([send("k"), send("k"), send("k")]);
  assertEquals(new Set(ids).size, 1);
  await rig.get(ids[0]!);
  assertEquals(await send("k"), ids[0]);
  assert(await send("k", "other") !== ids[0]);
  const clash = await rig.post("/optimize", { dag: "x", request_options: null }, {
    headers: { [HEADERS.idempotencyKey]: "k" },
  });
  assertEquals(clash.status, 400);
  await clash.body?.cancel();
  const long = await rig.post("/check", {}, { headers: { [HEADERS.idempotencyKey]: "k".repeat(300) } });
  assertEquals(long.status, 400);
  await long.body?.cancel();
});

Deno.test("/api/status: newest first, filters, restricted fields, prefixes", async () => {
  const one = held();
  await using rig = await makeRig({
    works: { "sky.check": one.work, "sky.queue": () => Promise.resolve([]), "sky.stop": one.work },
  });
  const done = await rig.submit("/queue", { cluster_name: "c1" });
  await rig.get(done);
  const running = await rig.submit("/check");
  await one.started;
  const status = async (query: string): Promise<RequestPayload[]> =>
    await (await rig.app(`/api/status?${query}`)).json();
  assertEquals((await status("")).map((each) => each.request_id), [running]);
  assertEquals((await status("all_status=True")).map((each) => each.request_id), [running, done]);
  assertEquals((await status("all_status=true&limit=1")).map((each) => each.request_id), [running]);
  assertEquals((await status("all_status=1&cluster_name=c1")).map((each) => each.request_id), [done]);
  assertEquals(
    (await status(`request_ids=${done.slice(0, 9)}&request_ids=zz`)).map((each) => each.request_id),
    [done],
  );
  const [full] = await status(`request_ids=${done}`);
  assertEquals([full!.entrypoint, full!.return_value, full!.error, full!.user_name], [
    "queue",
    "null",
    "null",
    "alice",
  ]);
  assertEquals(JSON.parse(full!.request_body).cluster_name, "c1");
  const [few] = await status("all_status=True&limit=1&fields=request_id&fields=status");
  assertEquals([few!.status, few!.created_at, few!.user_id, few!.request_body], ["RUNNING", 0, "", "null"]);
  one.release(null);
});

Deno.test("/api/status says why and behind how many a request waits", async () => {
  const one = held();
  await using rig = await makeRig({ works: { "sky.check": one.work }, engineLimits: { short: 1 } });
  await rig.submit("/check");
  await one.started;
  const ids = [await rig.submit("/check"), await rig.submit("/check"), await rig.submit("/check")];
  const rows: RequestPayload[] = await (await rig.app(`/api/status?request_ids=${ids[2]}`)).json();
  assertEquals(rows[0]!.status, "PENDING");
  assertStringIncludes(rows[0]!.status_msg!, "ahead)");
  one.release(null);
});

Deno.test("a long request table is sent in pieces and is the same", async () => {
  await using rig = await makeRig({ works: { "sky.check": () => Promise.resolve(null) } });
  const ids = await Promise.all(Array.from({ length: 450 }, () => rig.submit("/check")));
  const rows: RequestPayload[] = await (await rig.app("/api/status?all_status=true")).json();
  assertEquals(new Set(rows.map((row) => row.request_id)), new Set(ids));
  assertEquals(rows.length, 450);
});

Deno.test("secrets of a task are neither in the table nor in the log of a request; its work sees them", async () => {
  let seen = "";
  await using rig = await makeRig({
    works: {
      "sky.exec": (body) => {
        seen = (body as { task: string }).task;
        return Promise.resolve(null);
      },
    },
  });
  const task =
    'name: x\nrun: echo\nsecrets:\n  KEY: hunter2\n_user_specified_yaml: "secrets:\\n  KEY: hunter2\\n"\n';
  const env_vars = { ...ENV_VARS, SKYPILOT_SERVICE_ACCOUNT_TOKEN: "sky_hunter2" };
  const id = await rig.submit("/exec", { task, cluster_name: "c", env_vars });
  await rig.get(id);
  assertStringIncludes(seen, "hunter2");
  const table = await (await rig.app("/api/status?all_status=true")).text();
  assertStringIncludes(table, "<redacted>");
  assert(!table.includes("hunter2"));
  for await (const entry of Deno.readDir(rig.home.requests)) {
    assert(!(await Deno.readTextFile(`${rig.home.requests}/${entry.name}`)).includes("hunter2"));
  }
});

Deno.test("GET submissions: query is the body, booleans in any spelling", async () => {
  const bodies: unknown[] = [];
  await using rig = await makeRig({
    works: {
      "sky.enabled_clouds": (body) => {
        bodies.push(body);
        return Promise.resolve([]);
      },
    },
  });
  for (const query of ["", "?expand=True", "?expand=1&workspace=w", "?expand=false"]) {
    const response = await rig.app(`/enabled_clouds${query}`);
    await response.body?.cancel();
    await rig.get(response.headers.get(HEADERS.requestId)!);
  }
  assertEquals(bodies, [
    { workspace: null, expand: false },
    { workspace: null, expand: true },
    { workspace: "w", expand: true },
    { workspace: null, expand: false },
  ]);
});

Deno.test("an unknown workspace fails the request; server-only config keys are ignored aloud", async () => {
  await using rig = await makeRig();
  const config = { active_workspace: "nope" };
  const id = await rig.submit("/status", { override_skypilot_config: config });
  assertStringIncludes(JSON.parse((await rig.get(id)).error).message, "Workspace nope does not exist");
  const loud = await rig.submit(
    "/workspaces_placeholder".replace("_placeholder", "") === "" ? "" : "/status",
    {
      override_skypilot_config: { api_server: { endpoint: "http://x" }, workspaces: { mine: {} } },
    },
  );
  const log = await (await rig.app(`/api/stream?request_id=${loud}&format=plain`)).text();
  assertStringIncludes(log, "api_server, workspaces");
});

Deno.test("while draining: submissions are 503, waiting gets are told to come back, finished ones are answered", async () => {
  const one = held();
  await using rig = await makeRig({
    works: { "sky.check": one.work, "sky.queue": () => Promise.resolve(1) },
  });
  const done = await rig.submit("/queue", { cluster_name: "c" });
  await rig.get(done);
  const id = await rig.submit("/check");
  const waiting = rig.app(`/api/get?request_id=${id}`);
  await one.started;
  rig.draining.abort();
  const told = await waiting;
  assertEquals([told.status, (await told.json()).detail], [
    503,
    "Server is shutting down, please try again later.",
  ]);
  const refused = await rig.post("/check");
  assertEquals([refused.status, refused.headers.get(HEADERS.apiVersion)], [503, "53"]);
  await refused.body?.cancel();
  assertEquals((await rig.get(done)).status, "SUCCEEDED");
  const health = await rig.app("/api/health");
  assertEquals(health.status, 200);
  await health.body?.cancel();
});
