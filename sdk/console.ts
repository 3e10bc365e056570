/**
 * SkyPilot's log text, as official servers send it: lines, some of them controls (wire.md §5). Owns the splitting,
 * the spinner's state and the skipping of lines already shown after a reconnect.
 */
import { decodeControl, hasPayload } from "../api/frames.ts";
import type { LogSink } from "./sink.ts";

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const MARKER = new TextEncoder().encode("<sky-payload");

/** Lines shown so far: what a reconnected stream skips. A line ends with \n or \r. */
export interface ConsolePlace {
  lines: number;
}

/** Decodes one response. Pieces are whole lines; the last one without an end comes out only at a clean end. */
export class ConsoleDecoder {
  readonly #sink: LogSink;
  readonly #place: ConsolePlace;
  #skip: number;
  #held: Uint8Array[] = [];
  #spinner: { message: string } | null = null;

  constructor(sink: LogSink, place: ConsolePlace) {
    this.#sink = sink;
    this.#place = place;
    this.#skip = place.lines;
  }

  /** `retry`: the server asks to ask again. */
  push(chunk: Uint8Array): "retry" | null {
    const cut = lastEnd(chunk);
    if (cut === 0) {
      if (chunk.length > 0) this.#held.push(chunk.slice());
      return null;
    }
    const whole = this.#held.length === 0
      ? chunk.subarray(0, cut)
      : joined([...this.#held, chunk.subarray(0, cut)]);
    this.#held = cut < chunk.length ? [chunk.slice(cut)] : [];
    return this.#lines(whole);
  }

  /** The body ended as it should: show what is left. */
  end(): void {
    if (this.#held.length === 0) return;
    const rest = joined(this.#held);
    this.#held = [];
    if (this.#skip > 0 || contains(rest, MARKER)) return;
    this.#sink.data(rest);
  }

  #lines(bytes: Uint8Array): "retry" | null {
    if (this.#skip === 0 && !contains(bytes, MARKER)) {
      this.#place.lines += countEnds(bytes);
      this.#sink.data(bytes);
      return null;
    }
    let at = 0;
    let textFrom = 0;
    const flush = (to: number) => {
      if (to > textFrom) this.#sink.data(bytes.subarray(textFrom, to));
    };
    while (at < bytes.length) {
      let end = at;
      while (bytes[end] !== NEWLINE && bytes[end] !== RETURN) end++;
      end++;
      const line = bytes.subarray(at, end);
      if (contains(line, MARKER) && hasPayload(new TextDecoder().decode(line))) {
        flush(at);
        textFrom = end;
        if (this.#control(new TextDecoder().decode(line)) === "retry") return "retry";
      } else if (this.#skip > 0) {
        this.#skip--;
        textFrom = end;
      } else this.#place.lines++;
      at = end;
    }
    flush(bytes.length);
    return null;
  }

  #control(line: string): "retry" | null {
    const control = decodeControl(line);
    if (control === null) return null;
    if (control.code === "retry") return "retry";
    if (control.code === "rich_init") this.#spinner = { message: control.message };
    if (this.#spinner === null) return null;
    if (control.code === "rich_update") this.#spinner.message = control.message;
    if (control.code === "rich_start" || control.code === "rich_update") {
      this.#sink.status(this.#spinner.message);
    }
    if (control.code === "rich_stop" || control.code === "rich_exit") this.#sink.status(null);
    if (control.code === "rich_exit") this.#spinner = null;
    return null;
  }
}

function lastEnd(bytes: Uint8Array): number {
  return Math.max(bytes.lastIndexOf(NEWLINE), bytes.lastIndexOf(RETURN)) + 1;
}

function countEnds(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) if (byte === NEWLINE || byte === RETURN) count++;
  return count;
}

function contains(bytes: Uint8Array, needle: Uint8Array): boolean {
  const first = needle[0] ?? 0;
  for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1)) {
    let same = 1;
    while (same < needle.length && bytes[at + same] === needle[same]) same++;
    if (same === needle.length) return true;
  }
  return false;
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1 && pieces[0] !== undefined) return pieces[0];
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
