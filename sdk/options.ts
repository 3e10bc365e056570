/** What callers of the client say: its options and those of its methods. Types only. */
import type { Input, OperationKey } from "../api/operations.ts";
import type { SkyConfig } from "../core/config.ts";
import type { User } from "../core/context.ts";
import type { Env } from "../core/paths.ts";
import type { Revive } from "./exchange.ts";
import type { Timing } from "./timing.ts";

/** The id of a request, which remembers what its result will be. */
export type RequestId<R> = string & { readonly __result?: R };

export interface SkyOptions {
  /** E.g. `http://127.0.0.1:46580`; with a socket only shown to people. */
  endpoint: string;
  /** Unix socket of a local server. */
  socket?: string | null;
  /** Service-account token (`sky_…`). */
  token?: string | null;
  user: User;
  env: Env;
  config: SkyConfig;
  /** The command line for the records, secrets redacted. */
  command: string;
  /** False: the server reads our files itself, nothing is uploaded. */
  remote: boolean;
  /** For tests: a plain Request → Response function. */
  fetch?: typeof fetch;
  /** The whole environment, so that every `SKYPILOT_*` variable travels (wire.md §15.1). */
  variables?: Readonly<Record<string, string>>;
  /** Value of the Cookie header; used only without a token. */
  cookies?: (url: URL) => string | null;
  timing?: Partial<Timing>;
  /** Starts or finds the server again when it is not there. */
  revive?: Revive;
  /** Told when the client waits for a busy server (null: no longer). */
  notice?: (message: string | null) => void;
}

/** Operations with a method that submits and returns the id. `logs` streams: use tailLogs. */
export type QueuedKey = Exclude<OperationKey, "logs">;

export interface SubmitOptions {
  /** From uploadMounts. */
  blobId?: string | null;
  signal?: AbortSignal;
  /** Makes a repeated submission the same request. A new one is made for each call. */
  idempotencyKey?: string;
}

export interface StatusQuery {
  ids?: readonly string[];
  allStatus?: boolean;
  limit?: number | null;
  cluster?: string | null;
  fields?: readonly string[];
}

export type RequestOptions = Input<"optimize">["request_options"];
export type CompletionKind = "cluster_name" | "storage_name" | "volume_name" | "api_request";
