/**
 * Log files. Owns appending in order and what happens when the disk is full. The file is the truth; the event in
 * memory is only a wake-up. Leaves following to log_follow.ts, what the bytes mean to others.
 *
 * A log is written by this process only. No file descriptor outlives a burst of writing or one read, so logs
 * never add up to a leak (evidence.md §1.3).
 *
 * Length: appending, flushing and a full disk share one state machine that reads best in one place.
 */
import { describe, SkyError } from "../core/errors.ts";
import { diskFull, isDiskFull } from "./faults.ts";
import {
  Follower,
  type FollowOptions,
  type FollowSource,
  join,
  type LogReader,
  readRange,
  SMALL_BYTES,
  streamOf,
} from "./log_follow.ts";

export type { FollowOptions, LogReader } from "./log_follow.ts";

export interface LogFilesOptions {
  /** Told whenever an append meets a full disk. */
  readonly onDiskFull?: () => void;
}

/** While busy, appends are written together at most this often. */
const BUSY_MS = 15;
const RETRY_MS = 1000;
/** Bytes held while the disk refuses them; what comes beyond is lost, and the log says so. */
const HELD_BYTES = 1024 * 1024;
/** Latest bytes kept in memory for live followers, so that a thousand of them don't read the file. */
const RECENT_BYTES = 1024 * 1024;

interface Chunk {
  readonly from: number;
  readonly bytes: Uint8Array;
}

/** The registry: one LogFile per path, dropped when it has ended and nobody follows it. */
export class LogFiles {
  readonly #files = new Map<string, LogFile>();
  readonly #onDiskFull: () => void;

  constructor(options: LogFilesOptions = {}) {
    this.#onDiskFull = options.onDiskFull ?? (() => {});
  }

  /**
   * The log at `path`, which need not exist yet; `isNew`: it surely does not, so it is not looked for. `ended`: it is
   * final, followers finish at its end.
   */
  open(path: string, options: { ended: boolean; isNew?: boolean } = { ended: false }): LogFile {
    let file = this.#files.get(path);
    if (file === undefined) {
      file = new LogFile(path, {
        ...options,
        onDiskFull: this.#onDiskFull,
        onIdle: (idle) => {
          if (this.#files.get(path) === idle) this.#files.delete(path);
        },
      });
      // An ended one needs no wake-ups, so it is not registered: looking at it leaves nothing behind.
      if (!options.ended) this.#files.set(path, file);
    }
    return file;
  }

  /** How many logs are open. */
  get size(): number {
    return this.#files.size;
  }

  /** Delete a log that has ended; its followers finish. */
  async remove(path: string): Promise<void> {
    await this.#files.get(path)?.end();
    try {
      await Deno.remove(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // it never had a line
    }
  }

  /** Write out everything and let all followers finish. */
  async close(): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.end()));
  }
}

export class LogFile {
  readonly path: string;
  readonly #onDiskFull: () => void;
  readonly #onIdle: (file: LogFile) => void;
  readonly #waiters = new Set<() => void>();
  /** What followers see of it; made for the first one, most logs never have any. */
  #view: FollowSource | null = null;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #recent: Chunk[] = [];
  #recentBytes = 0;
  #followers = 0;
  #size: number;
  #lost = 0;
  #ending: boolean;
  #ended: boolean;
  #failure: unknown = null;
  #flushers = 0;
  #closing: Promise<void> | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #writing: Promise<void> | null = null;
  #hurry: (() => void) | null = null;

  constructor(
    path: string,
    options: { ended: boolean; isNew?: boolean; onDiskFull: () => void; onIdle: (file: LogFile) => void },
  ) {
    this.path = path;
    this.#onDiskFull = options.onDiskFull;
    this.#onIdle = options.onIdle;
    this.#ending = this.#ended = options.ended;
    this.#size = options.isNew === true ? 0 : sizeOf(path);
  }

  /** Bytes in the file: what a follower can get now. */
  size(): number {
    return this.#size;
  }

  /** Bytes of the file from an offset, at most `limit`; fewer at its end. */
  read(offset: number, limit: number): Promise<Uint8Array> {
    return readRange(this.path, { position: offset, limit: Math.min(limit, this.#size - offset) });
  }

  /** Add bytes at the end, in order. Returns at once: a fast producer waits for `flush()` between pieces. */
  append(bytes: Uint8Array): void {
    if (this.#ending) throw new SkyError("internal", `Log '${this.path}' has ended`);
    if (bytes.length === 0) return;
    if (this.#failure !== null && this.#queued + bytes.length > HELD_BYTES) {
      this.#lost += bytes.length;
      return;
    }
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    this.#writing ??= this.#failure === null ? this.#write() : null;
  }

  /** Resolves when all appended so far is in the file. Throws disk_full, or another SkyError, if it can't be. */
  async flush(): Promise<void> {
    const target = this.#size + this.#queued;
    this.#flushers++;
    this.#hurry?.();
    try {
      for (let tried = false; this.#size < target;) {
        if (this.#writing === null) {
          if (tried) throw this.#fault();
          tried = true;
          this.#writing = this.#write();
        }
        await new Promise<void>((resolve) => this.#waiters.add(resolve));
      }
    } finally {
      this.#flushers--;
    }
  }

  /** No more appends; followers get the rest and finish. Bytes the disk refuses once more are given up. */
  end(): Promise<void> {
    return this.#closing ??= this.#end();
  }

  /** As `reader`, as a stream. */
  follow(options: FollowOptions): ReadableStream<Uint8Array> {
    return streamOf(this.reader(options));
  }

  /**
   * Bytes from `offset`: history from the file, then live, until the log ends or the signal aborts. A slow reader
   * reads on from the file at its own pace. Fails only if the file can't be read.
   */
  reader(options: FollowOptions): LogReader {
    this.#followers++;
    this.#view ??= {
      path: this.path,
      size: () => this.#size,
      ended: () => this.#ended,
      shared: (position) => this.#shared(position),
      changed: this.#waiters,
      leave: () => this.#leave(),
    };
    return new Follower(this.#view, options);
  }

  async #end(): Promise<void> {
    this.#ending = true;
    await this.flush().catch(() => undefined); // the disk is still full: nowhere to put them
    clearTimeout(this.#retry);
    this.#hurry?.();
    await this.#writing;
    this.#ended = true;
    this.#wake();
    if (this.#followers === 0) this.#onIdle(this);
  }

  #leave(): void {
    if (--this.#followers > 0) return;
    this.#recent = [];
    this.#recentBytes = 0;
    if (this.#ended) this.#onIdle(this);
  }

  #wake(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }

  /** The same array for every follower that is at the same byte. */
  #shared(position: number): Uint8Array | null {
    for (let at = this.#recent.length - 1; at >= 0; at--) {
      const chunk = this.#recent[at];
      if (chunk === undefined || position >= chunk.from + chunk.bytes.length) return null;
      if (position === chunk.from) return chunk.bytes;
      if (position > chunk.from) return chunk.bytes.subarray(position - chunk.from);
    }
    return null;
  }

  #remember(bytes: Uint8Array): void {
    if (this.#followers > 0) {
      this.#recent.push({ from: this.#size, bytes });
      this.#recentBytes += bytes.length;
      while (this.#recentBytes > RECENT_BYTES) this.#recentBytes -= this.#recent.shift()?.bytes.length ?? 0;
    }
    this.#size += bytes.length;
  }

  /** One burst: write, wait for more, until nothing came. */
  async #write(): Promise<void> {
    await Promise.resolve(); // appends of the same turn go out together
    clearTimeout(this.#retry);
    let file: Deno.FsFile | null = null;
    try {
      file = Deno.openSync(this.path, { append: true, create: true, mode: 0o600 });
      while (this.#queue.length > 0) {
        await this.#drain(file);
        this.#failure = null;
        this.#wake();
        if (!this.#ending && this.#flushers === 0) await this.#pause();
      }
    } catch (error) {
      this.#failure = error;
      if (isDiskFull(error)) this.#onDiskFull();
      this.#retry = setTimeout(() => this.#writing ??= this.#write(), RETRY_MS);
      Deno.unrefTimer(this.#retry);
    } finally {
      file?.close();
      this.#writing = null;
      // An append that came between the last look and here found a writer that was leaving.
      if (this.#queue.length > 0 && this.#failure === null) this.#writing = this.#write();
      this.#wake();
    }
  }

  async #drain(file: Deno.FsFile): Promise<void> {
    const joined = join(this.#queue, this.#queued);
    this.#queue = [joined];
    let done = 0;
    try {
      while (done < joined.length) {
        const rest = joined.subarray(done);
        done += rest.length <= SMALL_BYTES ? file.writeSync(rest) : await file.write(rest);
      }
    } finally {
      if (done > 0) this.#remember(joined.subarray(0, done));
      this.#queue = [...(done < joined.length ? [joined.subarray(done)] : []), ...this.#queue.slice(1)];
      this.#queued -= done;
    }
    if (this.#lost > 0 && !this.#ending) {
      const note = `\n[${this.#lost} bytes of output are missing here: the disk was full]\n`;
      this.#lost = 0;
      this.append(new TextEncoder().encode(note));
    }
  }

  async #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#hurry = resolve;
    const timer = setTimeout(resolve, BUSY_MS);
    await promise;
    clearTimeout(timer);
    this.#hurry = null;
  }

  #fault(): SkyError {
    if (isDiskFull(this.#failure)) return diskFull(this.path, this.#failure);
    return new SkyError("internal", `Cannot write log '${this.path}': ${describe(this.#failure)}`, {
      cause: this.#failure,
    });
  }
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
