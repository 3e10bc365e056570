/** What an exchange with the server is made of. Types only; http.ts does them. */
import type { Timing } from "./timing.ts";

/** Where the server is. With a socket, the endpoint is only what people are shown. */
export interface Target {
  readonly endpoint: string;
  readonly socket: string | null;
}

/** Called when the server cannot be reached: start or find it again; null: leave it. */
export type Revive = (reason: "submit" | "follow") => Promise<Target | null>;

export interface HttpOptions extends Target {
  readonly token: string | null;
  /** Value of the Cookie header for a URL; used only without a token. */
  readonly cookies: ((url: URL) => string | null) | null;
  readonly clientType: string | null;
  readonly fetch: typeof fetch;
  readonly timing: Timing;
  readonly revive: Revive | null;
  /** Tells people that the client waits, and (null) that it no longer does. */
  readonly notice: (message: string | null) => void;
}

export interface Exchange {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** Undefined and null values are left out; arrays are repeated. */
  readonly query?: Readonly<Record<string, unknown>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** A raw body, made anew for every attempt. */
  readonly body?: () => BodyInit | Promise<BodyInit>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until the headers of the answer must be here; null: no limit. Default `timing.answer`. */
  readonly limit?: number | null;
  /** Whether a repeat cannot do harm. `own`: only if the server is ours (it honours Idempotency-Key). */
  readonly repeat?: "safe" | "own" | "never";
  /** Wait out 503 answers. Default true. */
  readonly waitBusy?: boolean;
  /** Statuses that the caller wants to see; all other errors are thrown. */
  readonly accept?: readonly number[];
  /** Why the server may be started when it is not there. */
  readonly revive?: "submit" | "follow";
  /** Chunk uploads carry no version headers (wire.md §2.1). */
  readonly bare?: boolean;
}
