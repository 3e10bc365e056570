/**
 * Following a log: a stream of its bytes from any offset, history from the file, then live. Owns one follower's
 * pace; leaves the file and waking up to log_file.ts.
 */

export interface FollowOptions {
  /** First byte wanted. */
  readonly offset: number;
  readonly signal: AbortSignal;
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

/** Pulls only: a slow reader holds no memory and no file, and never keeps others waiting. */
export function followStream(source: FollowSource, options: FollowOptions): ReadableStream<Uint8Array> {
  const { signal } = options;
  let position = options.offset;
  let wake: (() => void) | null = null;
  let done = false;
  let cancelled = false;
  const leave = () => {
    if (done) return;
    done = true;
    signal.removeEventListener("abort", leave);
    wake?.();
    source.leave();
  };
  const next = async (): Promise<Uint8Array | null> => {
    while (!done) {
      if (position < source.size()) {
        return source.shared(position) ?? await readAt(source.path, { position, limit: READ_BYTES });
      }
      if (source.ended()) return null;
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      source.changed.add(resolve);
      await promise;
      source.changed.delete(resolve);
    }
    return null;
  };
  if (signal.aborted) leave();
  else signal.addEventListener("abort", leave);
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const bytes = await next().catch((error: unknown) => {
        leave();
        throw error;
      });
      if (cancelled) return; // enqueue and close would throw
      if (bytes === null || done) {
        leave();
        controller.close();
      } else {
        position += bytes.length;
        controller.enqueue(bytes);
      }
    },
    cancel() {
      cancelled = true;
      leave();
    },
  }, { highWaterMark: 0 });
}

/** Some bytes at a position, at least one; null at the end, or when the log was swept away. */
async function readAt(
  path: string,
  options: { position: number; limit: number },
): Promise<Uint8Array | null> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  try {
    await file.seek(options.position, Deno.SeekMode.Start);
    const buffer = new Uint8Array(Math.min(options.limit, READ_BYTES));
    const count = await file.read(buffer);
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
