/**
 * Every row of the operations table through real HTTP, asked as SkyPilot's own client asks: submit, stream, get, and
 * what its decoder needs of the answer (wire.md §4.1, §6, §14.4).
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { type OperationKey, operations } from "../../api/operations.ts";
import { launchBody, OFFICIAL, OfficialClient, startedClient, taskYaml } from "../support/official_client.ts";
import { TestSky } from "../support/sky.ts";

type Value = Record<string, unknown>;
/** Throws for a value that SkyPilot's client would stumble over. */
type Check = (value: unknown) => void;

const isInt: Check = (value) => assert(Number.isInteger(value), `no integer: ${value}`);
const isNumber: Check = (value) => assert(typeof value === "number", `no number: ${value}`);
const isText: Check = (value) => assert(typeof value === "string", `no text: ${value}`);
const isFlag: Check = (value) => assert(typeof value === "boolean", `no boolean: ${value}`);
const is = (wanted: unknown): Check => (value) => assertEquals(value, wanted);
const oneOf = (...choices: string[]): Check => (value) =>
  assert(choices.includes(String(value)), `${value} is none of ${choices}`);
const orNull = (check: Check): Check => (value) => value === null || check(value);
const listOf = (check: Check, atLeast = 0): Check => (value) => {
  assert(Array.isArray(value) && value.length >= atLeast, `no list of ${atLeast}: ${JSON.stringify(value)}`);
  value.forEach(check);
};
const mapOf = (check: Check): Check => (value) => {
  assert(value !== null && typeof value === "object" && !Array.isArray(value), `no map: ${value}`);
  Object.values(value).forEach(check);
};
const shaped = (fields: Record<string, Check>): Check => (value) => {
  mapOf(() => {})(value);
  for (const [name, check] of Object.entries(fields)) {
    try {
      check((value as Value)[name]);
    } catch (error) {
      throw new Error(`${name} of ${JSON.stringify(value)}`, { cause: error });
    }
  }
};

const RESOURCES =
  "infra cloud region zone instance_type cpus memory accelerators use_spot disk_size image_id ports " +
  "labels autostop priority volumes";
const resources: Check = (value) => {
  shaped({ infra: isText, instance_type: isText })(value);
  assertMatch(String((value as Value)["infra"]), /^(kubernetes|ssh)\//);
  for (const key of Object.keys(value as Value)) oneOf(...RESOURCES.split(" "))(key);
};
const handle = shaped({
  cluster_name: is("w"),
  cluster_name_on_cloud: isText,
  launched_nodes: is(1),
  launched_resources: resources,
  stable_internal_external_ips: listOf(listOf(isText, 2), 1),
  is_grpc_enabled: isFlag,
});
const cluster = shaped({
  name: is("w"),
  launched_at: isInt,
  status: oneOf("INIT", "UP", "STOPPED", "AUTOSTOPPING", "PENDING"),
  autostop: isInt,
  to_down: isFlag,
  cluster_hash: isText,
  cluster_ever_up: isFlag,
  user_hash: is("fcd1e5cf"),
  user_name: is("alice"),
  workspace: is("default"),
  nodes: isInt,
  handle,
  labels: mapOf(isText),
});
const job = shaped({
  job_id: isInt,
  job_name: isText,
  username: is("alice"),
  user_hash: is("fcd1e5cf"),
  submitted_at: isNumber,
  start_at: orNull(isNumber),
  end_at: orNull(isNumber),
  resources: isText,
  status: isText,
  log_path: isText,
  metadata: mapOf(() => {}),
});
const cost = shaped({
  name: isText,
  launched_at: isInt,
  num_nodes: isInt,
  resources,
  cluster_hash: isText,
  usage_intervals: listOf(listOf(orNull(isInt), 2), 1),
  status: orNull(isText),
  total_cost: isNumber,
});

const W = { cluster_name: "w" };
const OPTIONS = { cluster_name: "w", idle_minutes_to_autostop: null, down: false, dryrun: false };

/** Rows that have a good answer without machines of one's own; the others are asked by tests/clouds/ssh. */
type Answered = Exclude<OperationKey, "poolsUp" | "poolsDown" | "gpuAvailability">;

/** One question for each row, in an order that makes sense. `log`: what its stream shows. */
const QUESTIONS: Record<Answered, { own: Value; check: Check; log?: RegExp }> = {
  check: {
    own: { clouds: null, verbose: false, workspace: null },
    check: mapOf(mapOf(listOf(isText))),
    log: /\S/,
  },
  optimize: {
    own: { dag: taskYaml("echo x"), request_options: OPTIONS, minimize: 0 },
    check: is(null),
    log: /CPU/i,
  },
  launch: {
    own: { ...launchBody("w", "echo from the job"), include_credentials: true },
    check: shaped({ job_id: is(1), handle }),
    log: /Cluster launched: w\./,
  },
  exec: {
    own: { ...W, task: taskYaml("echo again"), dryrun: false, down: false, backend: null },
    check: shaped({ job_id: is(2) }),
    log: /Job submitted, ID: 2/,
  },
  status: {
    own: {
      cluster_names: null,
      refresh: "NONE",
      all_users: false,
      include_credentials: true,
      summary_response: true,
    },
    check: listOf(cluster, 1),
  },
  logs: { own: { ...W, job_id: 1, follow: true, tail: 1000 }, check: is(0), log: /\) from the job\n/ },
  queue: { own: { ...W, skip_finished: false, all_users: true }, check: listOf(job, 2) },
  jobStatus: { own: { ...W, job_ids: [1] }, check: is({ "1": "SUCCEEDED" }) },
  cancel: { own: { ...W, job_ids: [2], all: false, all_users: false }, check: is(null) },
  downloadLogs: { own: { ...W, job_ids: ["1"], local_dir: "~/sky_logs" }, check: shaped({ "1": isText }) },
  endpoints: { own: { cluster: "w", port: null }, check: mapOf(isText) },
  autostop: {
    own: { ...W, idle_minutes: 60, wait_for: null, down: false, hook: null, hook_timeout: null },
    check: is(null),
  },
  clusterEvents: {
    own: { ...W, cluster_hash: null, event_type: "STATUS_CHANGE", include_timestamps: true, limit: 5 },
    check: listOf(shaped({ reason: isText, transitioned_at: isInt }), 1),
  },
  costReport: { own: { days: 30 }, check: listOf(cost, 1) },
  enabledClouds: { own: { expand: "True" }, check: listOf(isText) },
  listAccelerators: {
    own: { gpus_only: true, name_filter: null, region_filter: null, quantity_filter: null, clouds: null },
    check: mapOf(listOf(listOf(() => {}, 10))),
  },
  listAcceleratorCounts: { own: { gpus_only: true, clouds: null }, check: mapOf(listOf(isNumber)) },
  apiCancel: { own: { request_ids: [], user_id: "fcd1e5cf" }, check: is([]) },
  workspaces: { own: {}, check: shaped({ default: mapOf(() => {}) }) },
  storageLs: { own: {}, check: is([]) },
  volumes: { own: { refresh: "true" }, check: is([]) },
  managedJobs: {
    own: { refresh: false, skip_finished: true, limit: 5, fields: ["job_id", "status"] },
    check: is({ jobs: [], total: 0, total_no_filter: 0, status_counts: {} }),
  },
  managedJobsList: { own: { refresh: false, skip_finished: false }, check: is([]) },
  pools: { own: { pool_names: null }, check: is([]) },
  services: { own: { service_names: null }, check: is([]) },
  nodeInfo: { own: { context: "ssh-nowhere" }, check: is({ node_info_dict: {}, hint: "" }) },
  slurmGpus: { own: { slurm_cluster_name: null, name_filter: null, quantity_filter: null }, check: is([]) },
  slurmNodes: { own: { slurm_cluster_name: null }, check: is([]) },
  stop: { own: { ...W, purge: false, graceful: false, graceful_timeout: null }, check: is(null) },
  start: {
    own: {
      ...W,
      idle_minutes_to_autostop: null,
      wait_for: null,
      retry_until_up: false,
      down: false,
      force: false,
    },
    check: orNull(handle),
  },
  down: { own: { ...W, purge: false, graceful: false, graceful_timeout: null }, check: is(null) },
};

/** Submits as the row says; the id, and the body of a streaming one. */
async function ask(client: OfficialClient, key: Answered): Promise<{ id: string; body: string }> {
  const { method, path } = operations[key];
  const { own } = QUESTIONS[key];
  const query = new URLSearchParams(own as Record<string, string>).toString();
  const response = method === "GET"
    ? await client.fetch(query === "" ? path : `${path}?${query}`)
    : await client.post(path, own);
  const body = await response.text();
  assertEquals(response.status, 200, `${key}: ${body}`);
  assertVersions(response);
  const id = response.headers.get("X-Skypilot-Request-ID");
  assertMatch(id ?? "", /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, key);
  return { id: id!, body };
}

function assertVersions(response: Response): void {
  assertEquals(response.headers.get("X-SkyPilot-API-Version"), "53");
  assertMatch(response.headers.get("X-SkyPilot-Version") ?? "", /dev/);
}

/** All that §4.1 asks of a record in `/api/get`. */
const payloadOf = (key: Answered, id: string) =>
  shaped({
    request_id: is(id),
    name: is(operations[key].name),
    entrypoint: is("gAROLg=="),
    request_body: is("gAROLg=="),
    status: is("SUCCEEDED"),
    created_at: isNumber,
    user_id: isText,
    return_value: isText,
    error: is("null"),
    pid: is(null),
    schedule_type: oneOf("long", "short"),
    should_retry: isFlag,
    finished_at: isNumber,
  });

for (const form of ["submit, stream, get", "submit, get"] as const) {
  Deno.test(`every operation answers SkyPilot's client as its decoder wants: ${form}`, async () => {
    await using sky = await TestSky.make();
    const client = await startedClient(sky);
    const ids: string[] = [];
    for (const key of Object.keys(QUESTIONS) as Answered[]) {
      const { check, log } = QUESTIONS[key];
      const { id, body } = await ask(client, key);
      ids.push(id);
      let shown = body;
      if (operations[key].kind === "queued") assertEquals(body, "null", key);
      if (form === "submit, stream, get" && operations[key].kind === "queued") {
        const stream = await client.fetch(`/api/stream?request_id=${id}&follow=True&format=console`);
        assertVersions(stream);
        assertEquals([stream.status, stream.headers.get("content-type")], [200, "text/plain; charset=utf-8"]);
        assertEquals(stream.headers.get("X-SkyPilot-Stream-Request-ID"), id);
        shown = await stream.text();
        assert(shown === "" || shown.endsWith("\n"), `${key}: the last line would be dropped`);
        // deno-lint-ignore no-control-regex -- colours are what is taken out
        assertMatch(shown.replace(/\x1b\[[0-9;]*m/g, ""), log ?? /^/, key);
      }
      const got = await client.get(id);
      assertEquals(got.http, 200, `${key}: ${got.payload.error}`);
      payloadOf(key, id)(got.payload);
      try {
        check(got.value);
      } catch (error) {
        throw new Error(`${key}: ${got.payload.return_value}`, { cause: error });
      }
    }
    const listed = await (await client.fetch("/api/status?all_status=True&fields=request_id&fields=name"))
      .json();
    assertEquals(listed.map((one: Value) => one["request_id"]).toSorted(), ids.toSorted());
    shaped({ status: is("PENDING"), user_id: is(""), created_at: is(0), return_value: is("null") })(
      listed[0],
    );
  });
}

Deno.test("what SkyPilot's client asks directly is answered as it wants", async () => {
  await using sky = await TestSky.make();
  const client = await startedClient(sky);
  const health = await client.fetch("/api/health");
  assertVersions(health);
  shaped({
    status: is("healthy"),
    api_version: is("53"),
    version: isText,
    version_on_disk: isText,
    commit: isText,
  })(
    await health.json(),
  );
  const fine = await client.post("/validate", { dag: taskYaml("echo x"), request_options: OPTIONS });
  assertEquals([fine.status, await fine.text()], [200, "null"]);
  const wrong = await client.post("/validate", { dag: "resources:\n  cpus: []\n", request_options: null });
  assertEquals(wrong.status, 400);
  shaped({
    detail: shaped({ type: isText, message: isText, args: listOf(isText), attributes: mapOf(() => {}) }),
  })(
    await wrong.json(),
  );
  const missing = await client.post("/exec", { task: "x" });
  assertEquals(missing.status, 422);
  const [issue] = (await missing.json()).detail;
  assertEquals([issue.loc, issue.type], [["body", "cluster_name"], "missing"]);
  const me = await client.fetch("/users/me/workspace");
  assertEquals([me.status, await me.json()], [401, { detail: "Not authenticated." }]);
  const old = await fetch(`${client.url}/api/health`, {
    headers: { ...OFFICIAL, "X-SkyPilot-API-Version": "23" },
  });
  assertEquals([old.status, (await old.json()).error], [400, "version_mismatch"]);
  const failed = await client.get(await client.submit("/queue", { ...W, skip_finished: false }));
  assertEquals([failed.http, failed.payload.status], [500, "FAILED"]);
  shaped({ type: is("ClusterDoesNotExist"), message: isText, object: isText })(
    JSON.parse(failed.payload.error),
  );
  const outside = await client.fetch(`/api/stream?log_path=${join("..", "x")}`);
  assertEquals(outside.status, 400);
  await outside.body?.cancel();
});
