import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { RequestPayload } from "../../api/requests.ts";
import { type Health, versionHeaders } from "../../api/wire.ts";
import { run } from "../../cli/run.ts";
import { SkyError } from "../../core/errors.ts";
import type { LogSink, Sky } from "../../sdk/client.ts";
import { testTerminal, type TestTerminalOptions } from "../support/test_terminal.ts";

const NOW = Date.UTC(2026, 10, 24);
const ID = "f01d0f9e-04e7-4a6d-aead-8936e7a35edb";

interface Place {
  fake?: Record<string, unknown>;
  /** No server is there. */
  down?: boolean;
  env?: Record<string, string>;
  terminal?: TestTerminalOptions;
}

/** `sky api …` against a fake client, or with the real connection when there is neither. */
async function api(words: string[], place: Place = {}) {
  const test = testTerminal(place.terminal);
  const connected = () => Promise.resolve(place.down === true ? undefined : place.fake as unknown as Sky);
  const code = await run(["api", ...words], {
    out: test.terminal,
    env: (name) => ({ HOME: "/nonexistent", ...place.env } as Record<string, string>)[name],
    cwd: "/",
    signal: new AbortController().signal,
    now: () => NOW,
    ...(place.fake === undefined && place.down !== true ? {} : { connect: connected }),
  });
  return { code, out: test.out(), err: test.err() };
}

function payload(fields: Partial<RequestPayload>): Partial<RequestPayload> {
  return {
    request_id: ID,
    name: "sky.launch",
    user_id: "fcd1e5cf",
    user_name: "root",
    status: "RUNNING",
    created_at: NOW / 1000 - 60,
    cluster_name: "dev",
    status_msg: null,
    ...fields,
  };
}

Deno.test("api status lists requests as a table", async () => {
  const asked: unknown[] = [];
  const daemon = {
    request_id: "skypilot-volume-status-refresh-daemon",
    name: "sky.volume-refresh",
    user_name: null,
  };
  const fake = {
    apiStatus: (query: unknown) => {
      asked.push(query);
      return Promise.resolve([payload({}), payload(daemon)]);
    },
  };
  const ran = await api(["status"], { fake });
  assertEquals(
    ran.out,
    [
      "ID                                       User  Name                Created    Status   ",
      "f01d0f9e-04e7-4a6d-aead-8936e7a35edb     root  sky.launch          1 min ago  RUNNING  ",
      "skypilot-volume-status-refresh-daemo...  -     sky.volume-refresh  1 min ago  RUNNING  ",
      "",
    ].join("\n"),
  );
  assertEquals(asked, [{
    allStatus: false,
    limit: 50,
    cluster: null,
    fields: ["request_id", "name", "user_id", "status", "created_at"],
  }]);
});

Deno.test("api status -v shows the cluster, whole ids, and what a request waits for", async () => {
  const waiting = payload({ status: "PENDING", status_msg: "2 requests before it (long lane)" });
  const fake = { apiStatus: () => Promise.resolve([waiting, payload({ request_id: "x".repeat(40) })]) };
  const { out } = await api(["status", "-v"], { fake });
  const [header = "", first = "", second = ""] = out.split("\n");
  assertMatch(header, /^ID +User +Name +Cluster +Created +Status +Waiting for +$/);
  assertStringIncludes(first, "PENDING  2 requests before it (long lane)");
  assertStringIncludes(second, `${"x".repeat(40)}  root  sky.launch  dev `);
});

Deno.test("api status passes filters, says when it is cut, and gives whole records as JSON", async () => {
  const asked: Record<string, unknown>[] = [];
  const fake = {
    apiStatus: (query: Record<string, unknown>) => {
      asked.push(query);
      return Promise.resolve([payload({})]);
    },
  };
  const cut = await api(["status", "-a", "-l", "1", "-c", "dev"], { fake });
  assertStringIncludes(cut.out, '\n\nShowing 1 requests. Use "-l none" or "-l all" to show all requests.\n');
  assert(!(await api(["status", "-l", "ALL"], { fake })).out.includes("Showing"));
  const json = await api(["status", "f01d", "-o", "JSON"], { fake });
  assertEquals(JSON.parse(json.out)[0].request_id, ID);
  assertEquals(asked.map(({ allStatus, limit, cluster, ids }) => [allStatus, limit, cluster, ids]), [
    [true, 1, "dev", undefined],
    [false, null, null, undefined],
    [false, 50, null, ["f01d"]],
  ]);
  const bad = await api(["status", "-l", "x"], { fake });
  assertEquals(bad.code, 2);
  assertStringIncludes(bad.err, "Invalid value for '--limit' / '-l': 'x' is not a positive integer");
});

Deno.test("api status without requests, without a server, and for an unknown id", async () => {
  const empty = { apiStatus: () => Promise.resolve([]) };
  assertStringIncludes((await api(["status"], { fake: empty })).out, "\n-   -     -     -        -       \n");
  assertEquals(await api(["status"], { down: true }), {
    code: 0,
    out: "SkyPilot API server is not running.\n",
    err: "",
  });
  assertEquals((await api(["status", "-o", "json"], { down: true })).out, "[]\n");
  const unknown = await api(["status", "zz"], { fake: empty });
  assertEquals([unknown.code, unknown.err], [1, "sky.exceptions.ClientError: Request 'zz' not found\n"]);
});

Deno.test("api cancel sends what it was told to and says what was cancelled", async () => {
  const asked: unknown[] = [];
  const cancel = (result: string[]) => ({
    user: { id: "fcd1e5cf", name: "root" },
    call: (key: string, input: unknown) => {
      asked.push([key, input]);
      return Promise.resolve(result);
    },
  });
  const matrix: [string[], string[], string, string[] | null, string | null][] = [
    [["zzz"], [ID], `Cancelling 1 request: 'zzz'...\nCancelled 1 request: ${ID}\n`, ["zzz"], "fcd1e5cf"],
    [
      ["a", "b"],
      ["1", "2"],
      "Cancelling 2 requests: 'a', 'b'...\nCancelled 2 requests.\n",
      ["a", "b"],
      "fcd1e5cf",
    ],
    [
      ["-a", "-y"],
      [],
      "Cancelling all requests for user 'fcd1e5cf'...\nNo requests need to be cancelled.\n",
      null,
      "fcd1e5cf",
    ],
    [["-uy"], ["1"], "Cancelling all users' requests...\nCancelled 1 request: 1\n", null, null],
  ];
  for (const [words, result, out, request_ids, user_id] of matrix) {
    assertEquals(await api(["cancel", ...words], { fake: cancel(result) }), { code: 0, out, err: "" });
    assertEquals(asked.pop(), ["apiCancel", { request_ids, user_id }]);
  }
});

Deno.test("api cancel of everything wants the words typed, and something to cancel", async () => {
  const fake = { user: { id: "u", name: "n" }, call: () => Promise.resolve([]) };
  const typed = await api(["cancel", "-u"], { fake, terminal: { answers: ["cancel all requests"] } });
  assertEquals(typed.code, 0);
  assertStringIncludes(
    typed.out,
    "This will cancel all ALL USERS' requests.\nTo proceed, please type 'cancel all requests': ",
  );
  const wrong = await api(["cancel", "-a"], { fake, terminal: { answers: ["y"] } });
  assertEquals([wrong.code, wrong.err], [1, "Aborted!\n"]);
  for (const words of [[], [""], ["x", "-a"]]) {
    assertEquals((await api(["cancel", ...words], { fake })).code, 2);
  }
});

Deno.test("api logs streams a request and ends as it ended", async () => {
  const asked: unknown[] = [];
  const logs = (end: () => Promise<unknown>) => ({
    stream: (id: string, sink: LogSink, { signal: _, ...options }: Record<string, unknown>) => {
      asked.push([id, options]);
      sink.data(new TextEncoder().encode("a line\n"));
      return Promise.resolve();
    },
    get: end,
    streamLogPath: (path: string, sink: LogSink, { signal: _, ...options }: Record<string, unknown>) => {
      asked.push([path, options]);
      sink.data(new TextEncoder().encode("server line\n"));
      return Promise.resolve();
    },
  });
  const fine = logs(() => Promise.resolve(null));
  assertEquals(await api(["logs", "f01d"], { fake: fine }), { code: 0, out: "a line\n", err: "" });
  const failed = logs(() => Promise.reject(new SkyError("cluster_not_up", "Not up.")));
  assertEquals(await api(["logs", "f01d"], { fake: failed }), {
    code: 1,
    out: "a line\n",
    err: "sky.exceptions.ClusterNotUpError: Not up.\n",
  });
  assertEquals((await api(["logs", "f01d", "--no-follow", "--tail", "5"], { fake: failed })).code, 0);
  assertEquals((await api(["logs", "-l", "x/y.log"], { fake: failed })).out, "server line\n");
  assertEquals((await api(["logs", "--server-logs"], { fake: fine })).out, "server line\n");
  assertEquals(asked, [
    ["f01d", { follow: true }],
    ["f01d", { follow: true }],
    ["f01d", { follow: false, tail: 5 }],
    ["x/y.log", { follow: true }],
    ["~/.sky/api_server/server.log", { follow: true }],
  ]);
});

Deno.test("api logs refuses nothing and both, and names an unknown request", async () => {
  const fake = {
    stream: () => Promise.reject(new SkyError("request_not_found", "Request 'zzzz' not found")),
  };
  const matrix: [string[], number, string][] = [
    [[], 2, "Error: Invalid value: Please provide the request ID or log path.\n"],
    [["x", "-l", "y"], 2, "Error: Invalid value: Only one of request ID and log path can be provided.\n"],
    [["zzzz"], 1, "sky.exceptions.ClientError: Failed to stream logs: Request 'zzzz' not found\n"],
  ];
  for (const [words, code, err] of matrix) {
    const ran = await api(["logs", ...words], { fake });
    assertEquals(ran.code, code);
    assertStringIncludes(ran.err, err);
  }
});

Deno.test("api info tells the client's and the server's side", async () => {
  const health = { status: "healthy", version: "1.0.0-dev0", commit: "abc", api_version: "53", user: null };
  const fake = {
    endpoint: "http://127.0.0.1:46580",
    user: { id: "fcd1e5cf", name: "root" },
    health: () => Promise.resolve(health),
  };
  assertEquals(
    (await api(["info"], { fake })).out,
    "SkyPilot client version: 1.0.0-dev0, commit: source\n" +
      "Using SkyPilot API server and dashboard: http://127.0.0.1:46580\n" +
      "├── Status: HEALTHY, commit: abc, version: 1.0.0-dev0\n├── User: root (fcd1e5cf)\n" +
      "└── Endpoint set to default local API server.\n",
  );
  assertEquals(JSON.parse((await api(["info", "-o", "json"], { fake })).out), {
    client: { version: "1.0.0-dev0", commit: "source" },
    server: {
      url: "http://127.0.0.1:46580",
      status: "HEALTHY",
      version: "1.0.0-dev0",
      commit: "abc",
      api_version: "53",
    },
    user: { id: "fcd1e5cf", name: "root" },
  });
});

Deno.test("api info of a server that is down still exits 0", async () => {
  const local = await api(["info"], { down: true });
  assertEquals(local.code, 0);
  assertStringIncludes(
    local.out,
    "\nNo SkyPilot API server is connected\n├── To connect to an existing API server: sky api login\n" +
      "└── To start a local API server: sky api start\n",
  );
  const env = { SKYPILOT_API_SERVER_ENDPOINT: "http://remote:1" };
  const failing = (error: SkyError) => ({ endpoint: "http://remote:1", health: () => Promise.reject(error) });
  const remote = await api(["info"], { env, fake: failing(new SkyError("server_unreachable", "x")) });
  assertEquals(remote.code, 0);
  assertStringIncludes(
    remote.out,
    "\nCould not connect to SkyPilot API server at http://remote:1\n" +
      "├── To re-login to the API server: sky api login --relogin -e http://remote:1\n" +
      "└── To logout the server: sky api logout\n",
  );
  const json = await api(["info", "-o", "json"], { env, fake: failing(new SkyError("auth_required", "x")) });
  assertEquals(JSON.parse(json.out).server.status, "NEEDS_AUTH");
});

Deno.test("api start and stop refuse for another endpoint; stop without a server is no error", async () => {
  const home = await Deno.makeTempDir();
  const env = { HOME: home };
  assertEquals(await api(["stop"], { env }), {
    code: 0,
    out: "SkyPilot API server is not running.\n",
    err: "",
  });
  const remote = { ...env, SKYPILOT_API_SERVER_ENDPOINT: "http://remote:1" };
  assertEquals(
    (await api(["stop"], { env: remote })).err,
    "RuntimeError: Cannot kill the API server at http://remote:1 because it is not the default SkyPilot API server " +
      "started locally.\n",
  );
  const start = await api(["start"], { env: remote });
  assertEquals(start.code, 1);
  assertStringIncludes(
    start.err,
    "ValueError: Unable to start local API server: server endpoint is set to http://remote:1.",
  );
  await Deno.remove(home, { recursive: true });
});

/** A server that only knows its health, and wants this token if given. */
function healthServer(token: string | null) {
  const health: Partial<Health> = {
    status: "healthy",
    api_version: "53",
    version: "1.0.0-dev0",
    commit: "abc",
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const known = token === null || request.headers.get("Authorization") === `Bearer ${token}`;
    const user = token === null ? null : { id: "sa-1", name: "robot" };
    const body = known ? { ...health, user } : { ...health, status: "needs_auth", user: null };
    return Response.json(body, { headers: versionHeaders() });
  });
  return { url: `http://127.0.0.1:${server.addr.port}`, [Symbol.asyncDispose]: () => server.shutdown() };
}

Deno.test("api login and logout change the config file, and nothing when refused", async () => {
  const home = await Deno.makeTempDir();
  const env = { HOME: home };
  const config = `${home}/.sky/config.yaml`;
  {
    await using open = healthServer(null);
    const ran = await api(["login"], { env, terminal: { answers: [`${open.url}/`] } });
    assertEquals([ran.code, ran.err], [0, ""]);
    assertStringIncludes(ran.out, `Logged into SkyPilot API server at: ${open.url}\n├── User: `);
    assertStringIncludes(await Deno.readTextFile(config), `endpoint: ${open.url}\n`);
  }
  {
    await using closed = healthServer("sky_good");
    const before = await Deno.readTextFile(config);
    const wrong = await api(["login", "-e", closed.url, "-t", "sky_bad"], { env });
    assertEquals([wrong.code, wrong.err], [
      1,
      "sky.exceptions.ApiServerAuthenticationError: Authentication failed.\n",
    ]);
    assertEquals(await Deno.readTextFile(config), before);
    const right = await api(["login", "-e", closed.url, "--token", "sky_good"], { env });
    assertEquals([right.code, right.err], [0, ""]);
    assertStringIncludes(right.out, "├── User: robot (sa-1)\n");
    assertStringIncludes(await Deno.readTextFile(config), "service_account_token: sky_good\n");
    const pasted = await api(["login", "-e", closed.url, "--relogin"], {
      env,
      terminal: { answers: ["sky_good"] },
    });
    assertEquals([pasted.code, pasted.err], [0, ""]);
    assertStringIncludes(
      pasted.out,
      `Visit this URL to get the token: ${closed.url}/token\nPaste the token: `,
    );
    const junk = await api(["login", "-e", closed.url, "--relogin"], {
      env,
      terminal: { answers: ["junk"] },
    });
    assertEquals(junk.code, 1);
    assertStringIncludes(junk.err, "Authentication failed: this is no token of a SkyPilot API server");
    const info = await api(["info"], { env });
    assertStringIncludes(info.out, "├── User: robot (sa-1)\n└── Endpoint set via ~/.sky/config.yaml\n");
  }
  assertEquals((await api(["logout"], { env })).out, "Logged out of SkyPilot API server.\n");
  assert(!(await Deno.readTextFile(config)).includes("api_server"));
  const again = await api(["logout"], { env });
  assertEquals([again.code, again.err], [
    1,
    "RuntimeError: Local api server cannot be logged out. Use `sky api stop` instead.\n",
  ]);
  await Deno.remove(home, { recursive: true });
});

Deno.test("api login and logout refuse bad URLs and an endpoint from the environment", async () => {
  const bad = await api(["login", "-e", "ftp://x"], { env: {} });
  assertEquals(bad.code, 2);
  assertStringIncludes(bad.err, "Error: Invalid value: Endpoint must be a valid URL.\n");
  const env = { SKYPILOT_API_SERVER_ENDPOINT: "http://x" };
  for (const [word, verb] of [["login", "login to"], ["logout", "logout of"]] as const) {
    const ran = await api([word], { env });
    assertEquals(ran.code, 1);
    assertStringIncludes(
      ran.err,
      `RuntimeError: Cannot ${verb} API server when the endpoint is set via the environment variable. ` +
        "Run unset SKYPILOT_API_SERVER_ENDPOINT to clear the environment variable.\n",
    );
  }
});
