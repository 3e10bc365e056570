import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { operations } from "../../api/operations.ts";
import { HEADERS, versionHeaders } from "../../api/wire.ts";
import { SkyError } from "../../core/errors.ts";
import { connectionLost, connectionRefused, makeSky, ours, payload, QUICK } from "./fake_server.ts";

const ID = "22222222-2222-4222-8222-222222222222";
const accepted = (headers: Record<string, string> = ours()) =>
  Response.json(null, { headers: { ...headers, [HEADERS.requestId]: ID } });

Deno.test("createSky has a method per queued operation that asks its route", async () => {
  const asked: string[] = [];
  const sky = makeSky((request, url) => {
    asked.push(`${request.method} ${url.pathname}`);
    return accepted();
  });
  const methods = sky as unknown as Record<string, (input: unknown) => Promise<string>>;
  for (const [key, { kind, method, path }] of Object.entries(operations)) {
    if (kind !== "queued") continue;
    assertEquals(await methods[key]?.({}), ID);
    assertEquals(asked.at(-1), `${method} ${path}`);
  }
});

Deno.test("submit sends the envelope, both version headers and the input", async () => {
  let body: Record<string, unknown> = {};
  let headers = new Headers();
  const env: Record<string, string> = {
    SKYPILOT_DEBUG: "1",
    SKYPILOT_SERVER_X: "no",
    SKYPILOT_GLOBAL_CONFIG: "no",
    SKYPILOT_SERVICE_ACCOUNT_TOKEN: "sky_secret",
    SKYPILOT_ANY: "yes",
    AWS_PROFILE: "dev",
    HOME: "/home/alice",
  };
  const answer = async (request: Request) => {
    headers = request.headers;
    body = await request.json();
    return accepted();
  };
  const config = { api_server: { endpoint: "x" }, admin_policy: "p", active_workspace: "w" };
  const options = { variables: env, config, command: "sky down c1", token: "sky_secret" };
  await makeSky(answer, options).down({ cluster_name: "c1" }, { blobId: "a".repeat(64) });
  assertEquals(headers.get("X-SkyPilot-API-Version"), "53");
  assertEquals(headers.get("X-SkyPilot-Version"), "1.0.0-dev0");
  assertEquals(headers.get("Authorization"), "Bearer sky_secret");
  const { SKYPILOT_USAGE_RUN_ID: run, ...sent } = body["env_vars"] as Record<string, string>;
  assert(run !== undefined);
  assertEquals(sent, {
    SKYPILOT_DEBUG: "1",
    SKYPILOT_ANY: "yes",
    SKYPILOT_USER_ID: "fcd1e5cf",
    SKYPILOT_USER: "alice",
  });
  assertEquals(body["entrypoint"], "sky.client.sdk.down");
  assertEquals(body["entrypoint_command"], "sky down c1");
  assertEquals(body["using_remote_api_server"], true);
  assertEquals(body["override_skypilot_config"], { active_workspace: "w" });
  assertEquals(body["file_mounts_blob_id"], "a".repeat(64));
  assertEquals(body["cluster_name"], "c1");
  await makeSky(answer, { ...options, remote: false }).down({ cluster_name: "c1" });
  assertEquals((body["env_vars"] as Record<string, string>)["AWS_PROFILE"], "dev");
});

Deno.test("submit repeats a lost POST to our server under the same key", async () => {
  const keys: (string | null)[] = [];
  const sky = makeSky((request) => {
    keys.push(request.headers.get("Idempotency-Key"));
    if (keys.length === 1) return accepted();
    if (keys.length < 5) throw connectionLost();
    return accepted();
  });
  await sky.status({}); // an answer told that the server is ours
  await sky.status({});
  assertEquals(keys.length, 5);
  const [first, ...rest] = keys;
  assertEquals(new Set(rest).size, 1);
  assert(first !== rest[0] && rest[0] !== null);
  await sky.status({}, { idempotencyKey: "mine" });
  assertEquals(keys.at(-1), "mine");
});

Deno.test("submit does not repeat a lost POST to a server that may not know keys", async () => {
  for (const first of [null, versionHeaders()]) {
    let asked = 0;
    const sky = makeSky(() => {
      if (first !== null && asked === 0) return Response.json([], { headers: first });
      asked++;
      throw connectionLost();
    });
    if (first !== null) await sky.apiStatus();
    asked = asked === 0 ? 1 : asked;
    const before = asked;
    const error = await assertRejects(
      () => sky.launch({ task: "", cluster_name: "c" }),
      SkyError,
      "Lost the connection",
    );
    assertEquals([error.code, asked - before], ["server_unreachable", 1]);
  }
});

Deno.test("submit repeats while the connection is refused, for a moment", async () => {
  let asked = 0;
  const sky = makeSky(() => {
    asked++;
    if (asked < 2) throw connectionRefused();
    return accepted(versionHeaders());
  });
  assertEquals(await sky.status({}), ID);
  const dead = makeSky(() => {
    throw connectionRefused();
  });
  const error = await assertRejects(
    () => dead.status({}),
    SkyError,
    "Could not connect to SkyPilot API server at",
  );
  assertEquals(error.code, "server_unreachable");
  assertStringIncludes(error.message, "Try: curl http://sky.test:46580/api/health");
});

Deno.test("submit asks to revive a server that is not there, once", async () => {
  const reasons: string[] = [];
  let up = false;
  const sky = makeSky((_request, url) => {
    if (!up) throw connectionRefused();
    return Response.json(url.host, { headers: { ...ours(), [HEADERS.requestId]: ID } });
  }, {
    revive: (reason) => {
      reasons.push(reason);
      up = true;
      return Promise.resolve({ endpoint: "http://127.0.0.1:5000", socket: null });
    },
  });
  assertEquals(await sky.status({}), ID);
  assertEquals([reasons, sky.endpoint], [["submit"], "http://127.0.0.1:5000"]);
});

Deno.test("submit waits out 503 and tells so", async () => {
  const notices: (string | null)[] = [];
  let asked = 0;
  const sky = makeSky(() => {
    asked++;
    if (asked > 3) return accepted();
    return Response.json({ detail: "Server is shutting down" }, { status: 503, headers: ours() });
  }, { notice: (message) => notices.push(message) });
  assertEquals(await sky.status({}), ID);
  assertEquals([asked, notices.length], [4, 6]);
  assertEquals(notices.slice(0, 2), ["Server is shutting down", null]);
  const busy = makeSky(() => new Response("full", { status: 503 }), { timing: { ...QUICK, busyTotal: 10 } });
  assertEquals((await assertRejects(() => busy.status({}), SkyError)).code, "server_busy");
});

Deno.test("submit stops at the caller's signal, whatever it waits for", async () => {
  const hang = makeSky(() => new Promise<Response>(() => {}));
  const busy = makeSky(() => new Response("full", { status: 503 }), {
    timing: { ...QUICK, busyFirst: 60_000, busyCap: 60_000 },
  });
  for (const sky of [hang, busy]) {
    const stop = new AbortController();
    const asking = sky.status({}, { signal: stop.signal });
    setTimeout(() => stop.abort(new Error("enough")), 10);
    await assertRejects(() => asking, Error, "enough");
  }
});

Deno.test("submit gives up on a server that takes the question and says nothing", async () => {
  const sky = makeSky(() => new Promise<Response>(() => {}), { timing: { ...QUICK, answer: 20 } });
  assertEquals((await assertRejects(() => sky.status({}), SkyError, "did not answer")).code, "timeout");
});

Deno.test("call takes a finished answer in one exchange", async () => {
  let asked = 0;
  const sky = makeSky((request) => {
    asked++;
    assertEquals(request.headers.get("X-Sky-Wait"), "1");
    const headers = { ...ours(), [HEADERS.requestId]: ID, [HEADERS.finished]: "1" };
    return Response.json(payload({ name: "sky.status", return_value: '[{"name":"c1"}]' }), { headers });
  });
  const clusters = await sky.call("status", {});
  assertEquals([clusters[0]?.name, asked], ["c1", 1]);
});

Deno.test("call gets the result where the server does not wait", async () => {
  for (const headers of [ours(), versionHeaders()]) {
    const sky = makeSky((_request, url) => {
      if (url.pathname === "/status") return accepted(headers);
      assertEquals(url.searchParams.get("request_id"), ID);
      return Response.json(payload({ name: "sky.status", return_value: "[]" }), { headers });
    });
    assertEquals(await sky.call("status", {}), []);
  }
});

Deno.test("call throws the error of a request that finished at once", async () => {
  const error = JSON.stringify({
    object: "gAROLg==",
    type: "ClusterDoesNotExist",
    message: "Cluster 'x' does not exist.",
  });
  const sky = makeSky(() =>
    Response.json(payload({ status: "FAILED", error }), { headers: { ...ours(), [HEADERS.finished]: "1" } })
  );
  const thrown = await assertRejects(() => sky.call("queue", { cluster_name: "x" }), SkyError);
  assertEquals([thrown.code, thrown.message], ["cluster_not_found", "Cluster 'x' does not exist."]);
});

Deno.test("get decodes results, failures in both places, and cancelled requests", async () => {
  const error = JSON.stringify({ object: "gAROLg==", type: "ValueError", message: "bad" });
  const failed = payload({ status: "FAILED", error });
  const answers: [Response, string][] = [
    [Response.json({ ...failed, detail: failed }, { status: 500 }), "invalid_argument"],
    [Response.json({ detail: failed }, { status: 500 }), "invalid_argument"],
    [Response.json(payload({ status: "CANCELLED", name: "sky.launch" })), "request_cancelled"],
    [Response.json(payload({ status: "FAILED" })), "internal"],
    [Response.json({ detail: "Request 'x' not found" }, { status: 404 }), "request_not_found"],
    [
      Response.json({ detail: "Multiple requests found for request ID prefix: x" }, { status: 400 }),
      "request_ambiguous",
    ],
    [Response.json({ detail: "should be retried" }, { status: 503 }), "server_busy"],
    [Response.json({ detail: "Traceback" }, { status: 500 }), "internal"],
    [Response.json("Authentication required", { status: 401 }), "auth_required"],
    [Response.json({ error: "version_mismatch", message: "old" }, { status: 400 }), "version_mismatch"],
    [new Response("<html>hello</html>"), "server_unreachable"],
    [Response.json({ hello: 1 }), "internal"],
  ];
  for (const [answer, code] of answers) {
    const sky = makeSky(() => answer);
    const thrown = await assertRejects(() => sky.get("x"), SkyError);
    assertEquals(thrown.code, code, thrown.message);
  }
  const fine = makeSky(() => Response.json(payload({ return_value: '{"a":[1]}' })));
  assertEquals(await fine.get("x"), { a: [1] });
});

Deno.test("get asks again when one wait has become too long", async () => {
  let asked = 0;
  const sky = makeSky(() => {
    asked++;
    return asked < 3 ? new Promise<Response>(() => {}) : Response.json(payload({ return_value: "7" }));
  }, { timing: { ...QUICK, get: 20, resend: 0 } });
  assertEquals(await sky.get("x"), 7);
});

Deno.test("get turns pickled handles of official servers into JSON", async () => {
  // a bare instance of a class with {cluster_name: 'c1', launched_nodes: 2, stable_internal_external_ips: [('a','b')]}
  const pickled =
    "gASVbQAAAAAAAACMA3NreZSMBkhhbmRsZZSTlCmBlH2UKIwMY2x1c3Rlcl9uYW1llIwCYzGUjA5sYXVuY2hlZF9ub2Rlc5RLAowcc3RhYmxlX2ludGVybmFsX2V4dGVybmFsX2lwc5RdlIwBYZSMAWKUhpRhdWIu";
  const rows = [{ name: "c1", handle: pickled }, { name: "c2", handle: "gAROLg==" }, {
    name: "c3",
    handle: null,
  }];
  const sky = makeSky(() =>
    Response.json(payload({ name: "sky.status", return_value: JSON.stringify(rows) }))
  );
  const clusters = await sky.get("x") as { handle: Record<string, unknown> | null }[];
  assertEquals(clusters[0]?.handle?.["cluster_name"], "c1");
  assertEquals(clusters[0]?.handle?.["launched_nodes"], 2);
  assertEquals(clusters[0]?.handle?.["stable_internal_external_ips"], [["a", "b"]]);
  assertEquals([clusters[1]?.handle, clusters[2]?.handle], [null, null]);
});

Deno.test("every answer of a server that is too old is refused", async () => {
  const headers = { [HEADERS.apiVersion]: "23", [HEADERS.version]: "0.10.0" };
  const sky = makeSky(() => Response.json([], { headers }));
  const error = await assertRejects(() => sky.apiStatus(), SkyError, "too old: 0.10.0");
  assertEquals(error.code, "version_mismatch");
});

Deno.test("answers without a request id are not taken for a server's", async () => {
  const sky = makeSky(() => new Response("welcome to nginx"));
  assertEquals(
    (await assertRejects(() => sky.status({}), SkyError, "not from a SkyPilot")).code,
    "server_unreachable",
  );
});

Deno.test("health knows the states of wire.md 1.4", async () => {
  const body = { status: "healthy", api_version: "53", version: "1.0.0-dev0", commit: "" };
  const answers: [Response, string | null][] = [
    [Response.json(body, { headers: versionHeaders() }), null],
    [Response.json({ ...body, status: "needs_auth" }, { headers: versionHeaders() }), "auth_required"],
    [Response.json("no", { status: 401 }), "auth_required"],
    [Response.json(body), "version_mismatch"],
    [Response.json({ ...body, status: "unhealthy" }, { headers: versionHeaders() }), "server_unreachable"],
    [new Response("<html>"), "server_unreachable"],
    [new Response("bad gateway", { status: 502 }), "network"],
  ];
  for (const [answer, code] of answers) {
    const sky = makeSky(() => answer);
    if (code === null) assertEquals((await sky.health()).version, "1.0.0-dev0");
    else assertEquals((await assertRejects(() => sky.health(), SkyError)).code, code);
  }
});

Deno.test("health takes the login page of a proxy for a wish to log in", async () => {
  const page = new Response("<html>", { headers: { "Content-Type": "text/html" } });
  Object.defineProperties(page, {
    redirected: { value: true },
    url: { value: "https://x/oauth2/start?rd=/" },
  });
  const error = await assertRejects(() => makeSky(() => page).health(), SkyError);
  assertEquals([error.code, error.hint], ["auth_required", "sky api login -e http://sky.test:46580"]);
});

Deno.test("apiStatus repeats list values and leaves out what is not asked", async () => {
  let query = "";
  const sky = makeSky((_request, url) => {
    query = url.search;
    return Response.json([payload()], { headers: ours() });
  });
  await sky.apiStatus({ ids: ["a", "b"], limit: null, fields: ["name"] });
  assertEquals(query, "?request_ids=a&request_ids=b&all_status=false&fields=name");
});

Deno.test("complete gives no words rather than an error", async () => {
  assertEquals(await makeSky(() => Response.json(["c1"])).complete("cluster_name", "c"), ["c1"]);
  assertEquals(await makeSky(() => new Response("x", { status: 500 })).complete("cluster_name", ""), []);
  assertEquals(
    await makeSky(() => {
      throw connectionRefused();
    }).complete("cluster_name", ""),
    [],
  );
});

Deno.test("validate throws the serialized exception of a 400", async () => {
  const detail = {
    type: "InvalidSkyPilotConfigError",
    message: "bad yaml",
    args: ["bad yaml"],
    attributes: {},
    stacktrace: null,
  };
  const sky = makeSky(() => Response.json({ detail }, { status: 400 }));
  const error = await assertRejects(() => sky.validate("x"), SkyError, "bad yaml");
  assertEquals(error.code, "invalid_config");
  await makeSky(() => Response.json(null)).validate("x");
});

Deno.test("credentials in the endpoint are sent and never shown", async () => {
  let header: string | null = null;
  const sky = makeSky((request) => {
    header = request.headers.get("Authorization");
    return new Response("x", { status: 401 });
  }, { endpoint: "http://al:p%40ss@sky.test:46580" });
  const error = await assertRejects(() => sky.apiStatus(), SkyError);
  assertEquals(header, `Basic ${btoa("al:p@ss")}`);
  assert(!`${error.message} ${error.hint} ${sky.endpoint}`.includes("ss@"));
});

Deno.test("our own error answers keep code and hint", async () => {
  const body = { detail: "two match: a1, a2", sky: { code: "request_ambiguous", hint: "sky api status" } };
  const sky = makeSky(() => Response.json(body, { status: 400, headers: ours() }));
  const error = await assertRejects(() => sky.stream("a", { data() {}, status() {} }), SkyError, "a1, a2");
  assertEquals([error.code, error.hint], ["request_ambiguous", "sky api status"]);
});

Deno.test("a unix socket and plain TCP carry the same exchange", async () => {
  const folder = await Deno.makeTempDir({ prefix: "sky-test-" });
  const path = `${folder}/server.sock`;
  const answer = (request: Request) =>
    new URL(request.url).pathname === "/status"
      ? accepted()
      : Response.json(payload({ return_value: '["over the wire"]' }), { headers: ours() });
  const unix = Deno.serve({ path, onListen() {} }, answer);
  const tcp = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, answer);
  try {
    const fetch = globalThis.fetch;
    const timing = {};
    const over = [{ socket: path }, { endpoint: `http://127.0.0.1:${(tcp.addr as Deno.NetAddr).port}` }];
    for (const at of over) {
      using sky = makeSky(answer, { ...at, fetch, timing });
      assertEquals(await sky.call("status", {}), ["over the wire"] as unknown as []);
    }
  } finally {
    await unix.shutdown();
    await tcp.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
});
