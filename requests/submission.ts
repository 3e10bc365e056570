/** What the engine is given: submissions, the work behind their names, and its surroundings. Types only. */
import type { SkyConfig } from "../core/config.ts";
import type { Context, Log, User } from "../core/context.ts";
import type { Lane } from "../core/request.ts";
import type { Database } from "../state/database.ts";
import type { LogFiles } from "../state/log_file.ts";

export interface Submission {
  /** With SkyPilot's prefix, e.g. `sky.launch`. */
  readonly name: string;
  readonly lane: Lane;
  /** JSON. */
  readonly body: unknown;
  /** The cluster it is about; null if none. */
  readonly clusterName: string | null;
  /** Runs alone among the locking requests of its cluster, in order of submission. */
  readonly lock: boolean;
  /** First cancels every earlier request on its cluster except those of its own name. */
  readonly preempts: boolean;
  /** After a crash or a drain: run again from its journal. Otherwise it ends FAILED, saying so. */
  readonly resumable: boolean;
  /** Its answer is its log, inside the exchange: runs at once outside the lanes; ends CANCELLED with the server. */
  readonly streaming: boolean;
  /** It steers other requests (cancel): runs at once outside the lanes, and no filter cancels it. */
  readonly control?: boolean;
  readonly user: User;
  readonly workspace: string;
  readonly env: Readonly<Record<string, string>>;
  readonly config: SkyConfig;
  readonly command: string;
  readonly idempotencyKey: string | null;
  /** The body as it may be shown: without secrets. */
  readonly redact: (body: unknown) => unknown | Promise<unknown>;
}

/** Does the request. The result must be JSON. */
export type Work = (body: unknown, ctx: Context) => Promise<unknown>;

export interface EngineLimits {
  /** Requests at once in each lane. */
  readonly long: number;
  readonly short: number;
  readonly perUserLong?: number;
  /** Streaming requests at once; more are refused with server_busy. Default 4096. */
  readonly streaming?: number;
  /** Open requests; more are refused with server_busy. Default 100,000. */
  readonly open?: number;
  /** Starts of one request, restarts included, before it is given up: it may be what kills the server. Default 20. */
  readonly attempts?: number;
  /** Ms that cancelled work may take to end before its processes are killed. Default 10,000. */
  readonly cancelMs?: number;
}

export interface EngineOptions {
  readonly database: Database;
  readonly logs: LogFiles;
  /** Directory of the request logs, made 0700. */
  readonly folder: string;
  /** The work of a request name; throws for an unknown one. */
  readonly work: (name: string) => Work;
  /** Makes a request's Log over its file: how lines and spinner texts become bytes. Each append is whole lines. */
  readonly makeLog: (append: (bytes: Uint8Array) => void) => Log;
  readonly now: () => number;
  readonly limits: EngineLimits;
  /** Kills what is left of a request's processes and resolves when they are proven dead. */
  readonly proveDead?: (requestId: string) => Promise<void>;
  /** Called at named moments (`before_insert`, `after_result`, …): for crash tests. */
  readonly failpoint?: (name: string) => void;
  /** Told of errors that are bugs or a failing disk, beside the request's own FAILED. */
  readonly onInternalError?: (error: unknown, about: { requestId: string; name: string }) => void;
}
