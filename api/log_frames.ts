/**
 * A log file as frames: its text becomes data frames with their true offsets, its control lines status frames. For
 * the server, which keeps control lines in the log file as SkyPilot does (wire.md §16.10). Pure.
 */
import { decodeControl, type Frame } from "./frames.ts";

const START = new TextEncoder().encode("<sky-payload");
const NEWLINE = 0x0a;
/** A line that begins like a control line but is longer is text after all. */
const MAX_CONTROL = 1 << 16;

/** Feed it a log file's bytes in order from `offset`, cut anywhere; control lines are recognised at line starts only. */
export class LogFrames {
  #offset: number;
  #atLineStart = true;
  /** A line start that may become a control line. */
  #held: Uint8Array = new Uint8Array();
  #message: string | null = null;

  /** `lineStart`: whether `offset` is known to begin a line (0 always does). */
  constructor(offset: number, options: { lineStart: boolean } = { lineStart: true }) {
    this.#offset = offset;
    this.#atLineStart = options.lineStart;
  }

  /** The offset up to which frames were given out. */
  get offset(): number {
    return this.#offset;
  }

  push(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    let bytes = this.#held.length === 0 ? chunk : join(this.#held, chunk);
    this.#held = new Uint8Array();
    let textFrom = 0;
    let at = 0;
    const flush = (to: number) => {
      if (to > textFrom) {
        frames.push({ kind: "data", offset: this.#offset, bytes: bytes.subarray(textFrom, to) });
        this.#offset += to - textFrom;
      }
      textFrom = to;
    };
    while (at < bytes.length) {
      if (!this.#atLineStart || !startsLikeControl(bytes, at)) {
        const end = bytes.indexOf(NEWLINE, at);
        this.#atLineStart = end >= 0;
        at = end < 0 ? bytes.length : end + 1;
        continue;
      }
      const end = bytes.indexOf(NEWLINE, at);
      if (end < 0) {
        if (bytes.length - at > MAX_CONTROL) {
          this.#atLineStart = false;
          continue;
        }
        flush(at);
        this.#held = bytes.slice(at);
        bytes = new Uint8Array();
        return frames;
      }
      const control = decodeControl(new TextDecoder().decode(bytes.subarray(at, end)));
      if (control !== null) {
        flush(at);
        this.#offset += end + 1 - at;
        textFrom = end + 1;
        this.#control(control.code, control.message, frames);
      }
      at = end + 1;
    }
    flush(bytes.length);
    return frames;
  }

  /** What is still held back is text: the file ended in the middle of a line. */
  end(): Frame[] {
    if (this.#held.length === 0) return [];
    const frame: Frame = { kind: "data", offset: this.#offset, bytes: this.#held };
    this.#offset += this.#held.length;
    this.#held = new Uint8Array();
    return [frame];
  }

  #control(code: string, message: string, frames: Frame[]): void {
    const offset = this.#offset;
    if (code === "rich_init") this.#message = message;
    else if (code === "rich_start" || code === "rich_update") {
      this.#message = message === "" ? this.#message : message;
      frames.push({ kind: "status", offset, message: this.#message });
    } else if (code === "rich_stop" || code === "rich_exit") {
      frames.push({ kind: "status", offset, message: null });
    }
  }
}

function startsLikeControl(bytes: Uint8Array, at: number): boolean {
  const length = Math.min(START.length, bytes.length - at);
  for (let i = 0; i < length; i++) if (bytes[at + i] !== START[i]) return false;
  return true;
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
