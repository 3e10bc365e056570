/**
 * Following a log: its bytes from any offset, history from the file, then live. Owns one follower's pace; leaves the
 * file and waking up to log_file.ts.
 */

export interface FollowOptions {
  /** First byte wanted. */
  readonly offset: number;
  readonly signal: AbortSignal;
}

/** A log's bytes, taken one piece after the other; made for a thousand readers of the same log. */
export interface LogReader {
  /**
   * The next bytes; null: there are no more. Undefined: not yet, `wake` is called once when it is worth asking again.
   * A promise where the file must be read: take no more until it settles. Rejects only if it can't be read.
   */
  take(wake: () => void): Uint8Array | null | undefined | Promise<Uint8Array | null>;
  /** No more is wanted. May be called again. */
  leave(): void;
}

/** What a follower sees of a log. */
export interface FollowSource {
  readonly path: string;
  size(): number;
  ended(): boolean;
  /** Bytes at a position that are still in memory; the same array for everyone there. */
  shared(position: number): Uint8Array | null;
  /** Called, and forgotten, when the log has grown or ended. */
  readonly changed: Set<() => void>;
  /** Called once when the follower is gone. */
  leave(): void;
}

const READ_BYTES = 128 * 1024;
/**
 * Up to this size files are read and written on the spot: that takes some microseconds, handing it to a thread and
 * back up to a hundred times as much. The database beside them waits for the same disk on our thread, too.
 */
export const SMALL_BYTES = 32 * 1024;

/** Takes only when asked: a slow reader holds no memory and no file, and never keeps others waiting. */
export class Follower implements LogReader {
  readonly #source: FollowSource;
  readonly #signal: AbortSignal;
  readonly #left = () => this.leave();
  #position: number;
  #wake: (() => void) | null = null;
  #gone = false;

  constructor(source: FollowSource, options: FollowOptions) {
    this.#source = source;
    this.#signal = options.signal;
    this.#position = options.offset;
    if (options.signal.aborted) this.leave();
    else options.signal.addEventListener("abort", this.#left);
  }

  take(wake: () => void): Uint8Array | null | undefined | Promise<Uint8Array | null> {
    if (this.#gone) return null;
    const source = this.#source;
    if (this.#position < source.size()) {
      const bytes = source.shared(this.#position);
      if (bytes === null) return this.#read();
      this.#position += bytes.length;
      return bytes;
    }
    if (!source.ended()) {
      this.#wake = wake;
      source.changed.add(wake);
      return undefined;
    }
    this.leave();
    return null;
  }

  leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#signal.removeEventListener("abort", this.#left);
    this.#source.leave();
    const wake = this.#wake;
    // Told that there is no more, unless it knows because it was told of a change already.
    if (wake !== null && this.#source.changed.delete(wake)) wake();
  }

  async #read(): Promise<Uint8Array | null> {
    try {
      // No more than there is: most reads are of a few lines, by many at once.
      const limit = this.#source.size() - this.#position;
      const bytes = await readAt(this.#source.path, { position: this.#position, limit });
      if (this.#gone) return null;
      if (bytes === null) this.leave();
      this.#position += bytes?.length ?? 0;
      return bytes;
    } catch (error) {
      this.leave();
      throw error;
    }
  }
}

/** The same as a stream. Pulls only. */
export function streamOf(reader: LogReader): ReadableStream<Uint8Array> {
  let cancelled = false;
  const next = async (): Promise<Uint8Array | null> => {
    for (;;) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const taken = reader.take(resolve);
      if (taken !== undefined) return await taken;
      await promise;
    }
  };
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const bytes = await next();
      if (cancelled) return; // enqueue and close would throw
      if (bytes === null) controller.close();
      else controller.enqueue(bytes);
    },
    cancel() {
      cancelled = true;
      reader.leave();
    },
  }, { highWaterMark: 0 });
}

/** Any stream as a reader. */
export function readerOf(stream: ReadableStream<Uint8Array>): LogReader {
  const reader = stream.getReader();
  return {
    take: () => reader.read().then(({ done, value }) => done ? null : value),
    leave() {
      reader.cancel().catch(() => {}); // a stream that broke has told so by its read; nobody reads it any more
    },
  };
}

/** Some bytes at a position, at least one; null at the end, or when the log was swept away. */
async function readAt(
  path: string,
  options: { position: number; limit: number },
): Promise<Uint8Array | null> {
  const limit = Math.min(options.limit, READ_BYTES);
  let file: Deno.FsFile;
  try {
    // deno-lint-ignore no-sync-fn-in-async-fn -- opening takes microseconds, a trip to a thread a hundred times that
    file = Deno.openSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  try {
    file.seekSync(options.position, Deno.SeekMode.Start);
    const buffer = new Uint8Array(limit);
    const count = limit <= SMALL_BYTES ? file.readSync(buffer) : await file.read(buffer);
    return count === null ? null : buffer.subarray(0, count);
  } finally {
    file.close();
  }
}

/** Bytes from a position, at most `limit`; fewer at the end. */
export async function readRange(
  path: string,
  options: { position: number; limit: number },
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  while (length < options.limit) {
    const rest = { position: options.position + length, limit: options.limit - length };
    const piece = await readAt(path, rest);
    if (piece === null) break;
    pieces.push(piece);
    length += piece.length;
  }
  return join(pieces, length);
}

export function join(pieces: readonly Uint8Array[], length: number): Uint8Array {
  if (pieces.length === 1 && pieces[0] !== undefined) return pieces[0];
  const joined = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}
