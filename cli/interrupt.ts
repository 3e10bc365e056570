/** Ctrl+C as an error: what waits for something ends at once, whether that something heeds the signal or not. */
import { SkyError } from "../core/errors.ts";

/** The work's result; throws `aborted` as soon as the signal fires. The work itself may go on unheard. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = () => reject(new SkyError("aborted", "Aborted!"));
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  return Promise.race([work, promise]).finally(() => signal.removeEventListener("abort", stop));
}
