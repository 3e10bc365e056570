/**
 * The cloud interface: what a kind of infrastructure must offer so that clusters/ can use it. One folder per
 * cloud exports one Cloud; registry.ts names it. A cloud knows no database and no other cloud.
 */
import type { Handle, LaunchedResources, WaitFor } from "../core/cluster.ts";
import type { SkyConfig } from "../core/config.ts";
import type { Log } from "../core/context.ts";
import type { Env } from "../core/paths.ts";
import type { Resources } from "../core/resources.ts";

/** What the server gives a cloud. `folder` is the cloud's own directory below the server home (made 0700). */
export interface CloudContext {
  readonly folder: string;
  readonly config: SkyConfig;
  readonly signal: AbortSignal;
  readonly log: Log;
  /** The server's environment: what programs on this machine need of it (PATH, proxies). Default: nothing. */
  readonly env?: Env;
  /** `<processes dir>/<request id>`, where children are recorded (transport/process.ts); none for daemons. */
  readonly processes?: string | null;
  now(): number;
}

/** What a cloud can do, as data: asked before trying, never found out by an exception. */
export interface Capabilities {
  readonly stop: boolean;
  readonly autostop: boolean;
  readonly autodown: boolean;
  readonly spot: boolean;
  readonly ports: boolean;
  readonly multiNode: boolean;
  readonly images: boolean;
}

export interface CheckResult {
  readonly enabled: boolean;
  /** Capabilities for `sky check`, e.g. `["compute"]`. */
  readonly offers: readonly ("compute" | "storage")[];
  /** Why it is disabled; may hold several lines. */
  readonly reason: string | null;
  readonly hint: string | null;
  /** Regions, contexts, pools: shown as branches below the cloud; `ok` false carries its reason. */
  readonly places: readonly { readonly name: string; readonly ok: boolean; readonly reason: string | null }[];
}

/** A concrete thing that could be launched for a wish, cheapest first in a list. */
export interface Offer {
  readonly resources: LaunchedResources;
}

/** Nothing fits: why, in words, and near misses for "Did you mean". */
export interface NoOffer {
  readonly hint: string | null;
  readonly similar: readonly string[];
}

export interface ProvisionSpec {
  /** Unique, derived from the cluster: a repeated provision with the same name finds what was made before. */
  readonly nameOnCloud: string;
  readonly clusterName: string;
  readonly numNodes: number;
  readonly resources: LaunchedResources;
  /** The handle of an earlier, perhaps half-done attempt or of a stopped cluster. */
  readonly previous: Handle | null;
}

export type NodeState = "up" | "stopped" | "gone" | "unknown";

export interface NodeInfo {
  /** Stable id, head first. */
  readonly id: string;
  readonly state: NodeState;
  readonly reason: string | null;
  readonly internalIp: string;
  readonly externalIp: string | null;
}

/** Capacity of one node for the job queue. */
export interface NodeCapacity {
  readonly cpus: number;
  readonly memoryGb: number;
  /** Name and GPU indexes that jobs may use. */
  readonly accelerators: { readonly name: string; readonly indexes: readonly number[] } | null;
}

export interface GpuSummary {
  readonly place: string;
  readonly gpu: string;
  readonly perNode: readonly number[];
  readonly total: number;
  readonly free: number;
}

/** One machine of a place, for tables; `free` is what no cluster has. Memory in GiB. */
export interface PlaceNode {
  readonly place: string;
  readonly name: string;
  readonly ip: string | null;
  readonly cpus: number | null;
  readonly cpusFree: number | null;
  readonly memoryGb: number | null;
  readonly memoryFreeGb: number | null;
  readonly gpu: string | null;
  readonly gpus: number;
  readonly gpusFree: number;
  readonly ready: boolean;
  /** Where machines belong to queues: which, and the state as the place's own tools call it. */
  readonly queues?: { readonly partitions: readonly string[]; readonly state: string };
}

/** How people log in to the nodes by ssh. */
export interface Access {
  readonly user: string;
  /** PEM text; null: the person's own keys or agent. */
  readonly privateKey: string | null;
  /** In the words of ssh's ProxyCommand; null for a direct way. */
  readonly proxyCommand: string | null;
  /** Head first. `home`: the node's HOME there, if it is not the login user's own. */
  readonly nodes: readonly {
    readonly internalIp: string;
    readonly host: string;
    readonly port: number;
    readonly home: string | null;
  }[];
}

/** When nodes end themselves. `busy`: a job ran when this was written. Times are unix ms. */
export interface GuardPolicy {
  readonly idleMinutes: number;
  readonly down: boolean;
  readonly waitFor: WaitFor;
  readonly lastActiveAt: number;
  readonly busy: boolean;
}

export interface Cloud {
  /** Canonical lower-case name, e.g. `local`. */
  readonly name: string;
  /** As shown in tables, e.g. `Local`. */
  readonly displayName: string;
  readonly capabilities: Capabilities;
  /** Longest name on cloud, for core/cluster naming. */
  readonly nameLimit: number;
  check(ctx: CloudContext): Promise<CheckResult>;
  /** Launchable offers for one wish, cheapest first, one per region or place. */
  offers(wish: Resources, numNodes: number, ctx: CloudContext): Promise<readonly Offer[] | NoOffer>;
  /**
   * Make the nodes, or finish or resume what an earlier call with the same name made. The caller saves the
   * handle before (by `prepare`) and after, so that a crash never loses a machine.
   * Throws resources_unavailable (try elsewhere) or another SkyError.
   */
  provision(spec: ProvisionSpec, ctx: CloudContext): Promise<Handle>;
  /** What `provision` is about to make, computable without side effects; saved before the act. */
  prepare(spec: ProvisionSpec): Handle;
  /**
   * Node states. A node that can't be reached is "unknown" with the reason (or this throws network when none can);
   * "gone" only with positive proof.
   */
  inspect(handle: Handle, ctx: CloudContext): Promise<readonly NodeInfo[]>;
  capacity(handle: Handle, ctx: CloudContext): Promise<readonly NodeCapacity[]>;
  /** One runner per node, head first. */
  runners(handle: Handle, ctx: CloudContext): readonly CommandRunner[];
  /** Must succeed if nothing exists. Kills what runs on the nodes first. */
  terminate(handle: Handle, ctx: CloudContext): Promise<void>;
  stop?(handle: Handle, ctx: CloudContext): Promise<void>;
  /** `{ "8080": "http://1.2.3.4:8080" }`. */
  endpoints?(handle: Handle, ports: readonly string[], ctx: CloudContext): Promise<Record<string, string>>;
  gpus?(ctx: CloudContext): Promise<readonly GpuSummary[]>;
  /** Machines of all places, from what is known: nothing is waited for that does not answer. */
  nodes?(ctx: CloudContext): Promise<readonly PlaceNode[]>;
  /** How people get in; null where they can't. From the handle alone: it must answer with the nodes unreachable. */
  access?(handle: Handle, ctx: CloudContext): Promise<Access | null>;
  /**
   * Called about every minute while autostop is armed, and once with null when disarmed: makes the nodes able to
   * end themselves, so that autostop holds with the server dead. They act only if no call renewed this for three
   * minutes and no job ran for `idleMinutes`.
   */
  guard?(handle: Handle, policy: GuardPolicy | null, ctx: CloudContext): Promise<void>;
  /** Connections of people (ssh logins) to the nodes now, for `wait_for: jobs_and_ssh`. */
  logins?(handle: Handle, ctx: CloudContext): Promise<number>;
  /**
   * The cluster is forgotten although `terminate` could not be done (`--purge`), or since its nodes are proven
   * gone: frees what is claimed for it here, without the nodes. Says in words what may still run where, or null.
   */
  abandon?(handle: Handle, ctx: CloudContext): Promise<string | null>;
  /** Make a place (null: all) ready to be used, telling ctx.log how it goes. Throws if none is. */
  setUp?(place: string | null, ctx: CloudContext): Promise<void>;
  /** Let go of a place; refuses while clusters are there. */
  tearDown?(place: string | null, ctx: CloudContext): Promise<void>;
  /** The server ends: lets go of connections and processes of this cloud folder. Nodes and jobs run on. */
  close?(folder: string): Promise<void>;
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly signal: AbortSignal;
  /** Sent to the program's standard input, which is closed after it. */
  readonly stdin?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** Bytes kept of each output stream; the rest is dropped. Default 1 MiB. */
  readonly maxOutput?: number;
}

export type JobPhase = "setup" | "run";

/**
 * One process wrapper on one node, as its job directory tells. Claimed, not alive and without exit code: it was
 * killed, lost in a reboot, or (pid null too) made unstartable; it will never have one.
 */
export interface JobState {
  /** Whether the job directory exists, i.e. the claim was made. */
  readonly claimed: boolean;
  readonly pid: number | null;
  /** True if the recorded process (same start time) is alive. */
  readonly alive: boolean;
  /** Exit code, null while running or unknown. */
  readonly exitCode: number | null;
}

/** A way into one node. Paths are POSIX; `~/` means the node's HOME. */
export interface CommandRunner {
  readonly nodeId: string;
  readonly home: string;
  /** Run an argv (never a shell string made from values) in the node's HOME and wait. */
  run(argv: readonly string[], options: RunOptions): Promise<RunResult>;
  /**
   * Copy a local file or directory to `target`. A directory's content is merged into the target (no delete),
   * symlinks and executable bits kept, ignore files honoured (domain.md §1.9). Absolute targets outside HOME
   * and /tmp follow the symlink rule of §1.9.
   */
  upload(source: string, target: string, options: { signal: AbortSignal }): Promise<void>;
  /** Copy a file or directory from the node to a local path. */
  download(source: string, target: string, options: { signal: AbortSignal }): Promise<void>;
  /**
   * Claim and start one phase of a job in its own session, detached from us and from the server's life.
   * Starting an already claimed phase is not an error and starts nothing: at most one start, ever.
   */
  startJob(job: JobStart, options: { signal: AbortSignal }): Promise<void>;
  jobState(logDir: string, phase: JobPhase, options: { signal: AbortSignal }): Promise<JobState>;
  /**
   * End a phase: TERM to its session's process group, KILL after `graceMs`, return when every process of the
   * session is proven gone. A recorded pid whose start time differs is never signalled. Unclaimed phases become
   * unstartable (the claim is taken), so a late start cannot slip through.
   */
  killJob(logDir: string, phase: JobPhase, options: { graceMs: number; signal: AbortSignal }): Promise<void>;
  /** Resolves when the job's state may have changed (claim, pid, exit) or after `timeoutMs`. A wake-up only. */
  waitJobChange(
    logDir: string,
    phase: JobPhase,
    options: { timeoutMs: number; signal: AbortSignal },
  ): Promise<void>;
  /** Bytes of a phase's raw output from an offset, at most `limit`; empty at the end. */
  readOutput(
    logDir: string,
    phase: JobPhase,
    options: { offset: number; limit: number; signal: AbortSignal },
  ): Promise<Uint8Array>;
  /** Resolves when the output may have grown beyond `offset`, or after `timeoutMs`. A wake-up only. */
  waitOutput(
    logDir: string,
    phase: JobPhase,
    options: { offset: number; timeoutMs: number; signal: AbortSignal },
  ): Promise<void>;
}

export interface JobStart {
  /** Directory name below `~/sky_logs`, e.g. `1-train`. */
  readonly logDir: string;
  readonly phase: JobPhase;
  /** Output file below the job's log directory, e.g. `tasks/run.log`. */
  readonly output: string;
  /** The user's script text (bash where present, else sh), run with cwd `~/sky_workdir`. */
  readonly script: string;
  /** Whole extra environment of the script. Holds secrets: never on a command line, files 0600. */
  readonly env: Readonly<Record<string, string>>;
}
