/**
 * Writes tar archives as a stream of bytes. GNU's format: its long names and big sizes are read by GNU tar, bsdtar
 * and busybox alike, while busybox skips pax headers. No owners, whole seconds. Owns the bytes alone.
 */
export interface TarEntry {
  /** Relative, with `/`. */
  readonly path: string;
  readonly type: "file" | "link" | "directory";
  readonly mode: number;
  /** Unix seconds. */
  readonly mtime: number;
  /** Bytes of content that follow, of files only. */
  readonly size: number;
  /** Target of a link. */
  readonly target?: string;
}

export const BLOCK = 512;
const NAME = 100;
const TYPES = { file: "0", link: "2", directory: "5" } as const;

const encoder = new TextEncoder();

/** All that stands before an entry's content. */
export function tarHeader(entry: TarEntry): Uint8Array {
  const path = encoder.encode(entry.type === "directory" ? `${entry.path}/` : entry.path);
  const target = encoder.encode(entry.target ?? "");
  const parts: Uint8Array[] = [];
  if (target.length > NAME) parts.push(long("K", target));
  if (path.length > NAME) parts.push(long("L", path));
  parts.push(block({
    path: path.subarray(0, NAME),
    target: target.subarray(0, NAME),
    type: TYPES[entry.type],
    mode: entry.mode & 0o7777,
    mtime: Math.max(0, entry.mtime),
    size: entry.type === "file" ? entry.size : 0,
  }));
  return join(parts);
}

/** Zeros up to the next block. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array((BLOCK - size % BLOCK) % BLOCK);
}

export function tarEnd(): Uint8Array {
  return new Uint8Array(2 * BLOCK);
}

interface Block {
  readonly path: Uint8Array;
  readonly target: Uint8Array;
  readonly type: string;
  readonly mode: number;
  readonly mtime: number;
  readonly size: number;
}

function long(type: "K" | "L", name: Uint8Array): Uint8Array {
  const size = name.length + 1;
  const head = block({
    path: encoder.encode("././@LongLink"),
    target: new Uint8Array(),
    type,
    mode: 0,
    mtime: 0,
    size,
  });
  return join([head, name, new Uint8Array(1), tarPadding(size)]);
}

function block({ path, target, type, mode, mtime, size }: Block): Uint8Array {
  const bytes = new Uint8Array(BLOCK);
  bytes.set(path, 0);
  number(bytes, { at: 100, width: 8, value: mode });
  number(bytes, { at: 108, width: 8, value: 0 });
  number(bytes, { at: 116, width: 8, value: 0 });
  number(bytes, { at: 124, width: 12, value: size });
  number(bytes, { at: 136, width: 12, value: Math.floor(mtime) });
  bytes.fill(32, 148, 156);
  bytes[156] = type.charCodeAt(0);
  bytes.set(target, 157);
  bytes.set(encoder.encode("ustar  \0"), 257);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.set(encoder.encode(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  return bytes;
}

/** Octal digits and NUL, or, for what doesn't fit, base 256 with the first bit set. */
function number(bytes: Uint8Array, { at, width, value }: { at: number; width: number; value: number }): void {
  const digits = value.toString(8);
  if (digits.length < width) {
    bytes.set(encoder.encode(digits.padStart(width - 1, "0")), at);
    return;
  }
  let rest = value;
  for (let i = width - 1; i > 0; i--) {
    bytes[at + i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  bytes[at] = 0x80;
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
