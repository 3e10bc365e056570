/** Waiting for machines: as long as it takes, but never longer than somebody wants it. */
import { delay } from "@std/async/delay";
import { isSkyError } from "../core/errors.ts";

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 15_000;

/** Try until it works: a machine that cannot be reached says nothing about the job on it. */
export async function patiently<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let wait = FIRST_RETRY_MS;; wait = Math.min(wait * 2, LAST_RETRY_MS)) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      if (!isSkyError(error, "network") && !isSkyError(error, "timeout")) throw error;
    }
    await delay(wait, { signal });
  }
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
