import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { ended, makeNode, processEnv, signal, until, withNode } from "../support.ts";
import { jobContract } from "./job_contract.ts";

jobContract("local", withNode);

const fixture = fromFileUrl(new URL("./fixture_parent.ts", import.meta.url));
const start = { logDir: "1-t", phase: "run", output: "tasks/run.log", env: {} } as const;

function parent(root: string, script: string, ...words: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", fixture, root, script, ...words],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

Deno.test("startJob works without bash, by sh alone", async () => {
  const bin = await Deno.makeTempDir();
  for (const name of ["sh", "mkdir", "mv", "rm", "cat", "sleep"]) {
    await Deno.symlink(await Deno.realPath(`/bin/${name}`), join(bin, name));
  }
  try {
    const env = (name: string) => name === "PATH" ? bin : processEnv(name);
    await withNode(async (node) => {
      await Deno.writeTextFile(join(node.home, ".bashrc"), "echo not for sh");
      const script = 'echo "v=${BASH_VERSION-none} $X"\npwd\necho e >&2\nexit 5';
      const { state, output } = await node.job(script, { env: { X: "a'b" } });
      assertEquals(output, `v=none a'b\n${node.home}/sky_workdir\ne\n`);
      assertEquals(state.exitCode, 5);
      await node.runner.startJob({ ...start, logDir: "2-t", script: "sleep 60; echo on" }, { signal });
      await node.runner.killJob("2-t", "run", { graceMs: 10_000, signal });
      assertEquals((await node.runner.jobState("2-t", "run", { signal })).exitCode, 143);
      assertEquals(await node.output("2-t"), "");
    }, { env });
  } finally {
    await Deno.remove(bin, { recursive: true });
  }
});

Deno.test("startJob starts once: repeated, concurrently, and from several processes", () =>
  withNode(async (node) => {
    const script = "echo run >>count";
    const again = () => node.runner.startJob({ ...start, script }, { signal });
    const others = [parent(node.root, script, "twice"), parent(node.root, script, "twice")];
    await Promise.all([...Array.from({ length: 8 }, again), ...others.map((other) => other.output())]);
    await ended(node.runner, "1-t");
    await again();
    assertEquals(await node.file("sky_workdir/count"), "run\n");
    const left = await Array.fromAsync(Deno.readDir(join(node.home, "sky_logs/1-t/.job")));
    assertEquals(left.map((entry) => entry.name), ["run"]);
  }));

Deno.test("startJob survives kill -9 of its parent: the job goes on, its exit code is found", () =>
  withNode(async (node) => {
    const script = 'echo "$SECRET"; while [ ! -e go ]; do sleep 0.01; done; echo done; exit 9';
    const server = parent(node.root, script, "stay");
    const reader = server.stdout.getReader();
    assertStringIncludes(new TextDecoder().decode((await reader.read()).value), "started");
    server.kill("SIGKILL");
    await server.status;
    await reader.cancel();

    const restarted = makeNode(node.root);
    const state = await restarted.runner.jobState("1-t", "run", { signal });
    assertEquals([state.claimed, state.alive, state.exitCode], [true, true, null]);
    await restarted.runner.startJob({ ...start, script: "echo twice" }, { signal });
    await Deno.writeTextFile(join(node.home, "sky_workdir/go"), "");
    assertEquals((await ended(restarted.runner, "1-t")).exitCode, 9);
    assertEquals(await restarted.output("1-t"), "s3\ndone\n");
  }));

Deno.test("startJob interrupted by kill -9 at any moment is finished or done by the next, and runs once", async () => {
  for (const delay of [0, 2, 5, 10, 20]) {
    await withNode(async (node) => {
      const script = "echo run >>count; exit 4";
      const server = parent(node.root, script, "stay");
      // The moment of interest: while it writes, spawns and waits for the claim.
      await until(() => Deno.stat(join(node.home, "sky_logs/1-t/.job")).catch(() => null), "the attempt");
      await new Promise((resolve) => setTimeout(resolve, delay));
      server.kill("SIGKILL");
      await server.output();
      await node.runner.startJob({ ...start, script }, { signal });
      assertEquals((await ended(node.runner, "1-t")).exitCode, 4);
      assertEquals(await node.file("sky_workdir/count"), "run\n");
    });
  }
});

Deno.test("waitJobChange wakes for a job of an earlier server that is killed", () =>
  withNode(async (node) => {
    const server = parent(node.root, "echo up; sleep 100");
    await server.output();
    await node.runner.waitOutput("1-t", "run", { offset: 0, timeoutMs: 20_000, signal });
    const { pid } = await node.runner.jobState("1-t", "run", { signal });
    const woken = node.runner.waitJobChange("1-t", "run", { timeoutMs: 20_000, signal });
    Deno.kill(pid!, "SIGKILL");
    const began = performance.now();
    await woken;
    assert(performance.now() - began < 3_000);
    await node.runner.killJob("1-t", "run", { graceMs: 5_000, signal });
  }));
