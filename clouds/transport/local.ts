/**
 * The way into a node that is a directory of this machine, used as HOME. Owns nothing itself: it puts
 * process.ts, copy.ts and local_jobs.ts behind the CommandRunner interface.
 */
import { dirname, join } from "@std/path";
import { describe, SkyError } from "../../core/errors.ts";
import type { Env } from "../../core/paths.ts";
import type { CommandRunner, JobPhase, JobStart, JobState, RunOptions, RunResult } from "../cloud.ts";
import { copyInto } from "./copy.ts";
import { nodeEnvironment } from "./environment.ts";
import { type JobPaths, jobPaths } from "./job_files.ts";
import { killLocalJob, localJobState, startLocalJob, wrapperEnd } from "./local_jobs.ts";
import { isBelow, type Place, placeOf } from "./mount_target.ts";
import { runProcess } from "./process.ts";
import { waitUntil } from "./wake_up.ts";

export interface LocalNode {
  readonly nodeId: string;
  /** Absolute path of the directory that is its HOME. */
  readonly home: string;
  readonly env: Env;
  /** Folder of the request that uses this runner, null for none (process.ts). */
  readonly processes: string | null;
  /** Homes of the cluster's nodes are below this; they share the links outside of any home. */
  readonly cluster: string;
  /** Where all nodes of this machine are: never copied into itself. */
  readonly avoid: readonly string[];
  /** Told of files an upload skipped. */
  note(text: string): void;
}

/** Paths outside of the node's home that point into it; one a line, made by uploads, removed with the node. */
export const LINKS_FILE = join(".sky", "links");

/** Milliseconds between looks at a job that is, or is not, a child of this process. */
const POLL_CHILD_MS = 2_000;
const POLL_MS = 500;
/** While there is no file to watch yet. */
const POLL_ABSENT_MS = 50;

export class LocalRunner implements CommandRunner {
  readonly nodeId: string;
  readonly home: string;
  readonly #node: LocalNode;
  readonly #env: Readonly<Record<string, string>>;
  /** The state last told of each phase, so that a change between the telling and the waiting is no wait. */
  readonly #told = new Map<string, string>();

  constructor(node: LocalNode) {
    this.nodeId = node.nodeId;
    this.home = node.home;
    this.#node = node;
    this.#env = nodeEnvironment(node.env, node.home);
  }

  run(argv: readonly string[], options: RunOptions): Promise<RunResult> {
    return runProcess(argv, {
      ...options,
      env: { ...this.#env, ...options.env },
      cwd: this.home,
      processes: this.#node.processes,
    });
  }

  async upload(source: string, target: string, options: { signal: AbortSignal }): Promise<void> {
    const place = placeOf(target, this.home);
    const linked = place.link === null || await this.#isLinked(place, place.link);
    await copyInto(source, place.path, {
      signal: options.signal,
      note: (text) => this.#node.note(text),
      ignoreFiles: true,
      avoid: this.#node.avoid,
    });
    if (!linked && place.link !== null) await this.#link(place, place.link);
  }

  download(source: string, target: string, options: { signal: AbortSignal }): Promise<void> {
    const { path } = placeOf(source, this.home);
    const logs = join(this.home, "sky_logs");
    return copyInto(path, target, {
      signal: options.signal,
      note: (text) => this.#node.note(text),
      ignoreFiles: false,
      avoid: [],
      // Job directories hold the scripts and how we run them: not what a user asked for.
      leaveOut: (inner) => isBelow(path, logs) && `/${inner}`.endsWith("/.job"),
    });
  }

  startJob(job: JobStart, options: { signal: AbortSignal }): Promise<void> {
    return startLocalJob(job, { home: this.home, env: this.#env, signal: options.signal });
  }

  async jobState(logDir: string, phase: JobPhase, options: { signal: AbortSignal }): Promise<JobState> {
    options.signal.throwIfAborted();
    const paths = jobPaths(this.home, logDir, phase);
    const state = await localJobState(paths);
    this.#told.set(paths.job, signature(state));
    return state;
  }

  killJob(logDir: string, phase: JobPhase, options: { graceMs: number; signal: AbortSignal }): Promise<void> {
    return killLocalJob(jobPaths(this.home, logDir, phase), options);
  }

  async waitJobChange(
    logDir: string,
    phase: JobPhase,
    options: { timeoutMs: number; signal: AbortSignal },
  ): Promise<void> {
    const paths = jobPaths(this.home, logDir, phase);
    const told = this.#told.get(paths.job) ?? signature(await localJobState(paths));
    const also = wrapperEnd(paths);
    await waitUntil(async () => signature(await localJobState(paths)) !== told, {
      ...options,
      watch: [paths.job, paths.root, paths.logs],
      pollMs: also !== undefined ? POLL_CHILD_MS : await present(paths.root) ? POLL_MS : POLL_ABSENT_MS,
      also,
    });
  }

  async readOutput(
    logDir: string,
    phase: JobPhase,
    options: { offset: number; limit: number; signal: AbortSignal },
  ): Promise<Uint8Array> {
    options.signal.throwIfAborted();
    const opened = await Deno.open(outputPath(jobPaths(this.home, logDir, phase))).catch(nullIfMissing);
    if (opened === null) return new Uint8Array();
    using file = opened;
    const length = Math.min(options.limit, (await file.stat()).size - options.offset);
    if (length <= 0) return new Uint8Array();
    await file.seek(options.offset, Deno.SeekMode.Start);
    const bytes = new Uint8Array(length);
    let at = 0;
    while (at < length) {
      const count = await file.read(bytes.subarray(at));
      if (count === null) break;
      at += count;
    }
    return bytes.subarray(0, at);
  }

  async waitOutput(
    logDir: string,
    phase: JobPhase,
    options: { offset: number; timeoutMs: number; signal: AbortSignal },
  ): Promise<void> {
    const paths = jobPaths(this.home, logDir, phase);
    const log = outputPath(paths);
    const there = await present(log);
    await waitUntil(async () => await outputSize(paths) > options.offset, {
      timeoutMs: options.timeoutMs,
      signal: options.signal,
      watch: there ? [log] : [paths.job, paths.root, paths.logs],
      pollMs: there ? POLL_CHILD_MS : POLL_ABSENT_MS,
    });
  }

  /** Whether `link` leads to this cluster's content already. Throws command_failed if something else is there. */
  async #isLinked({ path }: Place, link: string): Promise<boolean> {
    const suffix = path.slice(this.home.length);
    const old = await Deno.lstat(link).catch(nullIfMissing);
    if (old === null) return false;
    if (old.isSymlink) {
      const points = await Deno.readLink(link);
      if (isBelow(points, this.#node.cluster) && points.endsWith(suffix)) return true;
    }
    throw new SkyError(
      "command_failed",
      `Cannot mount at '${link}': the target destination may already exist`,
    );
  }

  async #link({ path }: Place, link: string): Promise<void> {
    // Written before the act, so that what was made is always found again.
    await Deno.writeTextFile(join(this.home, LINKS_FILE), `${JSON.stringify(link)}\n`, { append: true });
    try {
      await Deno.mkdir(dirname(link), { recursive: true });
      await Deno.symlink(path, link);
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists && await this.#isLinked({ path, link }, link)) return;
      if (error instanceof SkyError) throw error;
      throw new SkyError("command_failed", `Cannot mount at '${link}': ${describe(error)}`, {
        hint: "Use a path below ~ or /tmp, or make a link there yourself",
        cause: error,
      });
    }
  }
}

function signature(state: JobState): string {
  return `${state.claimed} ${state.pid} ${state.alive} ${state.exitCode}`;
}

function outputPath(paths: JobPaths): string {
  return join(paths.job, "log");
}

async function outputSize(paths: JobPaths): Promise<number> {
  return (await Deno.stat(outputPath(paths)).catch(nullIfMissing))?.size ?? 0;
}

async function present(path: string): Promise<boolean> {
  return await Deno.stat(path).catch(nullIfMissing) !== null;
}

function nullIfMissing(error: unknown): null {
  if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
  throw error;
}
