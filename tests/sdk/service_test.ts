import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import type { Registration } from "../../api/wire.ts";
import { SkyError } from "../../core/errors.ts";
import { type HomePaths, homePaths } from "../../core/paths.ts";
import { isAlive } from "../../sdk/alive.ts";
import { createSky } from "../../sdk/client.ts";
import { compareVersions } from "../../sdk/local_server.ts";
import { ensureServer, serverInfo, stopServer, wasStopped } from "../../sdk/service.ts";

const SERVER = fromFileUrl(new URL("./fixtures/server.ts", import.meta.url));
const FIRST = fromFileUrl(new URL("./fixtures/first_command.ts", import.meta.url));
const program = [Deno.execPath(), "run", "-A", SERVER];

/** A home of its own, whose server is gone at the end. */
async function withHome(work: (home: HomePaths) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "sky-test-" });
  const home = homePaths(root);
  try {
    await work(home);
  } finally {
    const left = serverInfo(home);
    if (left !== null) {
      Deno.kill(left.pid, "SIGKILL");
      await reaped(left.pid);
    }
    await Deno.remove(root, { recursive: true });
  }
}

/** Gone from the process table, and our own child handle told. */
async function reaped(pid: number): Promise<void> {
  const there = () => Deno.stat(`/proc/${pid}`).then(() => true, () => false);
  do await new Promise((resolve) => setTimeout(resolve, 5)); while (await there());
  await new Promise((resolve) => setTimeout(resolve, 5));
}

async function starts(home: HomePaths): Promise<number> {
  return (await Deno.readTextFile(join(home.root, "starts"))).trim().split("\n").length;
}

async function ask(server: Registration): Promise<string> {
  using sky = createSky({
    endpoint: server.url,
    socket: server.socket,
    user: { id: "fcd1e5cf", name: "alice" },
    env: () => undefined,
    config: {},
    command: "sky status",
    remote: false,
  });
  return await sky.status({});
}

Deno.test("ensureServer starts a detached server that answers on its socket, once", async () => {
  await withHome(async (home) => {
    const messages: string[] = [];
    const server = await ensureServer({ home, program, onStart: (message) => messages.push(message) });
    assertEquals(await ask(server), String(server.pid));
    assertEquals(messages, ["Starting a local server."]);
    assertEquals((await ensureServer({ home, program })).pid, server.pid);
    assertEquals(await starts(home), 1);
    // a session of its own, so that it survives our terminal
    const stat = await Deno.readTextFile(`/proc/${server.pid}/stat`);
    const session = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[3];
    assertEquals(session, String(server.pid));
    const line = await Deno.readTextFile(`/proc/${server.pid}/cmdline`);
    assertStringIncludes(line.replaceAll("\0", " "), "-m sky.server.server");
    assertEquals(((await Deno.stat(home.serverLog)).mode ?? 0) & 0o777, 0o600);
  });
});

Deno.test("ensureServer by 20 processes at once starts exactly one server", async () => {
  await withHome(async (home) => {
    const runs = await Promise.all(Array.from({ length: 20 }, async () => {
      const command = new Deno.Command(Deno.execPath(), { args: ["run", "-A", FIRST, home.root] });
      const { success, stdout, stderr } = await command.output();
      return { success, pid: new TextDecoder().decode(stdout), error: new TextDecoder().decode(stderr) };
    }));
    for (const run of runs) assert(run.success, run.error);
    assertEquals(new Set(runs.map((run) => run.pid)).size, 1);
    assertEquals(await starts(home), 1);
  });
});

Deno.test("ensureServer tells the last words of a server that dies at once", async () => {
  await withHome(async (home) => {
    const failing = ensureServer({ home, program, args: ["--fail"] });
    const error = await assertRejects(() => failing, SkyError, "cannot open the database");
    assertEquals(error.code, "server_start_failed");
    assertStringIncludes(error.message, "exit code 3");
    assertEquals(String(error.details["log"]).length, 8 * 1024);
    assertStringIncludes(error.hint ?? "", home.serverLog);
  });
});

Deno.test("ensureServer tells of a program that cannot be run", async () => {
  await withHome(async (home) => {
    const missing = [join(home.root, "no-such-program")];
    const error = await assertRejects(() => ensureServer({ home, program: missing }), SkyError, "ENOENT");
    assertEquals(error.code, "server_start_failed");
  });
});

Deno.test("ensureServer heals a registration left by a killed server", async () => {
  await withHome(async (home) => {
    const first = await ensureServer({ home, program });
    Deno.kill(first.pid, "SIGKILL");
    await reaped(first.pid);
    assertEquals(serverInfo(home), null);
    const second = await ensureServer({ home, program });
    assert(second.pid !== first.pid);
    assertEquals(await ask(second), String(second.pid));
  });
});

Deno.test("serverInfo is not fooled by a pid that another process has now, nor by garbage", async () => {
  await withHome(async (home) => {
    const stale = {
      url: "http://127.0.0.1:1",
      socket: null,
      version: "1.0.0",
      id: "x",
      port: 1,
      pid: Deno.pid,
    };
    await Deno.writeTextFile(home.registration, JSON.stringify({ ...stale, startTime: "1" }));
    assertEquals(serverInfo(home), null);
    for (const text of ["", "{", "null", "[]", JSON.stringify({ ...stale, startTime: 5 })]) {
      await Deno.writeTextFile(home.registration, text);
      assertEquals(serverInfo(home), null);
    }
  });
});

Deno.test("ensureServer replaces an older server that has nothing to do", async () => {
  await withHome(async (home) => {
    const old = await ensureServer({ home, program, args: ["--version", "0.9.0"], version: "0.9.0" });
    const messages: string[] = [];
    const fresh = await ensureServer({ home, program, onStart: (message) => messages.push(message) });
    assert(fresh.pid !== old.pid && !isAlive(old));
    await reaped(old.pid);
    assertStringIncludes(messages[0] ?? "", "Replacing");
  });
});

Deno.test("ensureServer keeps an older server that is busy and says so, and a newer one", async () => {
  await withHome(async (home) => {
    const busy = await ensureServer({
      home,
      program,
      args: ["--version", "0.9.0", "--busy"],
      version: "0.9.0",
    });
    const messages: string[] = [];
    const kept = await ensureServer({ home, program, onStart: (message) => messages.push(message) });
    assertEquals(kept.pid, busy.pid);
    assertStringIncludes(messages[0] ?? "", "sky api stop; sky api start");
    assertEquals((await ensureServer({ home, program, version: "0.8.0" })).pid, busy.pid);
    assertEquals(await starts(home), 1);
  });
});

Deno.test("ensureServer does not wait forever for a server that never answers", async () => {
  await withHome(async (home) => {
    const starting = ensureServer({ home, program, args: ["--deaf"], limit: 3_000 });
    const error = await assertRejects(() => starting, SkyError, "did not answer");
    assertEquals(error.code, "server_start_failed");
  });
});

Deno.test("stopServer ends the server, leaves a mark, and is false when none runs", async () => {
  await withHome(async (home) => {
    assertEquals(await stopServer(home), false);
    const server = await ensureServer({ home, program });
    assertEquals(await wasStopped(home), false);
    assertEquals(await stopServer(home), true);
    assertEquals([isAlive(server), serverInfo(home), await wasStopped(home)], [
      false,
      null,
      true,
    ]);
    assertEquals(await stopServer(home), false);
    await ensureServer({ home, program });
    assertEquals(await wasStopped(home), false);
  });
});

Deno.test("isAlive knows dead processes and zombies", () => {
  assertEquals(isAlive({ pid: 4_000_000, startTime: "1" }), false);
  assertEquals(isAlive({ pid: 4_000_000, startTime: "" }), false);
  assertEquals(isAlive({ pid: Deno.pid, startTime: "" }), true);
});

Deno.test("compareVersions orders releases and their dev builds", () => {
  const order = ["0.9.0", "0.12.0", "1.0.0-dev0", "1.0.0-dev1", "1.0.0", "1.0.1", "1.10.0"];
  for (let i = 1; i < order.length; i++) {
    assert(compareVersions(order[i - 1]!, order[i]!) < 0, `${order[i - 1]} < ${order[i]}`);
    assert(compareVersions(order[i]!, order[i - 1]!) > 0);
    assertEquals(compareVersions(order[i]!, order[i]!), 0);
  }
});
