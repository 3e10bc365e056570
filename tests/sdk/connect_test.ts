import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { SkyError } from "../../core/errors.ts";
import { homePaths } from "../../core/paths.ts";
import { isAlive } from "../../sdk/alive.ts";
import { connect, connectForCompletion, type ConnectOptions, resolveEndpoint } from "../../sdk/connect.ts";
import { serverInfo, stopServer } from "../../sdk/service.ts";

const SERVER = fromFileUrl(new URL("./fixtures/server.ts", import.meta.url));
const program = [Deno.execPath(), "run", "-A", SERVER];

Deno.test("resolveEndpoint takes variable, config, default in this order", () => {
  const env = (value: string) => (name: string) =>
    name === "SKYPILOT_API_SERVER_ENDPOINT" ? value : undefined;
  const config = { api_server: { endpoint: "https://c.example.org/" } };
  assertEquals(resolveEndpoint(() => undefined, {}), {
    endpoint: "http://127.0.0.1:46580",
    source: "default",
    local: true,
  });
  assertEquals(resolveEndpoint(() => undefined, config), {
    endpoint: "https://c.example.org",
    source: "config",
    local: false,
  });
  assertEquals(resolveEndpoint(env("http://localhost:46580//"), config), {
    endpoint: "http://localhost:46580",
    source: "env",
    local: true,
  });
  assertEquals(resolveEndpoint(env("http://127.0.0.1:46581"), {}).local, false);
  for (const bad of ["ftp://x", "x", "http://", "http://a b"]) {
    assertThrows(() => resolveEndpoint(env(bad), {}), SkyError, "no http(s) URL");
  }
});

async function withHome(
  work: (options: ConnectOptions, home: ReturnType<typeof homePaths>) => Promise<void>,
) {
  const root = await Deno.makeTempDir({ prefix: "sky-test-" });
  const home = homePaths(join(root, "server"));
  const variables: Record<string, string> = { HOME: root, SKY_HOME: home.root, USER: "alice" };
  const env = (name: string) => variables[name];
  try {
    await work({ env, cwd: root, command: "sky test", config: {}, start: true, service: { program } }, home);
  } finally {
    const left = serverInfo(home);
    if (left !== null) await kill(left.pid);
    await Deno.remove(root, { recursive: true });
  }
}

async function kill(pid: number): Promise<void> {
  Deno.kill(pid, "SIGKILL");
  await reaped(pid);
}

async function reaped(pid: number): Promise<void> {
  const there = () => Deno.stat(`/proc/${pid}`).then(() => true, () => false);
  do await new Promise((resolve) => setTimeout(resolve, 5)); while (await there());
  await new Promise((resolve) => setTimeout(resolve, 5));
}

Deno.test("connect starts the local server, says so, and finds it again", async () => {
  await withHome(async (options, home) => {
    assertEquals(await connect({ ...options, start: false }), undefined);
    assertEquals(await connectForCompletion(options), undefined);
    const messages: string[] = [];
    using sky = await connect({
      ...options,
      onStart: (message) => messages.push(message),
      onStarted: () => messages.push("started"),
    });
    assert(sky !== undefined && !sky.remote);
    const server = serverInfo(home);
    assertEquals(await sky.status({}), String(server?.pid));
    assertEquals(messages, [
      "Failed to connect to SkyPilot API server at http://127.0.0.1:46580. Starting a local server.",
      "started",
    ]);
    using again = await connect({ ...options, start: false });
    assertEquals(await again?.status({}), String(server?.pid));
    using tab = await connectForCompletion(options);
    assert(tab !== undefined);
  });
});

Deno.test("a client whose server was killed starts it again for its next question", async () => {
  await withHome(async (options, home) => {
    using sky = await connect(options);
    const first = serverInfo(home);
    assert(sky !== undefined && first !== null);
    assertEquals(await sky.status({}), String(first.pid));
    await kill(first.pid);
    const second = await sky.status({});
    assert(second !== String(first.pid));
    assertEquals(second, String((serverInfo(home))?.pid));
  });
});

Deno.test("a client that follows a log does not start a server that was stopped on purpose", async () => {
  await withHome(async (options, home) => {
    using sky = await connect(options);
    const server = serverInfo(home);
    assert(sky !== undefined && server !== null);
    assertEquals(await stopServer(home), true);
    await reaped(server.pid);
    const error = await assertRejects(() => sky.get("x"), SkyError, "Could not connect");
    assertEquals([error.code, isAlive(server), serverInfo(home)], [
      "server_unreachable",
      false,
      null,
    ]);
  });
});

Deno.test("connect to a remote server makes no exchange, and carries token and identity", async () => {
  const root = await Deno.makeTempDir({ prefix: "sky-test-" });
  const seen: Headers[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    seen.push(request.headers);
    return Response.json([]);
  });
  try {
    const endpoint = `http://127.0.0.1:${(server.addr as Deno.NetAddr).port}`;
    const config = { api_server: { endpoint, service_account_token: "sky_t" } };
    const env = (name: string) =>
      ({ HOME: root, SKYPILOT_USER_ID: "abc", USER: "alice" } as Record<string, string>)[name];
    using sky = await connect({ env, cwd: root, command: "sky", config, start: true });
    assert(sky !== undefined && sky.remote);
    assertEquals(seen.length, 0);
    assertEquals([await sky.apiStatus(), sky.user.id, sky.endpoint], [[], "abc", endpoint]);
    assertEquals(seen[0]?.get("Authorization"), "Bearer sky_t");
  } finally {
    await server.shutdown();
    await Deno.remove(root, { recursive: true });
  }
});
