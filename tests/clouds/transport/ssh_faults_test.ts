/** Connections that break, freeze and stall; what is on the node then, and how it goes on. */
import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { SkyError } from "../../../core/errors.ts";
import { closeShells, sshShell } from "../../../clouds/transport/ssh/mod.ts";
import { Wire } from "../../support/wire.ts";
import { alive, signal, until } from "../support.ts";
import { mastersOf, type SshPlace, withRemoteNode, withSsh } from "./remote_support.ts";

async function pidIn(place: SshPlace, name: string): Promise<number> {
  return await until(
    async () => Number(await Deno.readTextFile(join(place.sshd.home, name)).catch(() => "0")),
    `${name} of a script`,
  );
}

/** Everything through a wire that can be cut. */
async function withWire(work: (place: SshPlace, wire: Wire) => Promise<void>): Promise<void> {
  let wire: Wire | null = null;
  try {
    await withSsh((place) => work(place, wire!), {
      host: (sshd) => {
        wire = new Wire(sshd.port);
        return { port: wire.port };
      },
    });
  } finally {
    await (wire as Wire | null)?.[Symbol.asyncDispose]();
  }
}

Deno.test("a cut connection is a network error, ends the script, and the next call makes a new one", () =>
  withWire(async (place, wire) => {
    const running = place.shell.exec("echo $$ >~/pid; trap '' TERM; sleep 100; sleep 100", { signal });
    const failed = assertRejects(() => running, SkyError, "connection to node of the test broke");
    const pid = await pidIn(place, "pid");
    wire.cut();
    assertEquals((await failed).code, "network");
    assertEquals((await place.shell.exec("echo back", { signal })).stdout, "back\n");
    assertEquals(wire.connections, 2);
    await until(() => !alive(pid), "the end of the script", 8_000);
  }));

Deno.test("a stalled connection is given up after some seconds of silence", () =>
  withWire(async ({ shell }, wire) => {
    await shell.exec("true", { signal });
    const running = shell.exec("sleep 100", { signal });
    wire.stall();
    const began = performance.now();
    const error = await assertRejects(() => running, SkyError);
    assertEquals(error.code, "network");
    assertLess(performance.now() - began, 20_000);
    wire.mend();
    assertEquals((await shell.exec("echo back", { signal })).stdout, "back\n");
  }));

Deno.test("a machine that accepts and says nothing is a network error after the connect limit", () =>
  withWire(async ({ shell }, wire) => {
    wire.stall();
    const began = performance.now();
    const error = await assertRejects(() => shell.exec("true", { signal }), SkyError, "Cannot reach");
    assertEquals(error.code, "network");
    assertLess(performance.now() - began, 10_000);
  }));

Deno.test("a slow connection is only slow", () =>
  withWire(async ({ shell }, wire) => {
    wire.delayMs = 60;
    const result = await shell.exec("cat; exit 3", { stdin: "x".repeat(200_000), signal });
    assertEquals([result.code, result.stdout.length], [3, 200_000]);
  }));

Deno.test("a master that was killed is replaced", () =>
  withSsh(async ({ shell, ctx }) => {
    await shell.exec("true", { signal });
    const [master] = await mastersOf(ctx.folder);
    const running = shell.exec("sleep 100", { signal });
    const failed = assertRejects(() => running, SkyError, "broke");
    await new Promise((resolve) => setTimeout(resolve, 200));
    Deno.kill(master!, "SIGKILL");
    assertEquals((await failed).code, "network");
    assertEquals((await shell.exec("echo back", { signal })).stdout, "back\n");
    const [next, ...more] = await mastersOf(ctx.folder);
    assert(next !== undefined && next !== master && more.length === 0);
  }));

Deno.test("a master that froze is noticed, ended and replaced", () =>
  withSsh(async ({ shell, ctx }) => {
    await shell.exec("true", { signal });
    const [master] = await mastersOf(ctx.folder);
    Deno.kill(master!, "SIGSTOP");
    const began = performance.now();
    // It was trusted a moment ago: the first call may be lost with it, the next one is not.
    await shell.exec("true", { signal }).catch((error) => assertEquals(error.code, "network"));
    assertEquals((await shell.exec("echo back", { signal })).stdout, "back\n");
    assertLess(performance.now() - began, 15_000);
    assert(!alive(master!));
    assertEquals((await mastersOf(ctx.folder)).length, 1);
  }));

Deno.test("an abort while the connection is being made leaves that to the others", () =>
  withWire(async ({ shell }, wire) => {
    wire.delayMs = 40;
    const abort = new AbortController();
    const first = shell.exec("true", { signal: abort.signal });
    const second = shell.exec("echo there", { signal });
    setTimeout(() => abort.abort(new SkyError("request_cancelled", "enough")), 50);
    await assertRejects(() => first, SkyError, "enough");
    assertEquals((await second).stdout, "there\n");
    assertEquals(wire.connections, 1);
  }));

Deno.test("an abort on a dead connection rejects in time and says that nothing is proven", () =>
  withWire(async (place, wire) => {
    const abort = new AbortController();
    const running = place.shell.exec("echo $$ >~/pid; sleep 100", { signal: abort.signal });
    await pidIn(place, "pid");
    wire.stall();
    const began = performance.now();
    abort.abort(new SkyError("request_cancelled", "enough"));
    await assertRejects(() => running, SkyError, "enough");
    assertLess(performance.now() - began, 10_000);
    assertEquals(place.lines.length, 1, place.lines.join());
    assert(place.lines[0]!.includes("may still run on node of the test"));
  }));

Deno.test("a server that dies takes its scripts with it, not its detached ones", () =>
  withSsh(async (place) => {
    const fixture = fromFileUrl(new URL("./fixture_ssh_server.ts", import.meta.url));
    const server = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", fixture, place.ctx.folder, JSON.stringify(place.host)],
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    const script = await pidIn(place, "script");
    const job = await pidIn(place, "job");
    server.kill("SIGKILL");
    await server.status;
    await until(() => !alive(script), "the end of the script", 8_000);
    assert(alive(job));
    // The next server takes over the connection.
    const masters = await mastersOf(place.ctx.folder);
    assertEquals(masters.length, 1);
    assertEquals((await place.shell.exec("echo back", { signal })).stdout, "back\n");
    assertEquals(await mastersOf(place.ctx.folder), masters);
    Deno.kill(job, "SIGKILL");
  }));

Deno.test("waitOutput and waitJobChange go on after a cut, and jobState tells what is wrong meanwhile", async () => {
  let wire: Wire | null = null;
  try {
    await withRemoteNode(async (node) => {
      const { runner, home } = node;
      const script = "echo a; while [ ! -e go ]; do sleep 0.02; done; echo b; exit 4";
      const start = { logDir: "1-t", phase: "run", output: "tasks/run.log", env: {}, script } as const;
      await runner.startJob(start, { signal });
      await runner.waitOutput("1-t", "run", { offset: 0, timeoutMs: 10_000, signal });
      await runner.jobState("1-t", "run", { signal });
      const more = runner.waitOutput("1-t", "run", { offset: 2, timeoutMs: 20_000, signal });
      const end = runner.waitJobChange("1-t", "run", { timeoutMs: 20_000, signal });
      wire!.cut({ refuse: true });
      const error = await assertRejects(async () => {
        for (;;) await runner.jobState("1-t", "run", { signal });
      }, SkyError);
      assertEquals(error.code, "network");
      wire!.mend();
      await Deno.writeTextFile(join(home, "sky_workdir/go"), "");
      const began = performance.now();
      await Promise.all([more, end]);
      assertLess(performance.now() - began, 10_000);
      await until(async () => (await runner.jobState("1-t", "run", { signal })).exitCode === 4, "the end");
      assertEquals(await node.output("1-t"), "a\nb\n");
    }, {
      host: (sshd) => {
        wire = new Wire(sshd.port);
        return { port: wire.port };
      },
    });
  } finally {
    await (wire as Wire | null)?.[Symbol.asyncDispose]();
  }
});

Deno.test("startJob over a line that is cut at any moment starts once, whole", async () => {
  for (const delay of [0, 15, 25, 35, 50]) {
    let wire: Wire | null = null;
    try {
      await withRemoteNode(async (node) => {
        await node.shell.exec("true", { signal });
        const script = `echo run >>count; : ${"x".repeat(100_000)}; exit 4`;
        const start = { logDir: "1-t", phase: "run", output: "tasks/run.log", env: {}, script } as const;
        const { promise: isCut, resolve } = Promise.withResolvers<void>();
        setTimeout(() => {
          wire!.cut();
          resolve();
        }, delay);
        const isNetwork = (error: SkyError) => assertEquals(error.code, "network");
        await node.runner.startJob(start, { signal }).catch(isNetwork);
        await isCut;
        // The first to come after a cut may be the one to notice it.
        await node.shell.exec("true", { signal }).catch(isNetwork);
        const { state } = await node.job(script);
        assertEquals(state.exitCode, 4);
        assertEquals(await node.file("sky_workdir/count"), "run\n");
      }, {
        host: (sshd) => {
          wire = new Wire(sshd.port);
          return { port: wire.port };
        },
      });
    } finally {
      await (wire as Wire | null)?.[Symbol.asyncDispose]();
    }
  }
});

Deno.test("a folder with a long or odd name has its sockets elsewhere, in a place of its own", async () => {
  await withSsh(async ({ ctx, host }) => {
    for (const name of ["x".repeat(90), "a 'b' %h \"c"]) {
      const folder = join(ctx.folder, name);
      await Deno.mkdir(folder);
      try {
        const shell = sshShell(host, { ...ctx, folder });
        assertEquals((await shell.exec("echo in", { signal })).stdout, "in\n");
        assertEquals((await mastersOf(folder)).length, 0, "its path is not short");
      } finally {
        await closeShells(folder);
      }
    }
  });
});
