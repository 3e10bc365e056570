/** A log sink for programs: standard output, as it comes. The CLI has its own terminal. */
import type { LogSink } from "./sink.ts";

/** Logs to stdout, spinners nowhere. */
export const STDOUT: LogSink = {
  data(bytes) {
    for (let done = 0; done < bytes.length;) done += Deno.stdout.writeSync(bytes.subarray(done));
  },
  status() {},
};
