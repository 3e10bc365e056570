/**
 * JobLog: the one log of a job that `sky logs` shows, merged from the raw outputs of its nodes. Exact over
 * crashes: what is about to be appended is written to `run.idx` first, so a restart appends only what is missing
 * and no follower ever sees different bytes at an offset. Leaves reading the nodes to gang.ts, the file and its
 * followers to state/log_file.ts, the text of lines to render.ts, marks to marks.ts.
 */
import { delay } from "@std/async/delay";
import { join } from "@std/path";
import type { LogFile, LogFiles } from "../state/log_file.ts";
import { fileSize, joinBytes, readText, unlessFull, writeAll } from "./disk.ts";
import { Marks } from "./marks.ts";
import { decodeRecords, encodeRecord, type IndexRecord, lengthOf, type SourceState } from "./merge_index.ts";
import { planRecovery, type Reread } from "./merge_recover.ts";
import { render, wholeBytes } from "./render.ts";

export interface JobLogOptions {
  /** The job's folder below the server home; made if missing. */
  readonly folder: string;
  readonly logs: LogFiles;
  readonly reread: Reread;
  /** The server's life: ends the waiting for space on a full disk. */
  readonly signal: AbortSignal;
}

const CR = 0x0d;
/** The index is rewritten as one checkpoint when it has grown this much, so that it stays small beside any log. */
const INDEX_LIMIT = 256 * 1024;
/** Appended bytes after which we wait for the disk: bounds what a fast job can pile up in memory. */
const FLUSH_EVERY = 512 * 1024;
const DISK_RETRY_MS = 1000;
const APPEND = { append: true, create: true, mode: 0o600 };

interface Source {
  readonly key: string;
  readonly prefix: Uint8Array;
  readonly prefixText: string;
  /** Raw bytes merged so far. */
  offset: number;
  afterCr: boolean;
  /** Read but not merged yet: at most one line. */
  rest: Uint8Array;
}

interface Opened {
  readonly log: LogFile;
  readonly indexPath: string;
  readonly at: number;
  readonly notes: Set<string>;
  readonly sources: readonly SourceState[];
  readonly marks: Marks;
  readonly signal: AbortSignal;
}

const encoder = new TextEncoder();
const EMPTY = new Uint8Array();

export class JobLog implements AsyncDisposable {
  readonly #log: LogFile;
  readonly #indexPath: string;
  readonly #signal: AbortSignal;
  readonly #notes: Set<string>;
  readonly #sources: Map<string, Source>;
  readonly #marks: Marks;
  #index: Deno.FsFile | null = null;
  #ended = false;
  #indexSize = 0;
  #at: number;
  #unflushed = 0;
  #turn: Promise<void> = Promise.resolve();
  #stuckSince: number | null = null;

  private constructor(opened: Opened) {
    this.#log = opened.log;
    this.#indexPath = opened.indexPath;
    this.#signal = opened.signal;
    this.#notes = opened.notes;
    this.#sources = new Map(opened.sources.map((state) => [state.key, newSource(state)]));
    this.#at = opened.at;
    this.#marks = opened.marks;
  }

  /** Open or create. Finishes what a crash cut short before it returns; may have to read from nodes for that. */
  static async open(options: JobLogOptions): Promise<JobLog> {
    await Deno.mkdir(options.folder, { recursive: true, mode: 0o700 });
    const path = logPath(options.folder);
    const indexPath = join(options.folder, "run.idx");
    const records = decodeRecords(await readText(indexPath));
    const size = await fileSize(path);
    const plan = await planRecovery(records, { size, reread: options.reread });
    if (plan.keep < size) await Deno.truncate(path, plan.keep);
    const log = options.logs.open(path, { ended: false });
    for (const bytes of plan.missing) log.append(bytes);
    await unlessFull(() => log.flush());
    const at = plan.keep + plan.missing.reduce((sum, bytes) => sum + bytes.length, 0);
    const marks = await Marks.open(join(options.folder, "run.marks"));
    const jobLog = new JobLog({ ...plan, log, indexPath, at, marks, signal: options.signal });
    await jobLog.#compact(lengthOf(records));
    return jobLog;
  }

  get size(): number {
    return this.#at;
  }

  /** Append a line of ours (a newline is added), at most once per name over all restarts. */
  note(name: string, text: string): Promise<void> {
    return this.#alone(async () => {
      if (this.#notes.has(name)) return;
      await this.#record({ kind: "note", at: this.#at, name, text });
      this.#notes.add(name);
      await this.#append(encoder.encode(text + "\n"));
    });
  }

  /**
   * Remember a name without a line, over restarts too; `has` tells it. False if the log has ended: too late. Waits
   * for nothing, least of all for space: it is how a job that fills the disk is ended.
   */
  async mark(name: string): Promise<boolean> {
    if (this.#ended) return false;
    await this.#marks.add(name);
    return true;
  }

  has(name: string): boolean {
    return this.#notes.has(name) || this.#marks.has(name);
  }

  /** For how long it has waited for space on a full disk, in ms; 0 while it can write. */
  get stuckMs(): number {
    return this.#stuckSince === null ? 0 : performance.now() - this.#stuckSince;
  }

  /** Declare a raw output; the answer is the offset from which its bytes are wanted. */
  source(key: string, prefix: string): Promise<number> {
    return this.#alone(async () => {
      const known = this.#sources.get(key);
      if (known !== undefined) return known.offset + known.rest.length;
      await this.#record({ kind: "source", key, prefix });
      this.#sources.set(key, newSource({ key, prefix, offset: 0, afterCr: false }));
      return 0;
    });
  }

  /** The next raw bytes of a source. Whole lines are appended, the rest waits for its end. */
  add(key: string, chunk: Uint8Array): Promise<void> {
    return this.#alone(async () => {
      const source = this.#known(key);
      source.rest = joinBytes([source.rest, chunk]);
      await this.#merge(source, wholeBytes(source.rest, { final: false }));
    });
  }

  /** The source has ended: its last line is appended even without a line end. */
  finish(key: string): Promise<void> {
    return this.#alone(async () => {
      const source = this.#known(key);
      await this.#merge(source, source.rest.length);
    });
  }

  /** Resolves when everything appended so far is in the file. */
  flush(): Promise<void> {
    return this.#alone(() => this.#flush());
  }

  /** Hold no file open until there is more to say: a long queue must not use up the descriptors. */
  rest(): Promise<void> {
    return this.#alone(() => Promise.resolve(this.#closeIndex()));
  }

  /** No more lines: followers drain and finish. */
  async end(): Promise<void> {
    await this.#close();
    await this.#log.end();
  }

  /** Stop without ending, as when the server goes down: the next open goes on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
    await this.#log.flush();
  }

  #close(): Promise<void> {
    return this.#alone(() => {
      this.#ended = true;
      return Promise.resolve(this.#closeIndex());
    });
  }

  #closeIndex(): void {
    this.#index?.close();
    this.#index = null;
  }

  async #merge(source: Source, count: number): Promise<void> {
    if (count === 0) return;
    const { key, offset, afterCr } = source;
    const raw = source.rest.subarray(0, count);
    const endsCr = raw[count - 1] === CR;
    await this.#record({ kind: "merge", at: this.#at, key, from: offset, to: offset + count, endsCr });
    const bytes = render(raw, source.prefix, { afterCr });
    source.offset += count;
    source.afterCr = endsCr;
    source.rest = source.rest.slice(count);
    await this.#append(bytes);
  }

  async #append(bytes: Uint8Array): Promise<void> {
    // Flushed before, not after: a log that holds little never has to drop anything on a full disk.
    if (this.#unflushed + bytes.length > FLUSH_EVERY) await this.#flush();
    this.#log.append(bytes);
    this.#at += bytes.length;
    this.#unflushed += bytes.length;
    if (this.#indexSize < INDEX_LIMIT) return;
    await this.#flush();
    await this.#patiently(() => this.#replaceIndex());
  }

  async #flush(): Promise<void> {
    await this.#patiently(() => this.#log.flush());
    this.#unflushed = 0;
  }

  async #record(record: IndexRecord): Promise<void> {
    if (this.#ended) throw new Error("the job log is closed");
    const index = this.#index ??= await Deno.open(this.#indexPath, APPEND);
    const bytes = encoder.encode(encodeRecord(record));
    await this.#patiently(async () => {
      try {
        await writeAll(index, bytes);
      } catch (error) {
        // A half-written record would hide all that come after it.
        await index.truncate(this.#indexSize);
        throw error;
      }
    });
    this.#indexSize += bytes.length;
  }

  /** Begin with one checkpoint; on a full disk go on with the `length` bytes of records that are there. */
  async #compact(length: number): Promise<void> {
    if (await unlessFull(() => this.#replaceIndex())) return;
    if (await fileSize(this.#indexPath) > length) await Deno.truncate(this.#indexPath, length);
    this.#indexSize = length;
  }

  async #replaceIndex(): Promise<void> {
    const sources = [...this.#sources.values()].map(({ key, prefixText, offset, afterCr }) => ({
      key,
      prefix: prefixText,
      offset,
      afterCr,
    }));
    const record = encodeRecord({ kind: "checkpoint", at: this.#at, notes: [...this.#notes], sources });
    const bytes = encoder.encode(record);
    await Deno.writeFile(`${this.#indexPath}.new`, bytes, { mode: 0o600 });
    await Deno.rename(`${this.#indexPath}.new`, this.#indexPath);
    this.#closeIndex();
    this.#indexSize = bytes.length;
  }

  /** A full disk must not end a job that runs well: its log waits for space. */
  async #patiently(work: () => Promise<void>): Promise<void> {
    try {
      while (!await unlessFull(work)) {
        this.#stuckSince ??= performance.now();
        await delay(DISK_RETRY_MS, { signal: this.#signal });
      }
    } finally {
      this.#stuckSince = null;
    }
  }

  #known(key: string): Source {
    const source = this.#sources.get(key);
    if (source === undefined) throw new Error(`log source ${key} was not declared`);
    return source;
  }

  /** One record and its bytes at a time: sources arrive concurrently, the log is one sequence. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    // The caller sees the failure; the next in line must not.
    this.#turn = result.then(() => {}, () => {});
    return result;
  }
}

/** Where the merged log lies within a job's folder. */
export function logPath(folder: string): string {
  return join(folder, "run.log");
}

function newSource(state: SourceState): Source {
  const { key, prefix, offset, afterCr } = state;
  return { key, prefix: encoder.encode(prefix), prefixText: prefix, offset, afterCr, rest: EMPTY };
}
