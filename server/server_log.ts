/** The server's own log: one line per event on standard error, which the starter sends to `server.log`. Never bodies,
 * never secrets. */
import { isSkyError } from "../core/errors.ts";

export interface ServerLog {
  line(text: string): void;
  /** An error nobody was waiting for, with its stack. */
  fault(what: string, error: unknown): void;
}

/** Writes with timestamps from `now`. */
export function serverLog(write: (bytes: Uint8Array) => void, now: () => number): ServerLog {
  const utf8 = new TextEncoder();
  const line = (text: string) => write(utf8.encode(`${new Date(now()).toISOString()} ${text}\n`));
  return { line, fault: (what, error) => line(`${what}: ${explain(error)}`) };
}

/** Standard error; a closed one must not end the server. */
export function writeStderr(bytes: Uint8Array): void {
  try {
    for (let done = 0; done < bytes.length;) done += Deno.stderr.writeSync(bytes.subarray(done));
  } catch {
    // The terminal is gone or the disk full: there is no third place to tell.
  }
}

function explain(error: unknown): string {
  if (isSkyError(error) && error.cause === undefined) return `${error.code}: ${error.message}`;
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `\n  caused by ${explain(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
