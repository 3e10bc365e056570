/**
 * Reads a tar archive from a stream, as one from somebody who means ill: bounded headers, checked sums, names that
 * stay below where they are put. Owns the reading; where entries go is download.ts's. GNU, ustar and pax.
 */
import { SkyError } from "../../../core/errors.ts";
import { BLOCK } from "./tar_write.ts";

export interface ReadEntry {
  /** Relative, clean: no `.`, `..`, empty part or NUL; '' for the top itself. */
  readonly path: string;
  readonly type: "file" | "link" | "hard" | "directory" | "other";
  readonly mode: number;
  /** Unix seconds. */
  readonly mtime: number;
  readonly size: number;
  /** Target of a link as it stands there; of a hard link another entry's path, clean. */
  readonly target: string;
  /** The content, to be read before the next entry or left. */
  content(): AsyncGenerator<Uint8Array>;
}

/** Bytes of one long name or pax header; of a name. */
const MAX_HEADER = 1 << 20;
const MAX_NAME = 1 << 14;

/** Throws command_failed for what is no proper archive, or leaves its folder. */
export async function* readTar(stream: AsyncIterable<Uint8Array>): AsyncGenerator<ReadEntry> {
  const bytes = new Bytes(stream);
  const long: { path?: string; target?: string; size?: number; mtime?: number } = {};
  for (;;) {
    const head = await bytes.take(BLOCK);
    if (head === null) throw broken("it ends too early");
    if (head.every((byte) => byte === 0)) return await bytes.drain();
    checkSum(head);
    const size = long.size ?? number(head.subarray(124, 136));
    const type = String.fromCharCode(head[156]!);
    if (type === "L" || type === "K" || type === "x" || type === "g") {
      if (size > MAX_HEADER) throw broken("a header has no end");
      const text = await bytes.takePadded(size);
      if (type === "L") long.path = untilNul(text);
      else if (type === "K") long.target = untilNul(text);
      else if (type === "x") Object.assign(long, paxOf(text));
      continue;
    }
    const entry = entryOf(head, { type, size, long });
    for (const key of ["path", "target", "size", "mtime"] as const) delete long[key];
    const hasContent = entry.type === "file" || entry.type === "other";
    let left = hasContent ? size : 0;
    const content = async function* () {
      while (left > 0) {
        const piece = await bytes.some(left);
        left -= piece.length;
        yield piece;
      }
    };
    yield { ...entry, content };
    while (left > 0) left -= (await bytes.some(left)).length;
    if (hasContent) await bytes.skip((BLOCK - size % BLOCK) % BLOCK);
  }
}

function entryOf(
  head: Uint8Array,
  { type, size, long }: {
    type: string;
    size: number;
    long: { path?: string; target?: string; mtime?: number };
  },
): Omit<ReadEntry, "content"> {
  const gnu = untilNul(head.subarray(257, 265)).startsWith("ustar ");
  const prefix = gnu ? "" : untilNul(head.subarray(345, 500));
  const short = untilNul(head.subarray(0, 100));
  const path = cleanPath(long.path ?? (prefix === "" ? short : `${prefix}/${short}`));
  const target = long.target ?? untilNul(head.subarray(157, 257));
  const kind = typeOf(type, short);
  return {
    path,
    type: kind,
    mode: number(head.subarray(100, 108)) & 0o777,
    mtime: long.mtime ?? number(head.subarray(136, 148)),
    size,
    target: kind === "hard" ? cleanPath(target) : target,
  };
}

function typeOf(type: string, name: string): ReadEntry["type"] {
  if (type === "0" || type === "\0" || type === "7") return name.endsWith("/") ? "directory" : "file";
  if (type === "1") return "hard";
  if (type === "2") return "link";
  if (type === "5") return "directory";
  return "other";
}

/** Throws for a name that is absolute or climbs. */
export function cleanPath(path: string): string {
  if (path.startsWith("/") || path.includes("\0") || path.length > MAX_NAME) {
    throw broken(`'${path.slice(0, 200)}' is no name below its folder`);
  }
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw broken(`'${path.slice(0, 200)}' is no name below its folder`);
  return parts.join("/");
}

function checkSum(head: Uint8Array): void {
  let sum = 0;
  for (const [i, byte] of head.entries()) sum += i >= 148 && i < 156 ? 32 : byte;
  if (sum !== number(head.subarray(148, 156))) throw broken("a header is damaged");
}

function number(field: Uint8Array): number {
  if ((field[0]! & 0x80) !== 0) {
    let value = 0;
    for (const [i, byte] of field.entries()) value = value * 256 + (i === 0 ? byte & 0x7f : byte);
    if (!Number.isSafeInteger(value)) throw broken("a number is too big");
    return value;
  }
  const digits = untilNul(field).trim();
  if (digits === "") return 0;
  if (!/^[0-7]+$/.test(digits)) throw broken("a number is none");
  return parseInt(digits, 8);
}

function paxOf(text: Uint8Array): { path?: string; target?: string; size?: number; mtime?: number } {
  const found: { path?: string; target?: string; size?: number; mtime?: number } = {};
  for (let at = 0; at < text.length;) {
    const space = text.indexOf(32, at);
    const length = space < 0 ? NaN : Number(decode(text.subarray(at, space)));
    if (!(length > space - at + 1) || at + length > text.length) throw broken("a pax header is damaged");
    const record = decode(text.subarray(space + 1, at + length - 1));
    const equals = record.indexOf("=");
    const [key, value] = [record.slice(0, equals), record.slice(equals + 1)];
    if (key === "path") found.path = value;
    else if (key === "linkpath") found.target = value;
    else if (key === "size" && /^\d{1,15}$/.test(value)) found.size = Number(value);
    else if (key === "mtime" && /^\d{1,12}(\.\d*)?$/.test(value)) found.mtime = Number(value);
    at += length;
  }
  return found;
}

function untilNul(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function broken(why: string): SkyError {
  return new SkyError("command_failed", `Cannot read the archive a node sent: ${why}`);
}

/** A stream of pieces, taken by size. */
class Bytes {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array();

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#pieces = stream[Symbol.asyncIterator]();
  }

  async #fill(): Promise<boolean> {
    while (this.#piece.length === 0) {
      const { done, value } = await this.#pieces.next();
      if (done === true) return false;
      this.#piece = value;
    }
    return true;
  }

  /** Up to `most` bytes, at least one. */
  async some(most: number): Promise<Uint8Array> {
    if (!await this.#fill()) throw broken("it ends too early");
    const part = this.#piece.subarray(0, most);
    this.#piece = this.#piece.subarray(part.length);
    return part;
  }

  /** Exactly `size` bytes; null if nothing is left at all. */
  async take(size: number): Promise<Uint8Array | null> {
    if (size > 0 && !await this.#fill()) return null;
    const whole = new Uint8Array(size);
    for (let at = 0; at < size;) {
      const part = await this.some(size - at);
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  async takePadded(size: number): Promise<Uint8Array> {
    const text = await this.take(size);
    await this.skip((BLOCK - size % BLOCK) % BLOCK);
    return text ?? new Uint8Array();
  }

  async skip(size: number): Promise<void> {
    for (let left = size; left > 0;) left -= (await this.some(left)).length;
  }

  /** What follows the end, so that its writer isn't stopped. At most some MiB. */
  async drain(): Promise<void> {
    for (let size = 0; await this.#fill(); this.#piece = new Uint8Array()) {
      size += this.#piece.length;
      if (size > 4 * MAX_HEADER) throw broken("it goes on after its end");
    }
  }
}
