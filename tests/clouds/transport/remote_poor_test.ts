/** Nodes that have little: no bash, no rsync, no setsid, no grep; and one job that does evil things to its files. */
import { assert, assertEquals, assertLess } from "@std/assert";
import { join } from "@std/path";
import { ended, signal, until } from "../support.ts";
import { withSource } from "./files_contract.ts";
import { type RemoteTestNode, withRemoteNode } from "./remote_support.ts";

const start = { logDir: "1-t", phase: "run", output: "tasks/run.log", env: {} } as const;

/** All that a node needs, and what the tests' own jobs call. */
const PROGRAMS = ["sh", "mkdir", "mv", "rm", "ln", "head", "tail", "cat", "tar", "ls", "sleep"];

async function withPoorNode(work: (node: RemoteTestNode) => Promise<void>): Promise<void> {
  const bin = await Deno.makeTempDir();
  try {
    for (const name of PROGRAMS) await Deno.symlink(await Deno.realPath(`/bin/${name}`), join(bin, name));
    await withRemoteNode(work, { path: bin });
  } finally {
    await Deno.remove(bin, { recursive: true });
  }
}

Deno.test("startJob works without bash and setsid, by sh alone", () =>
  withPoorNode(async (node) => {
    const script = 'echo "v=${BASH_VERSION-none} $X"\npwd\necho e >&2\nexit 5';
    const { state, output } = await node.job(script, { env: { X: "a'b" } });
    assertEquals(output, `v=none a'b\n${node.home}/sky_workdir\ne\n`);
    assertEquals(state.exitCode, 5);
    await node.runner.startJob({ ...start, logDir: "2-t", script: "sleep 60; echo on" }, { signal });
    await node.sshd.restart();
    const running = await until(
      () => node.runner.jobState("2-t", "run", { signal }).catch(() => null),
      "the node after a restart of sshd",
    );
    assertEquals([running.alive, running.exitCode], [true, null]);
    await node.runner.killJob("2-t", "run", { graceMs: 10_000, signal });
    assertEquals((await node.runner.jobState("2-t", "run", { signal })).exitCode, 143);
    assertEquals(await node.output("2-t"), "");
  }));

Deno.test("killJob works without bash, setsid, grep and tr: whole sessions and strays by their mark", () =>
  withPoorNode(async (node) => {
    const script = `trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & /usr/bin/setsid sleep 100 &
echo up; while :; do sleep 1; done`;
    await node.runner.startJob({ ...start, script }, { signal });
    await node.runner.waitOutput("1-t", "run", { offset: 0, timeoutMs: 20_000, signal });
    const began = performance.now();
    await node.runner.killJob("1-t", "run", { graceMs: 300, signal });
    const took = performance.now() - began;
    assert(took >= 300 && took < 8_000, `${took} ms`);
    assertEquals((await node.runner.jobState("1-t", "run", { signal })).alive, false);
  }));

Deno.test("upload again works without rsync on the node", () =>
  withPoorNode(async (node) => {
    const source = await withSource(node, { "a": "1", "sub/b": "2" });
    await node.runner.upload(source, "~/sky_workdir", { signal });
    await Deno.writeTextFile(join(source, "a"), "changed");
    await node.runner.upload(source, "~/sky_workdir", { signal });
    assertEquals([await node.file("sky_workdir/a"), await node.file("sky_workdir/sub/b")], ["changed", "2"]);
  }));

Deno.test("a job that tampers with its own files harms nobody's view but its own", () =>
  withRemoteNode(async (node) => {
    const evil = `cd ../sky_logs/1-t/.job/run
rm -f pid exit log
mkfifo pid
head -c 3000000 /dev/zero >exit
ln -s /dev/zero log
cd ..; mkdir "$(printf 'new\\nline')"
echo up >&2; while :; do sleep 1; done`;
    await node.runner.startJob({ ...start, script: evil }, { signal });
    await until(
      () => Deno.lstat(join(node.home, "sky_logs/1-t/.job/new\nline")).catch(() => null),
      "the harm",
    );
    const began = performance.now();
    const state = await node.runner.jobState("1-t", "run", { signal });
    assertEquals(state, { claimed: true, pid: null, alive: false, exitCode: null });
    const none = await node.runner.readOutput("1-t", "run", { offset: 0, limit: 100, signal });
    assertEquals(none.length, 0);
    const waits = node.runner.waitOutput("1-t", "run", { offset: 0, timeoutMs: 300, signal });
    await node.runner.startJob({ ...start, logDir: "2-t", script: "echo fine; exit 6" }, { signal });
    await waits;
    assertEquals((await ended(node.runner, "2-t")).exitCode, 6);
    assertEquals(await node.output("2-t"), "fine\n");
    assertLess(performance.now() - began, 10_000);
    // Its session's leader is on record no more: the mark finds it.
    await node.runner.killJob("1-t", "run", { graceMs: 100, signal });
  }));

Deno.test("jobState reads exit files that hold anything else as no code", () =>
  withRemoteNode(async (node) => {
    await node.job("exit 3");
    const exit = join(node.home, "sky_logs/1-t/.job/run/exit");
    for (const text of ["", "abc", "1234", "-1", "3 3", "\0\0\0", "7\n7", "$(id)", "*", "9".repeat(100)]) {
      await Deno.writeTextFile(exit, text);
      assertEquals(
        (await node.runner.jobState("1-t", "run", { signal })).exitCode,
        null,
        JSON.stringify(text),
      );
    }
    await Deno.writeTextFile(exit, "12  ");
    assertEquals((await node.runner.jobState("1-t", "run", { signal })).exitCode, 12);
  }));

Deno.test("the first output is seen at once, and a look costs little", () =>
  withRemoteNode(async (node) => {
    await node.runner.jobState("1-t", "run", { signal });
    const times: number[] = [];
    for (let i = 1; i <= 5; i++) {
      const logDir = `${i}-t`;
      const script = "while [ ! -e go ]; do sleep 0.005; done; rm go; echo up";
      await node.runner.startJob({ ...start, logDir, script }, { signal });
      const seen = node.runner.waitOutput(logDir, "run", { offset: 0, timeoutMs: 20_000, signal });
      await new Promise((resolve) => setTimeout(resolve, 150));
      const began = performance.now();
      await Deno.writeTextFile(join(node.home, "sky_workdir/go"), "");
      await seen;
      times.push(performance.now() - began);
      await ended(node.runner, logDir);
    }
    assertLess(Math.min(...times), 250, times.map((time) => time.toFixed(0)).join(" "));
  }));

Deno.test("many jobs at once are started, watched and read over one connection", () =>
  withRemoteNode(async (node) => {
    const names = Array.from({ length: 30 }, (_, i) => `${i + 1}-t`);
    await Promise.all(names.map(async (logDir, i) => {
      await node.runner.startJob({ ...start, logDir, script: `echo ${i}; exit ${i}` }, { signal });
      assertEquals((await ended(node.runner, logDir)).exitCode, i);
      assertEquals(await node.output(logDir), `${i}\n`);
    }));
    assertEquals((await Deno.readTextFile(node.sshd.log)).match(/Accepted publickey/g)?.length, 1);
  }));
