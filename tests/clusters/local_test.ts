/** The verbs on the real cloud `local`: real processes in temp homes. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { local } from "../../clouds/local/mod.ts";
import { exec } from "../../clusters/exec.ts";
import { followJob } from "../../clusters/job_logs.ts";
import { cancelJobs } from "../../clusters/jobs.ts";
import { launch } from "../../clusters/launch.ts";
import { down, start, stop } from "../../clusters/lifecycle.ts";
import { SkyError } from "../../core/errors.ts";
import { ALL, launchOptions, NO_END, type Server, task, textOf, until, World } from "./world.ts";

/** A world with this machine as its only cloud; nothing is left of it, processes included. */
async function onLocal(work: (world: World) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "sky-local-" });
  const world = new World(folder, [local]);
  try {
    await work(world);
  } finally {
    {
      await using server = await world.serve();
      for (const { name } of await server.room.clusters.list()) {
        await down(name, { ...NO_END, purge: true }, server.context(), server.room);
      }
    }
    await Deno.remove(folder, { recursive: true });
  }
}

async function endOf(server: Server, jobId: number | null): Promise<{ text: string; code: number }> {
  const followed = await followJob("c1", jobId, ALL, server.context(), server.room);
  return { text: await textOf(followed.log), code: await followed.exitCode };
}

async function isAlive(pid: number): Promise<boolean> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
  return stat !== "" && !/\) [ZX] /.test(stat);
}

Deno.test("local: launch runs a job and shows its output", async () => {
  await onLocal(async (world) => {
    await using server = await world.serve();
    const ctx = server.context();
    const { jobId } = await launch(
      task("name: sky-cmd\nrun: echo hello; pwd; exit 3"),
      launchOptions(),
      ctx,
      server.room,
    );
    const { text, code } = await endOf(server, jobId);
    assertEquals(ctx.lines.slice(-6), [
      "⚙︎ Launching on Local.",
      "└── Instance is up.",
      "✓ Cluster launched: c1.  View logs: sky logs --provision c1",
      "⚙︎ Syncing files.",
      "⚙︎ Job submitted, ID: 1",
      "",
    ]);
    assert(/\(sky-cmd, pid=\d+\) hello\n\(sky-cmd, pid=\d+\) \/.*\/sky_workdir\n/.test(text), text);
    assertStringIncludes(text, "ERROR: Job 1 failed with return code list: [3] \n");
    assertEquals(code, 100);
    assertEquals(server.faults, []);
  });
});

Deno.test("local: two nodes have their own homes and addresses, and a failure ends the other", async () => {
  await onLocal(async (world) => {
    await using server = await world.serve();
    const script = [
      "num_nodes: 2",
      "workdir: " + join(world.folder, "proj"),
      "setup: echo setup $SKYPILOT_SETUP_NODE_RANK > ~/ready",
      "run: |",
      "  cat ~/ready main.txt; echo $SKYPILOT_NODE_IPS | wc -w",
      "  if [ $SKYPILOT_NODE_RANK = 1 ]; then sleep 0.3; exit 9; fi",
      "  sleep 60",
    ].join("\n");
    await Deno.mkdir(join(world.folder, "proj"));
    await Deno.writeTextFile(join(world.folder, "proj", "main.txt"), "from the workdir\n");
    const { jobId } = await launch(task(script), launchOptions(), server.context(), server.room);
    const { text, code } = await endOf(server, jobId);
    assert(/\(head, rank=0, pid=\d+\) setup 0\n/.test(text), text);
    assert(/\(worker1, rank=1, pid=\d+, ip=127\.[\d.]+\) setup 1\n/.test(text), text);
    assertEquals(text.split("from the workdir\n").length, 3);
    assertEquals(text.split(") 2\n").length, 3);
    assertStringIncludes(text, "return code list: [137, 9] (A Worker failed with return code 9,");
    assertEquals(code, 100);
  });
});

Deno.test("local: cancel kills the whole tree, one that ignores TERM too", async () => {
  await onLocal(async (world) => {
    await using server = await world.serve();
    const run =
      "run: |\n  trap '' TERM\n  sleep 300 & echo child $!\n  (trap '' TERM; sleep 300) & echo child $!\n  wait";
    const { jobId } = await launch(task(run), launchOptions(), server.context(), server.room);
    const followed = await followJob("c1", jobId, ALL, server.context(), server.room);
    const reader = followed.log.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (text.split("child ").length < 3) text += (await reader.read()).value ?? "";
    const pids = [...text.matchAll(/child (\d+)/g)].map((match) => Number(match[1]));
    assertEquals(await Promise.all(pids.map(isAlive)), [true, true]);
    const latest = { jobIds: null, all: false, allUsers: false };
    assertEquals(await cancelJobs("c1", latest, server.context(), server.room), [1]);
    assertEquals(await Promise.all(pids.map(isAlive)), [false, false]);
    await reader.cancel();
    assertEquals(await followed.exitCode, 103);
  });
});

Deno.test("local: stop keeps files and ids, start revives, down leaves nothing", async () => {
  await onLocal(async (world) => {
    await using server = await world.serve();
    await launch(
      task("run: echo kept > ~/note; echo home=$HOME; sleep 300"),
      launchOptions(),
      server.context(),
      server.room,
    );
    const { hash } = (await server.room.clusters.get("c1"))!;
    const peek = async () => {
      const followed = await followJob("c1", 1, { ...ALL, follow: false }, server.context(), server.room);
      return / home=(.*)\n/.exec(await textOf(followed.log))?.[1];
    };
    const home = await until(peek, "it wrote");
    await stop("c1", NO_END, server.context(), server.room);
    assertEquals((await server.room.jobs.get(hash, 1))?.status, "FAILED_DRIVER");
    const options = { idleMinutes: null, waitFor: null, retryUntilUp: false, down: false, force: false };
    await start("c1", options, server.context(), server.room);
    const { jobId } = await exec(
      task("run: cat ~/note"),
      { clusterName: "c1", dryrun: false },
      server.context(),
      server.room,
    );
    assertEquals(jobId, 2);
    assertStringIncludes((await endOf(server, 2)).text, ") kept\n");
    await down("c1", NO_END, server.context(), server.room);
    assertEquals(await Deno.stat(home).then(() => "there", () => "gone"), "gone");
  });
});

Deno.test("local: a git workdir is cloned at its ref, and moved on by the next launch", async () => {
  await onLocal(async (world) => {
    const repo = join(world.folder, "repo");
    const git = async (...args: string[]) => {
      const settings = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"];
      const { success, stdout } = await new Deno.Command("git", { args: ["-C", repo, ...settings, ...args] })
        .output();
      assert(success, args.join(" "));
      return new TextDecoder().decode(stdout).trim();
    };
    await Deno.mkdir(repo);
    await git("init", "-q");
    const commits: string[] = [];
    for (const text of ["one", "two"]) {
      await Deno.writeTextFile(join(repo, "file"), text);
      await git("add", "file");
      await git("commit", "-q", "-m", text);
      commits.push(await git("rev-parse", "HEAD"));
    }
    await git("tag", "v2");
    await using server = await world.serve();
    const fileAt = async (ref: string | null) => {
      const job = { ...task("run: cat file; echo"), workdir: { url: repo, ref } };
      const { jobId } = await launch(job, launchOptions(), server.context(), server.room);
      return / pid=\d+\) (.*)\n/.exec((await endOf(server, jobId)).text)?.[1];
    };
    assertEquals(await fileAt(commits[0] ?? null), "one");
    assertEquals(await fileAt(null), "two");
    assertEquals(await fileAt("v2"), "two");
    assertEquals(await fileAt(commits[0]?.slice(0, 10) ?? null), "one");
    const error = await assertRejects(() => fileAt("nowhere"), SkyError);
    assertEquals(error.code, "command_failed");
  });
});

Deno.test("local: jobs outlive a server that is killed, and the log stays exact", async () => {
  await onLocal(async (world) => {
    const lines = 400;
    {
      await using server = await world.serve();
      const run = `run: "for i in $(seq ${lines}); do echo line-$i; sleep 0.01; done; exit 6"`;
      await launch(task(`name: t\n${run}`), launchOptions(), server.context(), server.room);
    }
    const serverScript = new URL("./server_to_kill.ts", import.meta.url).pathname;
    const { hash } = await clusterOf(world);
    const path = join(world.home.clusters, hash, "jobs", "1", "run.log");
    let seen = new Uint8Array();
    for (let kill = 0; kill < 4; kill++) {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", serverScript, world.folder],
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      const reader = child.stdout.getReader();
      await reader.read();
      await new Promise((resolve) => setTimeout(resolve, 100 + 150 * kill));
      child.kill("SIGKILL");
      await child.status;
      await reader.cancel();
      const now = await Deno.readFile(path);
      assertEquals(now.slice(0, seen.length), seen, "what was seen stays");
      seen = now;
    }
    await using server = await world.serve();
    const { text, code } = await endOf(server, 1);
    assertEquals((await Deno.readFile(path)).slice(0, seen.length), seen);
    const numbers = [...text.matchAll(/^\(t, pid=\d+\) line-(\d+)$/gm)].map((match) => Number(match[1]));
    assertEquals(numbers, Array.from({ length: lines }, (_, i) => i + 1));
    assertStringIncludes(text, "return code list: [6]");
    assertEquals([code, text.split("Job started").length, text.split("Job finished").length], [100, 2, 2]);
    assertEquals(server.faults, []);
  });
});

async function clusterOf(world: World) {
  await using server = await world.serve();
  return (await server.room.clusters.get("c1"))!;
}
