/**
 * Log streams. Two forms: SkyPilot's text with control lines (wire.md §5), and ours, frames, which know their byte
 * offset in the log file and how the stream ended. The reading loop with reconnects is sdk/stream.ts. Pure.
 *
 * A frame: `<kind> <offset> <length>\n`, then `length` bytes.
 *   data    a piece of the log; offset: of its first byte in the log file
 *   status  JSON {message}: spinner text in rich markup, null hides it
 *   beat    nothing; sent every BEAT_INTERVAL_MS of silence
 *   end     JSON {status, exit_code}: no more will come
 * The offset of the last three is where the reader should go on after a cut.
 */
import { SkyError } from "../core/errors.ts";

/** The server sends a beat after this long without a frame; the client gives up on a peer silent for the other. */
export const BEAT_INTERVAL_MS = 10_000;
export const SILENCE_LIMIT_MS = 30_000;

export type ControlCode =
  | "rich_init"
  | "rich_start"
  | "rich_update"
  | "rich_stop"
  | "rich_exit"
  | "heartbeat"
  | "retry";

export interface Control {
  readonly code: ControlCode;
  readonly message: string;
}

/** A control line with its newline, ASCII only, e.g. `<sky-payload>"<rich_stop></rich_stop>"</sky-payload>\n`. */
export function encodeControl(code: ControlCode, message = ""): string {
  const json = JSON.stringify(`<${code}>${message}</${code}>`).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return `<sky-payload>${json}</sky-payload>\n`;
}

const PAYLOAD = /<sky-payload.*?>(.*?)<\/sky-payload>/;
const CONTROL = /^<(rich_init|rich_start|rich_update|rich_stop|rich_exit|heartbeat|retry)>([\s\S]*)<\/\1>$/;

/** True when SkyPilot's client would swallow the line. */
export function hasPayload(line: string): boolean {
  return PAYLOAD.test(line);
}

/** The control in a line; null when it has none or one that nobody knows. */
export function decodeControl(line: string): Control | null {
  const text = PAYLOAD.exec(line)?.[1];
  if (text === undefined) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null; // a program printed something that looks like a payload: not ours
  }
  const match = typeof value === "string" ? CONTROL.exec(value) : null;
  return match === null ? null : { code: match[1] as ControlCode, message: match[2] ?? "" };
}

/** Break `<sky-payload` in foreign text with a zero-width space, so that no client takes it for a control line. */
export function escapePayload(text: string): string {
  return text.replaceAll("<sky-payload", "<sky\u200b-payload");
}

export type Frame =
  | { readonly kind: "data"; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "status"; readonly offset: number; readonly message: string | null }
  | { readonly kind: "beat"; readonly offset: number }
  | {
    readonly kind: "end";
    readonly offset: number;
    /** Final state of the request, or PENDING/RUNNING for a stream that does not follow. */
    readonly status: string;
    /** For job logs: the job's exit code (0, 100–103). */
    readonly exitCode: number | null;
  };

/** Where a reader goes on after this frame. */
export function nextOffset(frame: Frame): number {
  return frame.kind === "data" ? frame.offset + frame.bytes.length : frame.offset;
}

const utf8 = new TextEncoder();

/** One frame as bytes. */
export function encodeFrame(frame: Frame): Uint8Array<ArrayBuffer> {
  const body = bodyOf(frame);
  const head = utf8.encode(`${frame.kind} ${frame.offset} ${body.length}\n`);
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}

function bodyOf(frame: Frame): Uint8Array {
  switch (frame.kind) {
    case "data":
      return frame.bytes;
    case "status":
      return utf8.encode(JSON.stringify({ message: frame.message }));
    case "beat":
      return new Uint8Array();
    case "end":
      return utf8.encode(JSON.stringify({ status: frame.status, exit_code: frame.exitCode }));
  }
}

/** Frames in, bytes out. */
export class FrameWriter extends TransformStream<Frame, Uint8Array<ArrayBuffer>> {
  constructor() {
    super({ transform: (frame, controller) => controller.enqueue(encodeFrame(frame)) });
  }
}

const MAX_HEAD = 64;
const MAX_BODY = 1 << 20;
const HEAD = /^(data|status|beat|end) (\d{1,16}) (\d{1,16})$/;

/**
 * Bytes in, frames out, however the bytes are cut: a data frame comes out in pieces as they arrive. Errors with
 * stream_cut when the bytes are no frames or end inside one.
 */
export class FrameReader extends TransformStream<Uint8Array, Frame> {
  constructor() {
    const parser = new FrameParser();
    super({
      transform(chunk, controller) {
        for (const frame of parser.push(chunk)) controller.enqueue(frame);
      },
      flush: () => parser.end(),
    });
  }
}

/** The state of a FrameReader, for callers that read bytes themselves. */
export class FrameParser {
  #head: number[] = [];
  #kind: Frame["kind"] | null = null;
  #offset = 0;
  #left = 0;
  #body: Uint8Array[] = [];

  /** Frames completed by these bytes. Throws stream_cut for bytes that are no frames. */
  push(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    let at = 0;
    for (;;) {
      if (this.#kind === null) {
        const end = chunk.indexOf(0x0a, at);
        const head = chunk.subarray(at, end < 0 ? chunk.length : end);
        if (this.#head.length + head.length > MAX_HEAD) throw malformed();
        this.#head.push(...head);
        if (end < 0) return frames;
        at = end + 1;
        this.#begin();
      }
      const piece = chunk.subarray(at, at + this.#left);
      at += piece.length;
      this.#left -= piece.length;
      if (this.#kind === "data") {
        if (piece.length > 0) frames.push({ kind: "data", offset: this.#offset, bytes: piece });
        this.#offset += piece.length;
      } else if (piece.length > 0) this.#body.push(piece.slice());
      if (this.#left > 0) return frames;
      const frame = this.#finish();
      if (frame !== null) frames.push(frame);
    }
  }

  /** Throws stream_cut when the bytes ended inside a frame. */
  end(): void {
    if (this.#kind !== null || this.#head.length > 0) throw malformed();
  }

  #begin(): void {
    const match = HEAD.exec(String.fromCharCode(...this.#head));
    if (match === null) throw malformed();
    this.#head = [];
    this.#kind = match[1] as Frame["kind"];
    this.#offset = Number(match[2]);
    this.#left = Number(match[3]);
    if (this.#kind !== "data" && this.#left > MAX_BODY) throw malformed();
  }

  #finish(): Frame | null {
    const kind = this.#kind;
    const offset = this.#offset;
    const body = this.#body;
    this.#kind = null;
    this.#body = [];
    if (kind === null || kind === "data") return null;
    if (kind === "beat") return { kind, offset };
    const json = parseJson(body);
    if (kind === "status") {
      const message = json["message"];
      return { kind, offset, message: typeof message === "string" ? message : null };
    }
    const exitCode = json["exit_code"];
    return {
      kind,
      offset,
      status: String(json["status"]),
      exitCode: typeof exitCode === "number" ? exitCode : null,
    };
  }
}

function parseJson(pieces: Uint8Array[]): Record<string, unknown> {
  const decoder = new TextDecoder();
  const text = pieces.map((piece) => decoder.decode(piece, { stream: true })).join("") + decoder.decode();
  try {
    const value: unknown = JSON.parse(text);
    if (value !== null && typeof value === "object") return value as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw malformed();
}

function malformed(): SkyError {
  return new SkyError("stream_cut", "The log stream was cut");
}
