/** How long the client waits, and how a lost exchange is told from a refused one. */
import { SkyError } from "../core/errors.ts";

/** Milliseconds. Tests shorten them. */
export interface Timing {
  /** Limit for an answer to arrive, for exchanges that should be quick. */
  readonly answer: number;
  /** How long a server that was never reached is tried again. */
  readonly connect: number;
  /** How long an exchange that was cut after it was sent is tried again (only where a repeat is safe). */
  readonly resend: number;
  /** First pause after a 503, its cap, and when to give up on 503s. */
  readonly busyFirst: number;
  readonly busyCap: number;
  readonly busyTotal: number;
  /** First pause after a cut stream, and its cap. */
  readonly streamFirst: number;
  readonly streamCap: number;
  /** A framed stream silent for this long is dead; a console stream has a heartbeat every 30 s only. */
  readonly silence: number;
  readonly consoleSilence: number;
  /** One attempt of a blocking `/api/get`; then it is asked again. */
  readonly get: number;
}

export const TIMING: Timing = {
  answer: 30_000,
  connect: 600,
  resend: 10_000,
  busyFirst: 5_000,
  busyCap: 25_000,
  busyTotal: 600_000,
  streamFirst: 1_000,
  streamCap: 5_000,
  silence: 30_000,
  consoleSilence: 90_000,
  get: 60_000,
};

/** The rest of an answer may stall as well. */
export async function within<T>(work: Promise<T>, limit: number | null): Promise<T> {
  if (limit === null) return await work;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimedOut(limit)), limit);
  });
  return await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

export class TimedOut extends SkyError {
  constructor(limit: number) {
    super("timeout", `The SkyPilot API server did not answer within ${limit / 1000} s`);
  }
}

/** A failure that the hand-made exchange over a socket met. `connect`: nothing was sent. */
export class ConnectionFailure extends Error {
  override readonly name = "ConnectionFailure";
  readonly kind: "connect" | "cut";

  constructor(kind: "connect" | "cut", cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.kind = kind;
  }
}

/** Null: not a failure of the connection. `connect`: nothing was sent. `cut`: it may have arrived. */
export function failureOf(error: unknown): "connect" | "cut" | "timeout" | null {
  if (error instanceof TimedOut) return "timeout";
  if (error instanceof ConnectionFailure) return error.kind;
  if (!(error instanceof TypeError) && !(error instanceof Deno.errors.Http)) return null;
  // Deno 2.9 says only "fetch failed" and keeps the reason as the cause.
  const message = error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
  if (/client error \(Connect\)/.test(message)) return "connect";
  return /error sending request|reading a body|connection|body/i.test(message) ? "cut" : null;
}
