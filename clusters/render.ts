/**
 * From a node's raw output to lines of the merged log: prefix, whole lines, bounded length. Pure, and a function
 * of the raw bytes alone, so that merge.ts can compute again after a crash what it had written before.
 */

/** Longer lines are cut, so that whoever reads the merged log by lines needs bounded memory. */
export const MAX_LINE = 64 * 1024;

const LF = 0x0a;
const CR = 0x0d;
const LESS = 0x3c;

/**
 * Client control sequences that a job must not be able to speak (wire.md §5). A zero-width space after the `<`
 * keeps the text readable and makes it plain text.
 */
const CONTROLS = ["<sky-payload", "<sky-interactive"].map((text) => new TextEncoder().encode(text));
const HARMLESS = new Uint8Array([LESS, 0xe2, 0x80, 0x8b]);

interface Piece {
  readonly end: number;
  /** line: ends with its terminator; cut: too long; open: the rest, which may still grow. */
  readonly kind: "line" | "cut" | "open";
  readonly suspicious: boolean;
}

/** How many leading bytes form whole pieces: up to the last line end (`\n` or `\r`), or all of it if `final`. */
export function wholeBytes(raw: Uint8Array, options: { final: boolean }): number {
  if (options.final) return raw.length;
  let at = 0;
  while (at < raw.length) {
    const piece = nextPiece(raw, at);
    if (piece.kind === "open") break;
    at = piece.end;
  }
  return at;
}

/**
 * Every piece with the prefix before it and a line end after it. `afterCr`: the byte before `raw` was `\r`, so a
 * leading `\n` only completes it.
 */
export function render(raw: Uint8Array, prefix: Uint8Array, options: { afterCr: boolean }): Uint8Array {
  const out = new Builder(raw.length + Math.ceil(raw.length / 16) + prefix.length + 64);
  let at = 0;
  if (options.afterCr && raw[0] === LF) {
    out.push(raw.subarray(0, 1));
    at = 1;
  }
  while (at < raw.length) {
    const piece = nextPiece(raw, at);
    out.push(prefix);
    pushText(out, raw.subarray(at, piece.end), piece.suspicious);
    if (piece.kind !== "line") out.byte(LF);
    at = piece.end;
  }
  return out.bytes();
}

function nextPiece(raw: Uint8Array, start: number): Piece {
  const limit = Math.min(raw.length, start + MAX_LINE + 1);
  let suspicious = false;
  for (let i = start; i < limit; i++) {
    const byte = raw[i];
    if (byte === LF) return { end: i + 1, kind: "line", suspicious };
    if (byte === CR) return { end: raw[i + 1] === LF ? i + 2 : i + 1, kind: "line", suspicious };
    if (byte === LESS) suspicious = true;
  }
  if (limit - start <= MAX_LINE) return { end: limit, kind: "open", suspicious };
  return { end: characterStart(raw, start + MAX_LINE), kind: "cut", suspicious };
}

/** The start of the UTF-8 character at `at`; `at` itself where the bytes are no UTF-8. */
function characterStart(raw: Uint8Array, at: number): number {
  for (let i = at; i > at - 4; i--) {
    if (((raw[i] ?? 0) & 0xc0) !== 0x80) return i;
  }
  return at;
}

function pushText(out: Builder, text: Uint8Array, suspicious: boolean): void {
  let from = 0;
  while (suspicious) {
    const at = text.indexOf(LESS, from);
    if (at < 0) break;
    if (CONTROLS.some((control) => startsWith(text, control, at))) {
      out.push(text.subarray(from, at));
      out.push(HARMLESS);
    } else {
      out.push(text.subarray(from, at + 1));
    }
    from = at + 1;
  }
  out.push(text.subarray(from));
}

function startsWith(text: Uint8Array, what: Uint8Array, at: number): boolean {
  for (let i = 0; i < what.length; i++) {
    if (text[at + i] !== what[i]) return false;
  }
  return true;
}

class Builder {
  #buffer: Uint8Array;
  #length = 0;

  constructor(capacity: number) {
    this.#buffer = new Uint8Array(capacity);
  }

  push(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(this.#buffer.length * 2, this.#length + more));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}
