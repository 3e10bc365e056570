/**
 * The way into a node that is reached by a shell: RemoteRunner has the semantics of LocalRunner. Owns nothing
 * itself: it puts jobs.ts, watch.ts, upload.ts and download.ts behind the CommandRunner interface.
 */
import type { CommandRunner, JobPhase, JobStart, JobState, RunOptions, RunResult } from "../../cloud.ts";
import { exportsOf, jobPaths } from "../job_files.ts";
import { runText } from "../node/start_job.ts";
import { parseIdentity, type ProcessId } from "../process_table.ts";
import { escapeText } from "./command_line.ts";
import { downloadFrom } from "./download.ts";
import { isAliveOn, killRemoteJob, startRemoteJob } from "./jobs.ts";
import type { NodeShell } from "./shell.ts";
import { uploadTo } from "./upload.ts";
import type { HomeWatch, JobLook } from "./watch.ts";

export interface RemoteNode {
  readonly nodeId: string;
  /** Absolute path, on the node, of the directory that is its HOME. */
  readonly home: string;
  /** Runs on the node itself. */
  readonly shell: NodeShell;
  /** Sees the node's HOME; the same object where that is the node itself. */
  readonly files: NodeShell;
  /** Of the machine of `files`, shared by all nodes there. */
  readonly watch: HomeWatch;
  /** What the node's environment has besides; no secrets. */
  readonly env?: Readonly<Record<string, string>>;
  /** Folder of the request that uses this runner, null for none (process.ts). */
  readonly processes?: string | null;
  /** Homes of the cluster's nodes are below this; they share the links outside of any home. Default: `home`. */
  readonly cluster?: string;
  /** Local directories never copied to a node, e.g. where the server keeps its own things. */
  readonly avoid?: readonly string[];
  /**
   * Whether a process that a job's `pid` file names is alive, where `files` is another machine than the node.
   * Default: asks the node itself.
   */
  alive?(identity: string, options: { signal: AbortSignal }): Promise<boolean>;
  /** Told of files an upload skipped. */
  note(text: string): void;
}

export class RemoteRunner implements CommandRunner {
  readonly nodeId: string;
  readonly home: string;
  readonly #node: RemoteNode;
  /** The state last told of each phase, so that a change between the telling and the waiting is no wait. */
  readonly #told = new Map<string, Told>();

  constructor(node: RemoteNode) {
    this.nodeId = node.nodeId;
    this.home = node.home;
    this.#node = node;
  }

  run(argv: readonly string[], options: RunOptions): Promise<RunResult> {
    const { env, stdin, signal, maxOutput } = options;
    const environment = env !== undefined && Object.keys(env).length > 0;
    const input = environment ? withFirstLine(escapeText(exportsOf(env)), stdin) : stdin;
    return this.#node.shell.exec(runText(exportsOf(this.#node.env ?? {}), { environment }), {
      args: [this.home, ...argv],
      signal,
      processes: this.#node.processes ?? null,
      ...(input === undefined ? {} : { stdin: input }),
      ...(maxOutput === undefined ? {} : { maxOutput }),
    });
  }

  upload(source: string, target: string, options: { signal: AbortSignal }): Promise<void> {
    return uploadTo(this.#node, { source, target, signal: options.signal });
  }

  download(source: string, target: string, options: { signal: AbortSignal }): Promise<void> {
    return downloadFrom(this.#node, { source, target, signal: options.signal });
  }

  startJob(job: JobStart, options: { signal: AbortSignal }): Promise<void> {
    return startRemoteJob(this.#node, job, options);
  }

  async jobState(logDir: string, phase: JobPhase, options: { signal: AbortSignal }): Promise<JobState> {
    const { job } = jobPaths(this.home, logDir, phase);
    const look = await this.#node.watch.look(job, options);
    const state = {
      claimed: look.there,
      pid: look.identity?.pid ?? null,
      alive: await this.#isAlive(look, options),
      exitCode: look.exitCode,
    };
    this.#told.set(job, { state, identity: look.identity });
    return state;
  }

  killJob(logDir: string, phase: JobPhase, options: { graceMs: number; signal: AbortSignal }): Promise<void> {
    return killRemoteJob(this.#node, jobPaths(this.home, logDir, phase), options);
  }

  async waitJobChange(
    logDir: string,
    phase: JobPhase,
    options: { timeoutMs: number; signal: AbortSignal },
  ): Promise<void> {
    const { job } = jobPaths(this.home, logDir, phase);
    // Who never looked is told of the first thing there is.
    const { state, identity } = this.#told.get(job) ?? UNTOLD;
    await this.#node.watch.until(
      job,
      (glance) =>
        glance.there !== state.claimed || glance.exitCode !== state.exitCode ||
        (this.#seesProcesses && glance.alive !== state.alive),
      { ...options, identity: this.#seesProcesses ? identity : null },
    );
  }

  readOutput(
    logDir: string,
    phase: JobPhase,
    options: { offset: number; limit: number; signal: AbortSignal },
  ): Promise<Uint8Array> {
    const { job } = jobPaths(this.home, logDir, phase);
    return this.#node.watch.read(`${job}/log`, options);
  }

  async waitOutput(
    logDir: string,
    phase: JobPhase,
    options: { offset: number; timeoutMs: number; signal: AbortSignal },
  ): Promise<void> {
    const { job } = jobPaths(this.home, logDir, phase);
    await this.#node.watch.until(job, (glance) => glance.size > options.offset, {
      ...options,
      identity: null,
    });
  }

  /** Whether looks at the files are made on the node, and so see its processes too. */
  get #seesProcesses(): boolean {
    return this.#node.files === this.#node.shell;
  }

  async #isAlive(look: JobLook, options: { signal: AbortSignal }): Promise<boolean> {
    if (this.#seesProcesses) return look.alive;
    // An exit code is the wrapper's last act.
    if (look.exitCode !== null || parseIdentity(`${look.identityText}\n`) === null) return false;
    if (this.#node.alive !== undefined) return await this.#node.alive(look.identityText, options);
    return await isAliveOn(this.#node, look.identityText, options);
  }
}

interface Told {
  readonly state: JobState;
  readonly identity: ProcessId | null;
}

const UNTOLD: Told = {
  state: { claimed: false, pid: null, alive: false, exitCode: null },
  identity: null,
};

function withFirstLine(line: string, rest: string | Uint8Array | undefined): string | Uint8Array {
  if (rest === undefined || typeof rest === "string") return `${line}\n${rest ?? ""}`;
  const head = new TextEncoder().encode(`${line}\n`);
  const whole = new Uint8Array(head.length + rest.length);
  whole.set(head);
  whole.set(rest, head.length);
  return whole;
}
