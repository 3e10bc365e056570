/** Finds marks in a stream of bytes, however it is cut into pieces. Pure; what the marks mean is node/leash.ts. */
import { Buffer } from "node:buffer";

const EMPTY: Buffer = Buffer.alloc(0);

/** Splits a stream at the first occurrence of a mark. */
export class Splitter {
  readonly #mark: Buffer;
  #held: Buffer = EMPTY;
  #found = false;

  constructor(mark: string) {
    this.#mark = Buffer.from(mark);
  }

  get found(): boolean {
    return this.#found;
  }

  /** What of the stream so far, not given out yet, is surely before the mark, and what is surely after it. */
  push(piece: Uint8Array): { before: Uint8Array[]; after: Uint8Array } {
    if (this.#found) return { before: [], after: piece };
    const size = this.#mark.length;
    const held = this.#held;
    // Only around the seam are bytes copied.
    const seam = Buffer.concat([held, piece.subarray(0, size - 1)]);
    const inSeam = held.length === 0 ? -1 : seam.indexOf(this.#mark);
    const here = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    const at = inSeam >= 0 ? inSeam - held.length : here.indexOf(this.#mark);
    if (inSeam >= 0 || at >= 0) {
      this.#found = true;
      this.#held = EMPTY;
      const before = inSeam >= 0 ? [seam.subarray(0, inSeam)] : [held, here.subarray(0, at)];
      return { before, after: here.subarray(at + size) };
    }
    if (piece.length < size) {
      const sure = seam.length - this.#begins(seam);
      this.#held = Buffer.from(seam.subarray(sure));
      return { before: [seam.subarray(0, sure)], after: EMPTY };
    }
    const sure = piece.length - this.#begins(here);
    this.#held = Buffer.from(here.subarray(sure));
    return { before: [held, here.subarray(0, sure)], after: EMPTY };
  }

  /** How many of the last bytes may be the beginning of the mark. No more are held back: somebody waits for them. */
  #begins(bytes: Buffer): number {
    for (let count = Math.min(this.#mark.length - 1, bytes.length); count > 0; count--) {
      if (bytes.subarray(bytes.length - count).equals(this.#mark.subarray(0, count))) return count;
    }
    return 0;
  }

  /** The stream is over: what was held back. */
  rest(): Uint8Array {
    const rest = this.#held;
    this.#held = EMPTY;
    return rest;
  }
}

/** The first `limit` bytes of what it is given. */
export class Keep {
  readonly #limit: number;
  readonly #parts: Uint8Array[] = [];
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(bytes: Uint8Array): void {
    const part = bytes.subarray(0, Math.max(0, this.#limit - this.#size));
    if (part.length === 0) return;
    this.#parts.push(part);
    this.#size += part.length;
  }

  text(): string {
    return new TextDecoder().decode(Buffer.concat(this.#parts));
  }
}
