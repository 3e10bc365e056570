/**
 * Six clusters side by side, each brought to another phase (launch, sync, setup, run, logs, cancel), then one fault
 * for all of them, undone after a while. What must hold then: every launch reaches its end by itself, and its client
 * ends with the job's own result (one that lost its server, with an honest word about that); every job ran exactly
 * once; exit codes are found; logs are whole; down leaves nothing.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { type Ran, until } from "../support/sky.ts";
import { Field, type Kind, type TaskParts, tell, type Watched } from "./field.ts";

export interface Fault {
  readonly name: string;
  /** For so long. */
  readonly seconds: number;
  /** The server goes: clients may lose it. */
  readonly server?: true;
  begin(field: Field): Promise<unknown>;
  end(field: Field): Promise<unknown>;
}

interface Lane {
  readonly cluster: string;
  /** Brings it to its phase. */
  prepare(): Promise<void>;
  /** Done while the fault is there. */
  during(): Promise<void>;
  /** Checks it afterwards; says how it went. */
  after(): Promise<string>;
}

/** Each job notes its run here, in its HOME. */
const NOTE = 'echo "run $SKYPILOT_INTERNAL_JOB_ID" >> ~/runs';
/** The exit code of every job that is not cancelled, and what `sky` then exits with. */
const CODE = 7;
const SKY_CODE = 100;
const HONEST = /reach|connect|timed? ?out|network|no route|lost/i;
const LINES = 80;

/** Run all lanes under a fault. */
export async function underFault(kind: Kind, fault: Fault): Promise<void> {
  await using field = await Field.open(kind, { nodes: kind === "ssh" ? 6 : 3 });
  const names = ["cancel", "logs", "run", "setup", "sync", "launch"];
  const lanes = names.map((name, i) => laneOf(name, i, { field, fault }));
  await field.sky.ok(["api", "start"]);
  // The last two are in their phases for a moment only.
  await Promise.all(lanes.slice(0, 4).map((lane) => lane.prepare()));
  for (const lane of lanes.slice(4)) await lane.prepare();
  await fault.begin(field);
  const over = new Promise((resolve) => setTimeout(resolve, fault.seconds * 1000));
  await Promise.all([over, ...lanes.map((lane) => lane.during())]);
  await fault.end(field);
  for (const node of field.ways) await field.fleet.slow(node, null).catch(() => {}); // only some are slow
  const outcomes = await Promise.allSettled(lanes.map((lane) => lane.after()));
  const broken: string[] = [];
  for (const [i, outcome] of outcomes.entries()) {
    const text = outcome.status === "fulfilled" ? outcome.value : `BROKEN: ${outcome.reason?.message}`;
    if (outcome.status === "rejected") broken.push(`${names[i]}: ${outcome.reason?.stack ?? outcome.reason}`);
    await tell(kind, `${fault.name} during ${names[i]}`, text.split("\n")[0]!);
  }
  assertEquals(broken.length, 0, broken.join("\n\n"));
  await field.clear();
}

interface LaneContext {
  readonly field: Field;
  readonly fault: Fault;
}

function laneOf(name: string, index: number, context: LaneContext): Lane {
  const { field } = context;
  const parts = (run: string, more: Partial<TaskParts> = {}): TaskParts => ({
    infra: field.infra(index),
    run,
    ...more,
  });
  switch (name) {
    case "cancel":
      return cancelLane(
        name,
        parts(`${NOTE}\ntrap '' TERM\necho begun\nwhile :; do sleep 987; done`),
        context,
      );
    case "logs": {
      const count = `i=1; while [ $i -le ${LINES} ]; do echo line-$i; sleep 0.1; i=$((i + 1)); done`;
      return plainLane(name, {
        ...context,
        parts: parts(`${NOTE}\n${count}\nexit ${CODE}`),
        ready: "line-3",
      });
    }
    case "run":
      return plainLane(name, {
        ...context,
        parts: parts(`${NOTE}\necho begun\nsleep 6\necho finished\nexit ${CODE}`),
        ready: "begun",
      });
    case "setup":
      return plainLane(name, {
        ...context,
        parts: parts(`${NOTE}\nexit ${CODE}`, { setup: "echo in-setup\nsleep 4\necho setup-done" }),
        ready: "in-setup",
      });
    case "sync":
      return plainLane(name, {
        ...context,
        parts: parts(`${NOTE}\nsha256sum big | cut -c1-8\nexit ${CODE}`, { more: ["workdir: ./big"] }),
        ready: "Syncing files",
        before: () => bigWorkdir(field, index),
      });
    default:
      return plainLane(name, { ...context, parts: parts(`${NOTE}\nexit ${CODE}`), ready: "Launching on" });
  }
}

/** A workdir whose sync takes some seconds. */
async function bigWorkdir(field: Field, index: number): Promise<void> {
  const folder = join(field.sky.work, "big");
  await Deno.mkdir(folder);
  const bytes = new Uint8Array(6 << 20);
  for (let at = 0; at < bytes.length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  await Deno.writeFile(join(folder, "big"), bytes);
  await field.fleet.slow(field.kind === "ssh" ? index + 1 : 1, "16mbit");
}

interface PlainOptions extends LaneContext {
  readonly parts: TaskParts;
  /** In its phase once the client prints this. */
  readonly ready: string;
  readonly before?: () => Promise<void>;
}

/** A lane of one `sky launch` that is followed to its end. */
function plainLane(cluster: string, { field, fault, parts, ready, before }: PlainOptions): Lane {
  let client: Watched | null = null;
  return {
    cluster,
    async prepare() {
      const file = await field.task(cluster, parts);
      await before?.();
      client = field.watch(["launch", "-c", cluster, "-y", file]);
      await client.until(ready);
    },
    during: () => Promise.resolve(),
    async after() {
      const ran = await client!.end();
      const outcome = await wentThrough(cluster, { ran, field, fault });
      if (cluster === "logs" && ran.code === SKY_CODE) assertLines(ran.stdout);
      const { stdout } = await field.sky.run(["logs", cluster]);
      if (cluster === "logs") assertLines(stdout);
      if (cluster === "run") assertMatch(stdout, /\) begun\n[^]*\) finished\n/);
      await assertRuns(cluster, field);
      return outcome;
    },
  };
}

/** The launch ended as its job did; a client that lost its server said so, and the launch went on without it. */
async function wentThrough(
  cluster: string,
  how: { ran: Ran } & LaneContext,
): Promise<string> {
  const { ran, field, fault } = how;
  if (ran.code === SKY_CODE) return "went through";
  if (fault.server !== true) throw new Error(`code ${ran.code}: ${ran.stdout}\n${ran.stderr}`);
  assertMatch(ran.stderr + ran.stdout, HONEST);
  assert(!/This is a bug|^\s+at .*:\d+:\d+/m.test(ran.stderr), ran.stderr);
  const said = ran.stderr.trim().split("\n").at(0) ?? "";
  await until(async () => {
    const jobs = await field.queue(cluster).catch(() => []);
    return jobs[0]?.status === "FAILED";
  }, { what: `the job of ${cluster} to end by itself after: ${ran.stderr}`, timeoutMs: 60_000 });
  return `client ended (${said}), the launch went on by itself`;
}

function assertLines(text: string): void {
  const seen = [...text.matchAll(/\) line-(\d+)$/gm)].map((match) => Number(match[1]));
  assertEquals(seen, Array.from({ length: LINES }, (_, i) => i + 1));
}

/** Each job ran at most once, and those with an end of their own exactly once. */
async function assertRuns(cluster: string, field: Field): Promise<void> {
  const jobs = await field.queue(cluster);
  const notes = await field.sky.ok(["exec", cluster, "cat ~/runs"], { timeoutMs: 60_000 });
  const runs = [...notes.matchAll(/\) run (\d+)$/gm)].map((match) => Number(match[1]));
  assertEquals(runs, [...new Set(runs)], "a job ran twice");
  const ended = jobs.filter((one) => one.status === "FAILED").map((one) => one.job_id);
  assert(ended.length > 0, JSON.stringify(jobs));
  assertEquals(ended.filter((id) => !runs.includes(id)), [], "a job has an end and never ran");
  assertEquals(jobs.filter((one) => !/FAILED|CANCELLED/.test(one.status)), [], "a job has no end");
}

/** A lane whose job is cancelled while the fault is there. */
function cancelLane(cluster: string, parts: TaskParts, { field }: LaneContext): Lane {
  let cancelling: Watched | null = null;
  const isAlive = async () => {
    const all = await Promise.all(field.hosts.map((node) => field.fleet.processes(node)));
    return all.flat().some((args) => args.includes("sleep 987"));
  };
  return {
    cluster,
    async prepare() {
      const file = await field.task(cluster, parts);
      const client = field.watch(["launch", "-c", cluster, "-y", file]);
      await client.until("begun");
      client.interrupt();
      await client.end();
    },
    during() {
      cancelling = field.watch(["cancel", cluster, "-a", "-y"]);
      return Promise.resolve();
    },
    async after() {
      const first = await cancelling!.end();
      if (first.code !== 0) assertMatch(first.stderr + first.stdout, HONEST);
      else assertEquals(await isAlive(), false, "cancel said it is done");
      const again = await field.sky.run(["cancel", cluster, "-a", "-y"]);
      assertEquals(again.code, 0, again.stderr);
      await until(async () => !await isAlive(), { what: "the cancelled job's processes to be gone" });
      assertEquals((await field.queue(cluster)).map((one) => one.status), ["CANCELLED"]);
      return first.code === 0
        ? "cancelled"
        : `refused (${first.stderr.trim().split("\n")[0]}), again: cancelled`;
    },
  };
}
