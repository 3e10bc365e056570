/**
 * Job phases on a node that is a directory of this machine: starting, looking, ending. Owns the wrapper
 * processes; the files' layout is job_files.ts, the wrapper's text node/run_job.ts. Jobs belong to no request
 * and outlive this process: everything is found again in their directories.
 */
import { dirname, join } from "@std/path";
import { SkyError } from "../../core/errors.ts";
import type { JobStart, JobState } from "../cloud.ts";
import { endProcesses } from "./end_processes.ts";
import {
  isStageOf,
  JOB_KEY,
  jobFiles,
  type JobPaths,
  jobPaths,
  logLink,
  parseExit,
  stagePath,
} from "./job_files.ts";
import { RUN_JOB } from "./node/run_job.ts";
import { isAlive, parseIdentity, type ProcessId } from "./process_table.ts";
import { spawnSession } from "./process.ts";

/** A wrapper answers in milliseconds; one that doesn't is on a disk that hangs. */
const CLAIM_MS = 20_000;

/** Ends of wrappers that are children of this process, by job directory. */
const children = new Map<string, Promise<unknown>>();

/** Settles when the wrapper of this job directory ends; undefined if it is no child of ours (any more). */
export function wrapperEnd(paths: JobPaths): Promise<unknown> | undefined {
  return children.get(paths.job);
}

export interface StartPlace {
  readonly home: string;
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Start a phase unless it is claimed. Back when the claim is decided: by us or by another. */
export async function startLocalJob(start: JobStart, place: StartPlace): Promise<void> {
  const paths = jobPaths(place.home, start.logDir, start.phase);
  place.signal.throwIfAborted();
  if (await exists(paths.job)) return;
  const token = crypto.randomUUID();
  const stage = stagePath(paths, token);
  if (!await layOut(stage, { start, token, paths })) return;
  if (place.signal.aborted) {
    await discard(stage);
    place.signal.throwIfAborted();
  }
  const output = join(paths.logs, start.output);
  const wrapper = spawnSession(RUN_JOB, [stage, paths.job, `by-${token}`, output], {
    env: { ...place.env, HOME: place.home, [JOB_KEY]: paths.job },
    cwd: place.home,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  });
  // It outlives us: neither our exit nor our event loop waits for it.
  wrapper.unref();
  const word = await firstWord(wrapper.stdout);
  if (word === "claimed") remember(paths, wrapper.status);
  // A wrapper that was killed said nothing; the directory then tells whether there is a claim.
  if (word === "claimed" || await exists(paths.job)) return await sweepStages(paths);
  await discard(stage);
  throw new SkyError("command_failed", `Cannot start job '${start.logDir}': its files could not be written`, {
    details: { phase: start.phase },
  });
}

function remember(paths: JobPaths, ended: Promise<unknown>): void {
  children.set(paths.job, ended);
  const forget = () => children.delete(paths.job);
  ended.then(forget, forget);
}

interface Attempt {
  readonly start: JobStart;
  readonly token: string;
  readonly paths: JobPaths;
}

/** Write an attempt's files; false if meanwhile another one got the claim and swept them away. */
async function layOut(stage: string, { start, token, paths }: Attempt): Promise<boolean> {
  const files = jobFiles(start, token);
  try {
    await Deno.mkdir(dirname(stage), { recursive: true });
    await Deno.mkdir(stage, { mode: 0o700 });
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(join(stage, name), text, { mode: 0o600, createNew: true });
    }
    await Deno.symlink(logLink(start.output), join(stage, "log"));
    return true;
  } catch (error) {
    if (await exists(paths.job)) return false;
    const full = (error as { code?: unknown }).code === "ENOSPC";
    throw new SkyError(
      full ? "disk_full" : "command_failed",
      `Cannot start job '${start.logDir}': ${
        full ? "no space left on the disk" : "its files can't be written"
      }`,
      { cause: error },
    );
  }
}

/** What a wrapper says before it closes its output; '' if it died first. */
async function firstWord(stdout: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stdout.pipeThrough(new TextDecoderStream()).getReader();
  const timer = setTimeout(() => reader.cancel(), CLAIM_MS);
  let text = "";
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return text.trim();
      text += value;
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Drop what attempts that lost, or were cut short, have laid out: it holds secrets. Only after the claim. */
async function sweepStages(paths: JobPaths): Promise<void> {
  for (const name of await namesIn(paths.root)) {
    if (!isStageOf(paths.phase, name)) continue;
    await discard(join(paths.root, name));
  }
}

/** Remove a directory that a wrapper which lost may be writing to, or removing itself, at this moment. */
async function discard(path: string): Promise<void> {
  for (let left = 20;; left--) {
    try {
      return await Deno.remove(path, { recursive: true });
    } catch (error) {
      if (isMissing(error)) return;
      if ((error as { code?: unknown }).code !== "ENOTEMPTY" || left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** What the job directory and the process table tell. */
export async function localJobState(paths: JobPaths): Promise<JobState> {
  const id = await identityOf(paths);
  // Life before exit code: a code written in between is seen, so "dead without a code" is never said too early.
  const alive = id !== null && isAlive(id);
  const exitCode = parseExit(await textOf(join(paths.job, "exit")) ?? "");
  const claimed = id !== null || await exists(paths.job);
  return { claimed, pid: id?.pid ?? null, alive, exitCode };
}

async function identityOf(paths: JobPaths): Promise<ProcessId | null> {
  const text = await textOf(join(paths.job, "pid"));
  return text === null ? null : parseIdentity(text);
}

export interface KillOptions {
  readonly graceMs: number;
  readonly signal: AbortSignal;
}

/** End a phase, or make it unstartable; its strays that left its session are hunted by their mark. */
export async function killLocalJob(paths: JobPaths, options: KillOptions): Promise<void> {
  options.signal.throwIfAborted();
  if (!await exists(paths.home)) return;
  await takeClaim(paths);
  await sweepStages(paths);
  const id = await identityOf(paths);
  const mark = { entry: `${JOB_KEY}=${paths.job}`, prefix: false };
  await endProcesses({ leaders: id === null ? [] : [id], mark, hunt: true, folder: paths.logs }, options);
}

/** Claim a phase for nobody, by the same rename a wrapper claims with; of no effect if it is claimed. */
async function takeClaim(paths: JobPaths): Promise<void> {
  if (await exists(paths.job)) return;
  const stage = stagePath(paths, crypto.randomUUID());
  await Deno.mkdir(stage, { recursive: true, mode: 0o700 });
  await Deno.writeTextFile(join(stage, "killed"), "", { mode: 0o600 });
  try {
    await Deno.rename(stage, paths.job);
  } catch (error) {
    if (!await exists(paths.job)) throw error;
    // Somebody was faster: the claim is theirs and the sweep takes this away.
  }
}

/** End everything that ever ran below `folder` (a node's home, or a directory of homes), running or left behind. */
export async function killAllLocalJobs(
  homes: readonly string[],
  folder: string,
  options: KillOptions,
): Promise<void> {
  const leaders: ProcessId[] = [];
  for (const home of homes) {
    for (const logDir of await namesIn(join(home, "sky_logs"))) {
      for (const phase of ["setup", "run"] as const) {
        const paths = jobPaths(home, logDir, phase);
        const id = await identityOf(paths);
        if (id !== null) leaders.push(id);
      }
    }
  }
  const mark = { entry: `${JOB_KEY}=${folder}/`, prefix: true };
  await endProcesses({ leaders, mark, hunt: true, folder }, options);
}

/** No file of ours is bigger. A job may have put anything in its place. */
const LARGEST = 1 << 12;

async function textOf(path: string): Promise<string | null> {
  try {
    const info = await Deno.stat(path);
    return info.isFile && info.size <= LARGEST ? await Deno.readTextFile(path) : null;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(path))).map((entry) => entry.name);
  } catch (error) {
    ignoreMissing(error);
    return [];
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, (error) => {
    ignoreMissing(error);
    return false;
  });
}

function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}

function ignoreMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}
