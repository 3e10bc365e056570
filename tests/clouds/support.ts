/** What the tests of clouds/ share: a temp node with real processes, and a look at who was left behind. */
import { join } from "@std/path";
import type { CommandRunner, JobPhase, JobStart, JobState } from "../../clouds/cloud.ts";
import type { Env } from "../../core/paths.ts";
import { LocalRunner } from "../../clouds/transport/local.ts";
import { killAllLocalJobs } from "../../clouds/transport/local_jobs.ts";
import { isMarked, scanProcesses } from "../../clouds/transport/process_table.ts";

export const signal = new AbortController().signal;
export const processEnv: Env = (name) => Deno.env.get(name);

/** Polls until `check` gives something true; fails, naming `what`, after `ms`. */
export async function until<T>(
  check: () => Promise<T> | T,
  what: string,
  ms = 20_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + ms;
  while (performance.now() < deadline) {
    const value = await check();
    if (value) return value as NonNullable<T>;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`waited ${ms} ms in vain for: ${what}`);
}

export interface TestNode {
  readonly root: string;
  readonly cluster: string;
  readonly home: string;
  readonly runner: CommandRunner;
  readonly notes: string[];
  /** Run a script as a phase of a job to its end. */
  job(script: string, options?: Partial<JobStart>): Promise<{ state: JobState; output: string }>;
  output(logDir: string, phase?: JobPhase): Promise<string>;
  file(path: string): Promise<string | null>;
}

/** Gives a test its own node and takes it away. */
export type WithNode = (work: (node: TestNode) => Promise<void>) => Promise<void>;

export interface NodeOptions {
  readonly env?: Env;
}

/** A node in a temp directory; afterwards everything on it is killed, and must not have been there. */
export async function withNode(work: (node: TestNode) => Promise<void>, options: NodeOptions = {}) {
  const root = await Deno.makeTempDir({ prefix: "sky node " });
  const node = makeNode(root, options);
  await Deno.mkdir(join(node.home, "sky_workdir"), { recursive: true });
  await Deno.mkdir(join(node.home, ".sky"), { recursive: true });
  try {
    await work(node);
    // One that was just killed may take its moment.
    await until(async () => (await markedBelow(root)).length === 0, "no process left behind", 2_000);
  } finally {
    await killAllLocalJobs([node.home], root, { graceMs: 0, signal });
    await Deno.remove(root, { recursive: true });
  }
}

/** Another view of a node in `root`, as a restarted server would have. */
export function makeNode(root: string, options: NodeOptions = {}): TestNode {
  const cluster = join(root, "cluster");
  const home = join(cluster, "node0");
  const notes: string[] = [];
  const runner = new LocalRunner({
    nodeId: "node0",
    home,
    env: options.env ?? processEnv,
    processes: join(root, "processes"),
    cluster,
    avoid: [join(root, "cluster")],
    note: (text) => notes.push(text),
  });
  return nodeOf({ root, cluster, home, runner, notes });
}

/** What tests do with a runner whose node is a directory of this machine. */
export function nodeOf(
  parts: Pick<TestNode, "root" | "cluster" | "home" | "runner" | "notes">,
): TestNode {
  const { runner, home } = parts;
  const output = async (logDir: string, phase: JobPhase = "run") => {
    const bytes = await runner.readOutput(logDir, phase, { offset: 0, limit: 1 << 26, signal });
    return new TextDecoder().decode(bytes);
  };
  return {
    ...parts,
    output,
    async job(script, options = {}) {
      const start = {
        logDir: "1-t",
        phase: "run" as const,
        output: "tasks/run.log",
        env: {},
        script,
        ...options,
      };
      await runner.startJob(start, { signal });
      const state = await ended(runner, start.logDir, start.phase);
      return { state, output: await output(start.logDir, start.phase) };
    },
    file: (path) => Deno.readTextFile(join(home, path)).catch(() => null),
  };
}

/** Waits, by the runner's own wake-ups, until a phase is over. */
export async function ended(
  runner: CommandRunner,
  logDir: string,
  phase: JobPhase = "run",
): Promise<JobState> {
  const deadline = performance.now() + 30_000;
  while (performance.now() < deadline) {
    const state = await runner.jobState(logDir, phase, { signal });
    if (state.claimed && !state.alive) return state;
    await runner.waitJobChange(logDir, phase, { timeoutMs: 10_000, signal });
  }
  throw new Error("the job did not end");
}

/** Pids of living processes marked as jobs below a folder. */
export async function markedBelow(folder: string): Promise<number[]> {
  const mark = { entry: `SKY_JOB_KEY=${folder}/`, prefix: true };
  const rows = [...(await scanProcesses()).values()];
  return rows.filter((row) => !row.dead && isMarked(row, mark)).map((row) => row.pid);
}

export function alive(pid: number): boolean {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return !/\) [ZX] /.test(stat);
  } catch {
    return false;
  }
}
