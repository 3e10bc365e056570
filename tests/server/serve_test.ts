/** The whole server: start, second start, stop, what it leaves; in this process and as a process of its own. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async/delay";
import { dirname, fromFileUrl, join, resolve } from "@std/path";
import { HEADERS, type Registration } from "../../api/wire.ts";
import { SkyError } from "../../core/errors.ts";
import { homePaths } from "../../core/paths.ts";
import { parseServerArgs } from "../../server/main.ts";
import { type Ready, serve, type ServeOptions } from "../../server/serve.ts";
import { ENV_VARS } from "./rig.ts";

const root = resolve(dirname(fromFileUrl(import.meta.url)), "..", "..");

interface Started extends AsyncDisposable {
  readonly ready: Ready;
  readonly log: () => string;
  stop(): Promise<void>;
  /** Over the unix socket. */
  ask(path: string, init?: RequestInit): Promise<Response>;
}

async function start(home: string, more: Partial<ServeOptions> = {}): Promise<Started> {
  const stop = new AbortController();
  const ready = Promise.withResolvers<Ready>();
  let log = "";
  const over = serve({
    home,
    host: "127.0.0.1",
    port: 0,
    insecure: false,
    env: (name) => name === "HOME" ? dirname(home) : name === "PATH" ? Deno.env.get("PATH") : undefined,
    now: () => Date.now(),
    stop: stop.signal,
    commit: "test",
    onReady: ready.resolve,
    write: (bytes) => log += new TextDecoder().decode(bytes),
    ...more,
  });
  over.catch(ready.reject);
  const told = await ready.promise;
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: told.socket! } });
  let stopped = false;
  const started: Started = {
    ready: told,
    log: () => log,
    async stop() {
      if (stopped) return;
      stopped = true;
      client.close();
      stop.abort();
      await over;
    },
    ask: (path, init = {}) => fetch(`http://localhost${path}`, { ...init, client } as RequestInit),
    [Symbol.asyncDispose]: () => started.stop(),
  };
  return started;
}

async function withHome(test: (home: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "sky-serve-" });
  try {
    await test(join(folder, "server"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const post = (body: Record<string, unknown>): RequestInit => ({
  method: "POST",
  body: JSON.stringify({ env_vars: ENV_VARS, ...body }),
});

async function submit(server: Started, path: string, body: Record<string, unknown>): Promise<string> {
  const response = await server.ask(path, post(body));
  await response.body?.cancel();
  return response.headers.get(HEADERS.requestId)!;
}

async function get(server: Started, id: string) {
  return await (await server.ask(`/api/get?request_id=${id}`)).json();
}

const exists = (path: string) => Deno.lstat(path).then(() => true, () => false);

Deno.test("serve registers itself privately, answers, and leaves nothing but its state", () =>
  withHome(async (home) => {
    const paths = homePaths(home);
    const server = await start(home);
    const registration: Registration = JSON.parse(await Deno.readTextFile(paths.registration));
    assertEquals([registration.pid, registration.port, registration.socket], [
      Deno.pid,
      server.ready.port,
      paths.socket,
    ]);
    assertEquals(registration.url, `http://127.0.0.1:${server.ready.port}`);
    const mode = async (path: string) => (await Deno.lstat(path)).mode! & 0o777;
    for (const folder of [home, paths.requests, paths.nodes, paths.clusters, paths.clients]) {
      assertEquals([folder, await mode(folder)], [folder, 0o700]);
    }
    for (const file of [paths.registration, paths.socket, paths.serverLock, paths.database]) {
      assertEquals([file, (await mode(file)) & 0o077], [file, 0]);
    }
    const health = await (await server.ask("/api/health")).json();
    assertEquals([health.status, health.server_id, health.commit], ["healthy", registration.id, "test"]);
    const tcp = await fetch(`${registration.url}/api/health`);
    assertEquals(tcp.status, 200);
    await tcp.body?.cancel();
    await server.stop();
    assertEquals([await exists(paths.registration), await exists(paths.socket)], [false, false]);
    assertStringIncludes(server.log(), "Stopped");
  }));

Deno.test("a second server on the home refuses, naming the first's pid; a stale socket heals", () =>
  withHome(async (home) => {
    await Deno.mkdir(home, { mode: 0o755 });
    await Deno.writeTextFile(homePaths(home).socket, "stale");
    await Deno.writeTextFile(homePaths(home).registration, "{}");
    await using server = await start(home);
    const error = await assertRejects(() => start(home), SkyError, `pid ${Deno.pid}`);
    assertEquals(error.code, "server_start_failed");
    assertEquals(
      await server.ask("/api/health").then(async (answer) => (await answer.json()).status),
      "healthy",
    );
    assertEquals((await Deno.lstat(home)).mode! & 0o777, 0o700);
  }));

Deno.test("a taken port is one clear error and frees the home", () =>
  withHome(async (home) => {
    using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = other.addr as Deno.NetAddr;
    const error = await assertRejects(() => start(home, { port }), SkyError);
    assertEquals(error.code, "server_start_failed");
    await using _server = await start(home);
  }));

Deno.test("a home whose path is too long for a socket is served over TCP alone", () =>
  withHome(async (home) => {
    const deep = join(home, "x".repeat(120));
    const stop = new AbortController();
    const ready = Promise.withResolvers<Ready>();
    const over = serve({
      home: deep,
      host: "127.0.0.1",
      port: 0,
      insecure: false,
      env: () => undefined,
      now: () => Date.now(),
      stop: stop.signal,
      commit: "test",
      onReady: ready.resolve,
      write: () => {},
    });
    const { url, socket } = await ready.promise;
    assertEquals(socket, null);
    assertEquals(JSON.parse(await Deno.readTextFile(homePaths(deep).registration)).socket, null);
    const health = await fetch(`${url}/api/health`);
    assertEquals(health.status, 200);
    await health.body?.cancel();
    stop.abort();
    await over;
  }));

Deno.test("a corrupt database is refused and kept", () =>
  withHome(async (home) => {
    await Deno.mkdir(home);
    const file = homePaths(home).database;
    await Deno.writeTextFile(file, "this is no database ".repeat(500));
    const error = await assertRejects(() => start(home), SkyError);
    assertEquals(error.code, "database_corrupt");
    assertStringIncludes(error.message, file);
    assertStringIncludes(await Deno.readTextFile(file), "this is no database");
  }));

Deno.test("what was submitted is there after a restart; a running job is not disturbed", () =>
  withHome(async (home) => {
    const gate = join(dirname(home), "gate");
    const task =
      `resources:\n  infra: local\nrun: |\n  echo begun\n  while [ ! -e ${gate} ]; do sleep 0.05; done\n  echo ended\n`;
    let id: string;
    {
      await using server = await start(home);
      id = await submit(server, "/launch", { task, cluster_name: "r", quiet_optimizer: true });
      assertEquals((await get(server, id)).status, "SUCCEEDED");
    }
    {
      await using server = await start(home);
      assertEquals((await get(server, id)).status, "SUCCEEDED");
      const logs = await server.ask("/logs", post({ cluster_name: "r", job_id: null }));
      await Deno.writeTextFile(gate, "");
      const text = await logs.text();
      assertStringIncludes(text, "begun\n");
      assertStringIncludes(text, "ended\n");
      await get(server, await submit(server, "/down", { cluster_name: "r" }));
    }
  }));

Deno.test("stopping tells who reads a job's log to come back; the job goes on under the next server", () =>
  withHome(async (home) => {
    const gate = join(dirname(home), "gate");
    const setup = `while [ ! -e ${gate} ]; do sleep 0.05; done`;
    const task = `resources:\n  infra: local\nsetup: ${setup}\nrun: echo ran\n`;
    let id = "";
    {
      const server = await start(home);
      id = await submit(server, "/launch", { task, cluster_name: "s", quiet_optimizer: true });
      const job = (await get(server, id)).return_value;
      assertEquals(JSON.parse(job).job_id, 1);
      const reading = server.ask("/logs", post({ cluster_name: "s", job_id: 1 })).then((answer) =>
        answer.text()
      );
      await delay(100);
      await server.stop();
      assert((await reading).endsWith('"<retry></retry>"</sky-payload>\n'));
    }
    {
      await using server = await start(home);
      await Deno.writeTextFile(gate, "");
      const text = await (await server.ask("/logs", post({ cluster_name: "s", job_id: 1 }))).text();
      assertStringIncludes(text, "ran\n");
      await get(server, await submit(server, "/down", { cluster_name: "s" }));
    }
  }));

Deno.test("beyond loopback: a first token is told once, TCP needs it, the socket does not", () =>
  withHome(async (home) => {
    let token = "";
    {
      await using server = await start(home, { host: "0.0.0.0", wantsToken: true });
      token = server.ready.token!;
      assert(token.startsWith("sky_"));
      assert(!server.log().includes(token));
      const url = `http://127.0.0.1:${server.ready.port}/api/status`;
      const anonymous = await fetch(url);
      assertEquals(anonymous.status, 401);
      await anonymous.body?.cancel();
      const known = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
      assertEquals(known.status, 200);
      await known.body?.cancel();
      const local = await server.ask("/api/status");
      assertEquals(local.status, 200);
      await local.body?.cancel();
    }
    await using again = await start(home, { host: "0.0.0.0", wantsToken: true });
    assertEquals(again.ready.token, null);
    const known = await fetch(`http://127.0.0.1:${again.ready.port}/api/status`, {
      headers: { authorization: `Bearer ${token}` },
    });
    assertEquals(known.status, 200);
    await known.body?.cancel();
  }));

Deno.test("--insecure beyond loopback serves without tokens, still not for foreign hosts", () =>
  withHome(async (home) => {
    await using server = await start(home, { host: "0.0.0.0", insecure: true, wantsToken: true });
    assertEquals(server.ready.token, null);
    const open = await fetch(`http://127.0.0.1:${server.ready.port}/api/status`);
    assertEquals(open.status, 200);
    await open.body?.cancel();
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: server.ready.port });
    await connection.write(
      new TextEncoder().encode("GET /api/health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"),
    );
    assertStringIncludes(await new Response(connection.readable).text(), "HTTP/1.1 421");
  }));

Deno.test("parseServerArgs: defaults, deploy, SKY_PORT, what makes no sense", () => {
  const env = (name: string) => ({ HOME: "/h", SKY_PORT: "5000" })[name];
  const parse = (...args: string[]) => parseServerArgs(["-m", "sky.server.server", ...args], env);
  assertEquals(parse(), {
    home: "/h/.sky/server",
    host: "127.0.0.1",
    port: 5000,
    deploy: false,
    insecure: false,
    foreground: false,
  });
  assertEquals([parse("--deploy").host, parse("--deploy", "--host", "10.0.0.1").host], [
    "0.0.0.0",
    "10.0.0.1",
  ]);
  assertEquals([parse("--port", "0").port, parse("--port=99").port], [0, 99]);
  assertEquals(parse("--home", "/x", "--metrics-port", "9090", "--foreground").home, "/x");
  assertEquals(parseServerArgs([], () => undefined).port, 46580);
  for (const bad of [["--port", "x"], ["--port", "70000"], ["--nonsense"], ["word"]]) {
    try {
      parse(...bad);
      throw new Error(`${bad} was taken`);
    } catch (error) {
      assertEquals((error as SkyError).code, "usage");
    }
  }
});

/** Where packages lie already: HOME is another one there. */
const denoDir = Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`;

/** A server process of its own. */
function spawn(home: string, env: Record<string, string> = {}): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      join(root, "main.ts"),
      "__server",
      "-m",
      "sky.server.server",
      "--home",
      home,
      "--port",
      "0",
    ],
    env: { ...Deno.env.toObject(), DENO_DIR: denoDir, HOME: dirname(home), ...env },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function registered(home: string): Promise<Registration> {
  for (let tries = 0; tries < 1000; tries++) {
    try {
      return JSON.parse(await Deno.readTextFile(homePaths(home).registration));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    await delay(20);
  }
  throw new Error("the server did not register");
}

Deno.test("as a process: SIGHUP is nothing, SIGTERM a clean end, a second one waits for the home", () =>
  withHome(async (home) => {
    const first = spawn(home);
    const { pid, url } = await registered(home);
    assertEquals(pid, first.pid);
    Deno.kill(pid, "SIGHUP");
    const refused = await spawn(home).output();
    assertEquals(refused.code, 1);
    assertStringIncludes(new TextDecoder().decode(refused.stderr), `pid ${pid}`);
    const health = await fetch(`${url}/api/health`);
    assertEquals(health.status, 200);
    await health.body?.cancel();
    Deno.kill(pid, "SIGTERM");
    const { code, stderr } = await first.output();
    assertEquals(code, 0);
    assertStringIncludes(new TextDecoder().decode(stderr), "Stopped");
    assertEquals(await exists(homePaths(home).registration), false);
  }));

Deno.test("as a process: killed at a failpoint, the next one takes the home and the request up", () =>
  withHome(async (home) => {
    const first = spawn(home, { SKY_FAILPOINT: "after_insert" });
    const { socket } = await registered(home);
    const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket! } });
    await assertRejects(() => fetch("http://localhost/check", { ...post({}), client } as RequestInit));
    client.close();
    const { signal } = await first.output();
    assertEquals(signal, "SIGKILL");
    await using server = await start(home);
    const [row] = await (await server.ask("/api/status?all_status=true")).json();
    assertEquals(row.name, "sky.check");
    assertEquals((await get(server, row.request_id)).status, "SUCCEEDED");
  }));
