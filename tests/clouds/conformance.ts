/**
 * The conformance suite: what every cloud must do, asked through the verbs of clusters/ in a real room with a real
 * database. It runs unchanged against all clouds; a Subject says how a test gets one with machines to launch on.
 * The cases are below; what must hold where a cloud has nothing to give is refusals.ts. Jobs are written in the few
 * words of WORDS, which real shells and the fake cloud understand alike.
 */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import type { Cloud, CommandRunner } from "../../clouds/cloud.ts";
import { cloudContext, serverAsker } from "../../clusters/asker.ts";
import { autostopTick, setAutostop } from "../../clusters/autostop.ts";
import { exec } from "../../clusters/exec.ts";
import { downloadLogs, followJob } from "../../clusters/job_logs.ts";
import { cancelJobs, jobQueue } from "../../clusters/jobs.ts";
import { launch } from "../../clusters/launch.ts";
import { down, start, stop } from "../../clusters/lifecycle.ts";
import { status } from "../../clusters/status.ts";
import type { Task } from "../../core/task.ts";
import { SkyError } from "../../core/errors.ts";
import {
  ALL,
  launchOptions,
  NO_END,
  type Server,
  task,
  type TestContext,
  textOf,
  until,
  World,
} from "../clusters/world.ts";
import { REFUSALS } from "./refusals.ts";

/** A kind of infra under test. */
export interface Subject {
  /** Begins the tests' names. */
  readonly name: string;
  /** What this machine lacks for it, in words: then its tests count as skipped. */
  readonly lacks?: string;
  /** False: it has nothing to give, ever. */
  readonly gives: boolean;
  /** Whether something can come between us and its nodes. */
  readonly canBeCut: boolean;
  /** Machines for one test, in which at least two nodes fit. `folder` is the test's, and the HOME of its server. */
  open(folder: string): Promise<Site>;
}

export interface Site extends AsyncDisposable {
  readonly cloud: Cloud;
  /** What a task writes under `resources: infra:`. */
  readonly infra: string;
  cut(): Promise<void>;
  heal(): Promise<void>;
  /**
   * What is there of clusters that are gone: processes, directories, claims. In words, for the message. `connected`:
   * a server is open and may hold connections, which are none.
   */
  leftovers(options: { connected: boolean }): Promise<readonly string[]>;
}

/** One test's things. */
export interface Stage {
  readonly world: World;
  readonly site: Site;
}

interface Case {
  readonly name: string;
  readonly where?: (subject: Subject, cloud: Cloud) => boolean;
  run(stage: Stage): Promise<void>;
}

const NEVER = new AbortController().signal;
const MINUTE = 60_000;
const START = { idleMinutes: null, waitFor: null, retryUntilUp: false, down: false, force: false };
const PATIENCE_MS = 60_000;

export const WORDS = `
hang() { sleep 600; }
env() { eval "echo \\"$1=\\\${$1-<unset>}\\""; }
save() { sky_file=$1; shift; echo "$*" > "$HOME/$sky_file"; }
show() { cat "$HOME/$1"; }
await() { while [ ! -e "$HOME/$1" ]; do sleep 0.05; done; }
rank() { if [ "$SKYPILOT_NODE_RANK" = "$1" ]; then shift; "$@"; fi; }
`;

/** A task for the site. `more` are lines of YAML, e.g. `num_nodes: 2`. */
export function job({ site }: Stage, script: readonly string[], more: readonly string[] = []): Task {
  const lines = [...WORDS.trim().split("\n"), ...script].map((line) => `  ${line}`);
  return task(["resources:", `  infra: ${site.infra}`, ...more, "run: |", ...lines].join("\n"));
}

/** Register the suite for a cloud. */
export function testConformance(subject: Subject, cloud: Cloud): void {
  const cases: readonly Case[] = subject.gives ? CASES : REFUSALS;
  for (const { name, where, run } of cases) {
    if (where !== undefined && !where(subject, cloud)) continue;
    const { lacks } = subject;
    const title = `${subject.name}: ${name}${lacks === undefined ? "" : ` (${lacks})`}`;
    Deno.test({ name: title, ignore: lacks !== undefined }, async () => {
      const folder = await Deno.makeTempDir({ prefix: "sky-conformance-" });
      try {
        await using site = await subject.open(folder);
        const stage: Stage = { world: new World(folder, [site.cloud]), site };
        try {
          await run(stage);
        } finally {
          await site.heal();
          await downAll(stage);
        }
        assertEquals(await settled(site, { connected: false }), [], "something is left");
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    });
  }
}

async function downAll({ world }: Stage): Promise<void> {
  await using server = await world.serve();
  for (const { name } of await server.room.clusters.list()) {
    await down(name, NO_END, server.context(), server.room);
  }
}

/** Leftovers, once connections have had the time to end. */
async function settled(site: Site, options = { connected: true }): Promise<readonly string[]> {
  let left = await site.leftovers(options);
  for (let tries = 0; left.length > 0 && tries < 50; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    left = await site.leftovers(options);
  }
  return left;
}

async function launched(
  stage: Stage,
  server: Server,
  script: readonly string[],
  more: readonly string[] = [],
) {
  const ctx = server.context();
  return { ...await launch(job(stage, script, more), launchOptions(), ctx, server.room), ctx };
}

async function executed(
  stage: Stage,
  server: Server,
  script: readonly string[],
  more: readonly string[] = [],
) {
  const options = { clusterName: "c1", dryrun: false };
  const { jobId } = await exec(job(stage, script, more), options, server.context(), server.room);
  return jobId!;
}

async function endOf(server: Server, jobId: number): Promise<{ text: string; code: number }> {
  const followed = await followJob("c1", jobId, ALL, server.context(), server.room);
  return { text: await textOf(followed.log), code: await followed.exitCode };
}

/** Its own lines of a job's log, without who says them. */
function said(text: string): string[] {
  return text.split("\n").flatMap((line) => /^\([^)]*pid=\d+[^)]*\) (.*)$/.exec(line)?.[1] ?? []);
}

async function hashOf(server: Server): Promise<string> {
  return (await server.room.clusters.get("c1"))!.hash;
}

async function jobStatusOf(server: Server, id: number): Promise<string | undefined> {
  return (await server.room.jobs.get(await hashOf(server), id))?.status;
}

async function saying(server: Server, id: number, words: string): Promise<string> {
  return await until(
    async () => {
      const options = { ...ALL, follow: false };
      const text = await textOf((await followJob("c1", id, options, server.context(), server.room)).log);
      return text.includes(words) && text;
    },
    `job ${id} says ${words}`,
    PATIENCE_MS,
  );
}

async function runnersOf({ site }: Stage, server: Server): Promise<readonly CommandRunner[]> {
  const { handle } = (await server.room.clusters.get("c1"))!;
  return site.cloud.runners(handle!, cloudContext(site.cloud, serverAsker(server.room, NEVER), server.room));
}

/** What `await FILE` waits for. */
async function give(stage: Stage, server: Server, file: string): Promise<void> {
  const path = join(stage.world.folder, file);
  await Deno.writeTextFile(path, "go\n");
  for (const runner of await runnersOf(stage, server)) {
    await runner.upload(path, `~/${file}`, { signal: NEVER });
  }
}

function refresh(server: Server, ctx: TestContext) {
  return status({ names: ["c1"], refresh: "FORCE", allUsers: true }, ctx, server.room);
}

const CASES: readonly Case[] = [
  {
    name: "launch makes the nodes, runs the job with SkyPilot's variables and tells its exit code",
    async run(stage) {
      await using server = await stage.world.serve();
      const script = ["echo hello", "env SKYPILOT_NUM_NODES", "env MINE", "exit 3"];
      const { jobId, cluster } = await launched(stage, server, script, ["envs: {MINE: 'a b'}"]);
      const { text, code } = await endOf(server, jobId!);
      assertEquals(said(text), ["hello", "SKYPILOT_NUM_NODES=1", "MINE=a b"], text);
      assertStringIncludes(text, "ERROR: Job 1 failed with return code list: [3]");
      assertEquals([code, cluster?.status, jobId], [100, "UP", 1]);
      assertEquals(server.faults, []);
    },
  },
  {
    name: "workdir, file_mounts and setup are there before the job",
    async run(stage) {
      const { folder } = stage.world;
      await Deno.mkdir(join(folder, "proj", "sub"), { recursive: true });
      await Deno.writeTextFile(join(folder, "proj", "sub", "main.txt"), "from the workdir\n");
      await Deno.writeTextFile(join(folder, "data.txt"), "from the mount\n");
      await using server = await stage.world.serve();
      const setup = [...WORDS.trim().split("\n"), "save ready set up"].map((line) => `  ${line}`);
      const more = [
        `workdir: ${join(folder, "proj")}`,
        `file_mounts: {~/data/in.txt: ${join(folder, "data.txt")}}`,
        "setup: |",
        ...setup,
      ];
      const script = ["show sky_workdir/sub/main.txt", "show data/in.txt", "show ready"];
      const { jobId } = await launched(stage, server, script, more);
      const { text, code } = await endOf(server, jobId!);
      assertEquals(said(text), ["from the workdir", "from the mount", "set up"], text);
      assertEquals(code, 0);
      await Deno.writeTextFile(join(folder, "proj", "sub", "main.txt"), "newer\n");
      const next = await executed(stage, server, ["show sky_workdir/sub/main.txt"], more.slice(0, 1));
      assertEquals(said((await endOf(server, next)).text), ["newer"]);
    },
  },
  {
    name: "exec and queue: jobs run in order beside and after each other, with ids from 1",
    async run(stage) {
      await using server = await stage.world.serve();
      await launched(stage, server, ["await go"]);
      const ids = [await executed(stage, server, ["echo second"]), await executed(stage, server, ["exit 1"])];
      assertEquals(ids, [2, 3]);
      const options = { skipFinished: false, allUsers: true };
      const queue = async () => await jobQueue("c1", options, server.context(), server.room);
      assertEquals((await queue()).map((one) => one.id), [3, 2, 1]);
      assertEquals((await queue()).at(-1)?.status, "RUNNING");
      await give(stage, server, "go");
      for (const id of [1, 2, 3]) await endOf(server, id);
      assertEquals((await queue()).map((one) => one.status), ["FAILED", "SUCCEEDED", "SUCCEEDED"]);
    },
  },
  {
    name: "logs are whole, in order, the same for every reader, and can be taken away",
    async run(stage) {
      await using server = await stage.world.serve();
      const lines = Array.from({ length: 300 }, (_, i) => `line ${i} ${"é".repeat(40)}`);
      const { jobId } = await launched(stage, server, ["await go", ...lines.map((line) => `echo ${line}`)]);
      const readers = [endOf(server, jobId!), endOf(server, jobId!)];
      await give(stage, server, "go");
      const [first, second] = await Promise.all(readers);
      assertEquals(said(first!.text), lines);
      assertEquals(first, second);
      const last = await followJob(
        "c1",
        jobId,
        { offset: null, tail: 2, follow: false },
        server.context(),
        server.room,
      );
      assertEquals(said(await textOf(last.log)), lines.slice(-2));
      const copies = await downloadLogs(
        "c1",
        { jobIds: null, targetDir: join(stage.world.folder, "copies") },
        server.context(),
        server.room,
      );
      const copy = await Deno.readTextFile(join(Object.values(copies)[0]!, "tasks", "run.log"));
      assertEquals(copy.trimEnd().split("\n"), lines);
    },
  },
  {
    name: "cancel ends a job's processes and the job",
    async run(stage) {
      await using server = await stage.world.serve();
      await launched(stage, server, ["echo begun", "hang"]);
      await saying(server, 1, "begun");
      const latest = { jobIds: null, all: false, allUsers: false };
      assertEquals(await cancelJobs("c1", latest, server.context(), server.room), [1]);
      const [runner] = await runnersOf(stage, server);
      const { logDir } = (await server.room.jobs.get(await hashOf(server), 1))!;
      assertEquals((await runner!.jobState(logDir, "run", { signal: NEVER })).alive, false);
      assertEquals([await jobStatusOf(server, 1), (await endOf(server, 1)).code], ["CANCELLED", 103]);
      assertEquals((await endOf(server, await executed(stage, server, ["echo next"]))).code, 0);
    },
  },
  {
    name: "stop ends jobs and keeps files, start brings the same nodes back, ids go on",
    where: (_subject, cloud) => cloud.capabilities.stop,
    async run(stage) {
      await using server = await stage.world.serve();
      await launched(stage, server, ["save note kept", "echo saved", "hang"]);
      await saying(server, 1, "saved");
      await stop("c1", NO_END, server.context(), server.room);
      assertEquals((await server.room.clusters.get("c1"))?.status, "STOPPED");
      assertEquals((await refresh(server, server.context()))[0]?.status, "STOPPED");
      await assertRejects(() => executed(stage, server, ["echo no"]), SkyError);
      await start("c1", START, server.context(), server.room);
      assertEquals(await jobStatusOf(server, 1), "FAILED_DRIVER");
      const id = await executed(stage, server, ["show note"]);
      assertEquals([id, said((await endOf(server, id)).text)], [2, ["kept"]]);
    },
  },
  {
    name: "stop is refused where a cloud can't",
    where: (_subject, cloud) => !cloud.capabilities.stop,
    async run(stage) {
      await using server = await stage.world.serve();
      await launched(stage, server, ["echo hi"]);
      const error = await assertRejects(
        () => stop("c1", NO_END, server.context(), server.room),
        SkyError,
      );
      assertEquals(error.code, "not_supported");
      assertEquals((await endOf(server, await executed(stage, server, ["echo on"]))).code, 0);
    },
  },
  {
    name: "down leaves nothing, under a running job too, and is fine when nothing is there",
    async run(stage) {
      await using server = await stage.world.serve();
      await launched(stage, server, ["echo begun", "hang"], ["num_nodes: 2"]);
      await saying(server, 1, "begun");
      await down("c1", NO_END, server.context(), server.room);
      assertEquals(await settled(stage.site), []);
      assertEquals(await server.room.clusters.list(), []);
      await down("c1", NO_END, server.context(), server.room);
      const error = await assertRejects(() => executed(stage, server, ["echo no"]), SkyError);
      assertEquals(error.code, "cluster_not_found");
    },
  },
  {
    name: "autostop waits for jobs, then takes the idle cluster down",
    async run(stage) {
      stage.world.clock = Date.now();
      await using server = await stage.world.serve();
      await launched(stage, server, ["await go"]);
      const change = { idleMinutes: 2, down: true, waitFor: "jobs" } as const;
      await setAutostop("c1", change, server.context(), server.room);
      stage.world.clock += 10 * MINUTE;
      await autostopTick(NEVER, server.room);
      assertEquals((await server.room.clusters.get("c1"))?.status, "UP", "a job runs");
      await give(stage, server, "go");
      await endOf(server, 1);
      const active = async () => (await server.room.clusters.get("c1"))!.lastActiveAt;
      await until(async () => await active() > stage.world.clock - MINUTE, "its end counts");
      stage.world.clock += MINUTE;
      await autostopTick(NEVER, server.room);
      assertEquals((await server.room.clusters.get("c1"))?.status, "UP", "not idle long enough");
      stage.world.clock += 2 * MINUTE;
      await autostopTick(NEVER, server.room);
      assertEquals(await server.room.clusters.list(), []);
      assertEquals([await settled(stage.site), server.faults], [[], []]);
    },
  },
  {
    name: "a gang runs on its nodes, and the first that fails ends the others with 137",
    async run(stage) {
      await using server = await stage.world.serve();
      const script = ["env SKYPILOT_NODE_RANK", "rank 1 await go", "rank 1 exit 7", "hang"];
      await launched(stage, server, script, ["num_nodes: 2"]);
      await saying(server, 1, "SKYPILOT_NODE_RANK=0");
      await saying(server, 1, "SKYPILOT_NODE_RANK=1");
      await give(stage, server, "go");
      const { text, code } = await endOf(server, 1);
      assertStringIncludes(text, "return code list: [137, 7] (A Worker failed with return code 7,");
      assertEquals(code, 100);
      const fine = await executed(stage, server, ["env SKYPILOT_NODE_RANK"], ["num_nodes: 2"]);
      const end = await endOf(server, fine);
      assertEquals(said(end.text).sort(), ["SKYPILOT_NODE_RANK=0", "SKYPILOT_NODE_RANK=1"]);
      assertEquals(end.code, 0);
    },
  },
  {
    name: "crash recovery: a launch cut short at any step and taken up again makes one cluster and one job",
    async run(stage) {
      const script = ["echo once", "exit 6"];
      for (
        const [step, when] of [["provision", "after"], ["sync", "before"], ["submit job", "after"]] as const
      ) {
        const requestId = crypto.randomUUID();
        const steps = new Map<string, unknown>();
        {
          await using server = await stage.world.serve();
          const onStep = (name: string, at: string) => {
            if (name === step && at === when) throw new Error("crash");
          };
          const ctx = server.context({ requestId, steps, onStep });
          await assertRejects(
            () => launch(job(stage, script), launchOptions(), ctx, server.room),
            Error,
            "crash",
          );
        }
        await using server = await stage.world.serve();
        const ctx = server.context({ requestId, steps });
        const { jobId, cluster } = await launch(job(stage, script), launchOptions(), ctx, server.room);
        const where = `crash ${when} ${step}`;
        assertEquals([jobId, cluster?.hash], [1, requestId], where);
        const { text, code } = await endOf(server, 1);
        assertEquals([said(text), code], [["once"], 100], where);
        assertStringIncludes(text, "return code list: [6]");
        assertEquals([(await server.room.jobs.list(requestId)).length, server.faults], [1, []], where);
        await down("c1", NO_END, server.context(), server.room);
        assertEquals(await settled(stage.site), [], where);
      }
    },
  },
  {
    name: "crash recovery: a job runs on without a server, once, and its exit code and whole log are found",
    async run(stage) {
      {
        await using server = await stage.world.serve();
        await launched(stage, server, ["echo before", "await go", "echo after", "exit 5"]);
        await saying(server, 1, "before");
      }
      {
        await using server = await stage.world.serve();
        assertEquals(await jobStatusOf(server, 1), "RUNNING");
        await give(stage, server, "go");
      }
      await using server = await stage.world.serve();
      const { text, code } = await endOf(server, 1);
      assertEquals([said(text), code], [["before", "after"], 100], text);
      assertStringIncludes(text, "return code list: [5]");
      assertEquals(server.faults, []);
    },
  },
  {
    name: "unreachable: status keeps the cluster and says so, jobs run on, and all is found when it heals",
    where: (subject) => subject.canBeCut,
    async run(stage) {
      await using server = await stage.world.serve();
      await launched(stage, server, ["echo before", "await go", "echo after", "exit 4"]);
      await saying(server, 1, "before");
      await stage.site.cut();
      for (let look = 0; look < 2; look++) {
        const ctx = server.context();
        const [record] = await refresh(server, ctx);
        assertEquals(record?.status, "UP", "one or two failed looks prove nothing");
        assert(/unreachable|cannot (be )?reach|refresh/i.test(ctx.lines.join("\n")), ctx.lines.join("\n"));
      }
      assertEquals(await jobStatusOf(server, 1), "RUNNING");
      await stage.site.heal();
      await until(
        async () => {
          const ctx = server.context();
          await refresh(server, ctx);
          return ctx.lines.length === 0;
        },
        "it is reached again",
        PATIENCE_MS,
      );
      await give(stage, server, "go");
      const { text, code } = await endOf(server, 1);
      assertEquals([said(text), code], [["before", "after"], 100], text);
      assertEquals((await refresh(server, server.context()))[0]?.status, "UP");
    },
  },
  {
    name: "double provision: the same name finds the same nodes, side by side too",
    async run(stage) {
      await using server = await stage.world.serve();
      const { cluster } = await launched(stage, server, ["save note mine", "echo hi"]);
      await endOf(server, 1);
      const { site: { cloud } } = stage;
      const ctx = cloudContext(cloud, serverAsker(server.room, NEVER), server.room);
      const { nameOnCloud, name: clusterName, numNodes, resources } = cluster!;
      const spec = { nameOnCloud, clusterName, numNodes, resources, previous: null };
      const before = await cloud.inspect(cluster!.handle!, ctx);
      const handles = await Promise.all([cloud.provision(spec, ctx), cloud.provision(spec, ctx)]);
      for (const handle of handles) assertEquals(await cloud.inspect(handle, ctx), before);
      const { jobId } = await launched(stage, server, ["show note"]);
      assertEquals(said((await endOf(server, jobId!)).text), ["mine"]);
      assertEquals(await cloud.inspect((await server.room.clusters.get("c1"))!.handle!, ctx), before);
    },
  },
  {
    name: "leak check: clusters side by side, then down of one leaves the other alone and nothing of itself",
    async run(stage) {
      await using server = await stage.world.serve();
      const small = job(stage, ["echo begun", "await go"]);
      await Promise.all(
        ["c1", "c2"].map((clusterName) =>
          launch(small, launchOptions({ clusterName }), server.context(), server.room)
        ),
      );
      await saying(server, 1, "begun");
      await down("c2", NO_END, server.context(), server.room);
      assertEquals(await jobStatusOf(server, 1), "RUNNING");
      await give(stage, server, "go");
      assertEquals((await endOf(server, 1)).code, 0);
      await down("c1", NO_END, server.context(), server.room);
      assertEquals(await settled(stage.site), []);
    },
  },
];
