/**
 * How a log becomes the body of an answer: SkyPilot's text with control lines, plain text, or our frames. Owns the
 * cutting into whole lines; leaves waiting, heartbeats and the end to pump.ts. Pure, one object per stream.
 */
import { Buffer } from "node:buffer";
import { encodeControl, encodeFrame, type Frame, hasPayload } from "../../api/frames.ts";
import { LogFrames } from "../../api/log_frames.ts";
import { SpinnerLines } from "../request_log.ts";

/** How a stream ended. */
export interface StreamEnd {
  /** Final state of the request, or PENDING/RUNNING when it was not followed to its end. */
  readonly status: string;
  /** For job logs. */
  readonly exitCode: number | null;
  /** A last line of text, e.g. that the request was cancelled. */
  readonly notice: string | null;
}

export interface Encoder {
  /** Told once, before the first bytes: where in the log they begin. */
  begin(offset: number): void;
  /** Log bytes, in order, cut anywhere. */
  push(chunk: Uint8Array): Uint8Array[];
  /** Show what is being waited for; null: it is over. */
  status(message: string | null): Uint8Array[];
  /** A sign of life, or nothing where it would tear a line apart. */
  beat(): Uint8Array[];
  end(end: StreamEnd): Uint8Array[];
  /** What tells the client to repeat its call; null where the form has no word for it. */
  retry(): Uint8Array[] | null;
}

const utf8 = new TextEncoder();
const NEWLINE = 0x0a;
const NOTHING = new Uint8Array();
const MARK = Buffer.from("<sky-payload");
/** A line longer than this is sent in pieces: it is not worth its memory. */
const MAX_HELD = 64 * 1024;

/** SkyPilot's text (wire.md §5). `skipControls`: bytes at the start whose control lines are left out (`tail`). */
export function consoleEncoder(options: { skipControls?: number } = {}): Encoder {
  const lines = new LineCutter();
  const spinner = new SpinnerLines();
  let history = options.skipControls ?? 0;
  return {
    begin: () => {},
    push(chunk) {
      if (history <= 0) return lines.push(chunk);
      const old = chunk.subarray(0, history);
      const fresh = chunk.subarray(old.length);
      history -= old.length;
      return [...dropControls(lines.push(old)), ...(fresh.length > 0 ? lines.push(fresh) : [])];
    },
    status: (message) => pieces(spinner.status(message)),
    beat: () => lines.atLineStart ? pieces(encodeControl("heartbeat")) : [],
    end: ({ notice }) => [...lines.end(), ...(notice === null ? [] : pieces(`${notice}\n`))],
    retry: () => [...lines.end(), ...pieces(encodeControl("retry"))],
  };
}

/** Text for people and files: no control lines of the log. The waiting text is padded to get through buffers. */
export function plainEncoder(): Encoder {
  const lines = new LineCutter();
  let shown: string | null = null;
  return {
    begin: () => {},
    push: (chunk) => dropControls(lines.push(chunk)),
    status(message) {
      if (message === null || message === shown) return [];
      shown = message;
      return pieces(`${stripMarkup(message)}${" ".repeat(4096)}\n`);
    },
    beat: () => [],
    end: ({ notice }) => [...dropControls(lines.end()), ...(notice === null ? [] : pieces(`${notice}\n`))],
    retry: () => null,
  };
}

/** Our frames. `offset`: where the log will presumably begin, for frames before its first byte. */
export function framesEncoder(offset: number): Encoder {
  let log = new LogFrames(offset);
  const encode = (frames: Frame[]) => frames.map(encodeFrame);
  return {
    begin: (offset) => log = new LogFrames(offset),
    push: (chunk) => encode(log.push(chunk)),
    status: (message) => encode([{ kind: "status", offset: log.offset, message }]),
    beat: () => encode([{ kind: "beat", offset: log.offset }]),
    end: ({ status, exitCode }) =>
      encode([...log.end(), { kind: "end", offset: log.offset, status, exitCode }]),
    retry: () => null,
  };
}

/** Gives out whole lines, so that no client sees a character cut in two (wire.md §5.2). */
class LineCutter {
  #held: Uint8Array = NOTHING;
  #atLineStart = true;

  /** False while a part of a line has been given out. */
  get atLineStart(): boolean {
    return this.#atLineStart;
  }

  push(chunk: Uint8Array): Uint8Array[] {
    if (chunk.length === 0) return [];
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end === chunk.length && this.#held.length === 0) {
      this.#atLineStart = true;
      return [chunk];
    }
    const out: Uint8Array[] = [];
    if (end > 0) {
      const lines = chunk.subarray(0, end);
      out.push(this.#held.length === 0 ? lines : Buffer.concat([this.#held, lines]));
      this.#held = NOTHING;
      this.#atLineStart = true;
    }
    if (end < chunk.length) this.#hold(chunk.subarray(end), out);
    return out;
  }

  end(): Uint8Array[] {
    const rest = this.#held;
    this.#held = NOTHING;
    return rest.length > 0 ? [rest] : [];
  }

  #hold(rest: Uint8Array, out: Uint8Array[]): void {
    const held = Buffer.concat([this.#held, rest]);
    if (held.length <= MAX_HELD) {
      this.#held = held;
      return;
    }
    const cut = characterStart(held);
    out.push(held.subarray(0, cut));
    this.#held = held.subarray(cut);
    this.#atLineStart = false;
  }
}

/** Where the last, perhaps unfinished UTF-8 character begins; the length when it is whole. */
function characterStart(bytes: Uint8Array): number {
  for (let back = 1; back <= 4 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

/** Leave out lines that hold a payload. Input: whole lines, but for the very last piece of a log. */
function dropControls(chunks: Uint8Array[]): Uint8Array[] {
  return chunks.flatMap((chunk) => {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (!bytes.includes(MARK)) return [chunk];
    const kept: Uint8Array[] = [];
    for (let from = 0; from < bytes.length;) {
      const newline = bytes.indexOf(NEWLINE, from);
      const to = newline < 0 ? bytes.length : newline + 1;
      const line = bytes.subarray(from, to);
      if (!line.includes(MARK) || !hasPayload(line.toString("utf8"))) kept.push(line);
      from = to;
    }
    return kept;
  });
}

/** `[bold cyan]text[/]` → `text`; `\[` is a literal bracket. */
export function stripMarkup(text: string): string {
  return text.replace(/\\\[|\[\/?[a-z #0-9_]*\]/gi, (match) => match === "\\[" ? "[" : "");
}

function pieces(text: string): Uint8Array[] {
  return text === "" ? [] : [utf8.encode(text)];
}
