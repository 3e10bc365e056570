/** Waiting for machines: as long as it takes, but never longer than somebody wants it. */
import { delay } from "@std/async/delay";
import { isSkyError, type SkyError } from "../core/errors.ts";

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 15_000;

export interface Patience {
  readonly signal: AbortSignal;
  /** Milliseconds from the first failure on; without an end if not given. */
  readonly limitMs?: number;
  /** Whether a machine that does not let us in is waited for, too. */
  readonly denied?: boolean;
  /** Told of each failure that is waited for to pass. */
  readonly onFailure?: (error: SkyError) => void;
}

/** Try until it works: a machine that cannot be reached says nothing about the job on it. */
export async function patiently<T>(work: () => Promise<T>, patience: Patience): Promise<T> {
  const { signal, limitMs = Infinity, denied = false, onFailure } = patience;
  let giveUpAt: number | null = null;
  for (let wait = FIRST_RETRY_MS;; wait = Math.min(wait * 2, LAST_RETRY_MS)) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (!isUnreachable(error) && !(denied && isDenied(error))) throw error;
      giveUpAt ??= performance.now() + limitMs;
      if (performance.now() >= giveUpAt) throw error;
      onFailure?.(error);
    }
    await delay(wait, { signal });
  }
}

/** It was not reached, or its answer did not arrive. */
export function isUnreachable(error: unknown): error is SkyError {
  return isSkyError(error, "network") || isSkyError(error, "timeout");
}

/** The machine does not let us in, or is not the one it was; not to be confused with a file that may not be read. */
export function isDenied(error: unknown): error is SkyError {
  return isSkyError(error, "permission_denied") && error.details["reason"] !== undefined;
}

/** The work's outcome, or the signal's reason as soon as it aborts; the work goes on by itself then. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const leave = () => reject(signal.reason);
  if (signal.aborted) leave();
  signal.addEventListener("abort", leave);
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

/** Wait for the work, `ms` milliseconds at most. Rejects as the work does. */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  try {
    await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** A promise whose rejection nobody has to hear. */
export function quiet(): PromiseWithResolvers<void> {
  const resolvers = Promise.withResolvers<void>();
  resolvers.promise.catch(() => {});
  return resolvers;
}
