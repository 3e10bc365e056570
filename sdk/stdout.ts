/** A log sink for programs: standard output, as it comes; no colours into a pipe. The CLI has its own terminal. */
import { Buffer } from "node:buffer";
import { stripAnsi } from "../core/ansi.ts";
import type { LogSink } from "./sink.ts";

const ESCAPE = 0x1b;
// deno-lint-ignore no-control-regex -- the beginning of a sequence whose rest is in the next chunk
const UNFINISHED = /\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]{0,256})?$/;

let held = "";

/** Logs to stdout, spinners nowhere. */
export const STDOUT: LogSink = {
  data(bytes) {
    const plain = Deno.stdout.isTerminal() || (held === "" && !bytes.includes(ESCAPE));
    const shown = plain ? bytes : withoutColours(bytes);
    for (let done = 0; done < shown.length;) done += Deno.stdout.writeSync(shown.subarray(done));
  },
  status() {},
};

/** Bytes pass as single characters, so that what is no UTF-8 stays as it is. */
function withoutColours(bytes: Uint8Array): Uint8Array {
  const text = held + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  held = UNFINISHED.exec(text)?.[0] ?? "";
  return Buffer.from(stripAnsi(text.slice(0, text.length - held.length)), "latin1");
}
