/**
 * One log stream as the body of an answer: the log's bytes through an encoder, what is waited for before, signs of
 * life in between, the end after. Leaves where the bytes come from to its caller.
 */
import type { LogReader } from "../../state/log_file.ts";
import { readerOf } from "../../state/log_follow.ts";
import { beating } from "./beats.ts";
import type { Encoder, StreamEnd } from "./encoder.ts";

/** A log from some byte on. */
export interface LogPart {
  readonly log: LogReader | ReadableStream<Uint8Array>;
  /** Byte offset of its first byte. */
  readonly offset: number;
}

export interface LogSource {
  /** The log from the asked offset on; null when there turns out to be none. Aborting ends it. */
  open(signal: AbortSignal): Promise<LogPart | null>;
  /** What the request waits for, null when it does not. Asked again and again until then. */
  waiting?: () => string | null;
  /** Milliseconds before a wait is worth telling. */
  readonly patience?: number;
  /** Asked once the bytes are through. */
  end(signal: AbortSignal): Promise<StreamEnd>;
  /** The reader is gone, or everything was sent. */
  closed?: () => void;
}

export interface PumpOptions {
  /** Milliseconds of silence before a heartbeat. */
  readonly beatMs: number;
  /** Milliseconds between looks at `waiting`. */
  readonly pollMs?: number;
  /** Every open stream, so that a drain can end them. */
  readonly open: Set<OpenStream>;
  /**
   * The call itself ends with the server (`/logs`): an interrupted client is told to repeat it. Others are cut off,
   * which makes clients come back after a pause and go on where they were.
   */
  readonly repeat?: boolean;
}

export interface OpenStream {
  /** End it before its time. */
  interrupt(): void;
}

const POLL_MS = 500;
/** Signs of life are not piled up for a reader that does not read. */
const MAX_UNREAD = 4;

/** The stream. Errors inside become a cut, which a client can tell from an end. */
export function pump(source: LogSource, encoder: Encoder, options: PumpOptions): ReadableStream<Uint8Array> {
  // Nothing is sent ahead of its being asked for: what a reader has not read stays in the log.
  return new ReadableStream<Uint8Array>(new Pump(source, encoder, options), { highWaterMark: 0 });
}

/** Few objects and no promises in its steady state: there may be thousands, woken together. */
class Pump implements UnderlyingDefaultSource<Uint8Array>, OpenStream {
  readonly #source: LogSource;
  readonly #encoder: Encoder;
  readonly #options: PumpOptions;
  readonly #left = new AbortController();
  readonly #wake = () => this.#go();
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #reader: LogReader | null = null;
  /** The reader has asked and not been given anything since. */
  #wanted = false;
  /** Something is under way that goes on by itself. */
  #busy = false;
  /** All of the log was taken. */
  #ending = false;
  #over = false;
  #lastSent = performance.now();
  #waited = false;
  #poll: ReturnType<typeof setInterval> | undefined;

  constructor(source: LogSource, encoder: Encoder, options: PumpOptions) {
    this.#source = source;
    this.#encoder = encoder;
    this.#options = options;
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
    this.#options.open.add(this);
    beating(this.#options.beatMs).add(this);
    const { waiting, patience = 0 } = this.#source;
    if (waiting === undefined) return;
    const begun = performance.now();
    const look = () => this.#lookAtWaiting(performance.now() - begun < patience);
    this.#poll = setInterval(look, this.#options.pollMs ?? POLL_MS);
    look();
  }

  pull(): void {
    this.#wanted = true;
    this.#go();
  }

  cancel(): void {
    this.#close();
  }

  interrupt(): void {
    const words = this.#options.repeat === true ? this.#encoder.retry() : null;
    if (words === null) return this.#cut(new Error("The server is shutting down"));
    this.#send(words);
    this.#close();
    this.#controller.close();
  }

  beat(): void {
    const silent = performance.now() - this.#lastSent >= this.#options.beatMs * 0.9;
    if (silent && (this.#controller.desiredSize ?? 0) > -MAX_UNREAD) this.#send(this.#encoder.beat());
  }

  /** Give what is there as long as it is wanted. Never throws: it is called by those who write the log. */
  #go(): void {
    if (this.#busy || this.#ending || this.#over) return;
    if (this.#reader === null) return this.#meanwhile(this.#open());
    try {
      while (this.#wanted && !this.#ending && !this.#over) {
        const taken = this.#reader.take(this.#wake);
        if (taken === undefined) return;
        if (taken instanceof Promise) return this.#meanwhile(taken.then((bytes) => this.#give(bytes)));
        this.#give(taken);
      }
    } catch (error) {
      this.#cut(error);
    }
  }

  #meanwhile(work: Promise<void>): void {
    this.#busy = true;
    work.then(
      () => {
        this.#busy = false;
        this.#go();
      },
      (error) => this.#cut(error),
    );
  }

  async #open(): Promise<void> {
    const part = await this.#source.open(this.#left.signal);
    const reader = part === null ? null : part.log instanceof ReadableStream ? readerOf(part.log) : part.log;
    if (this.#over) return reader?.leave();
    if (part === null) return this.#end();
    this.#encoder.begin(part.offset);
    this.#reader = reader;
  }

  /** Log bytes, or null at its end. */
  #give(bytes: Uint8Array | null): void {
    if (this.#over) return;
    if (bytes === null) return this.#end();
    if (this.#poll !== undefined || this.#waited) this.#endWaiting();
    const chunks = this.#encoder.push(bytes);
    if (chunks.length === 0) return;
    this.#wanted = false;
    // Danger: the stream asks for more while it is given the first chunk; that must not overtake the others.
    const before = this.#busy;
    this.#busy = true;
    this.#send(chunks);
    this.#busy = before;
  }

  #end(): void {
    this.#ending = true;
    this.#finish().catch((error) => this.#cut(error));
  }

  async #finish(): Promise<void> {
    const end = await this.#source.end(this.#left.signal);
    if (this.#over) return;
    this.#endWaiting();
    this.#send(this.#encoder.end(end));
    this.#close();
    this.#controller.close();
  }

  #send(chunks: Uint8Array[]): void {
    // Danger: enqueueing after a cancel throws, in a callback it would be nobody's to catch.
    for (const chunk of chunks) if (chunk.length > 0 && !this.#over) this.#controller.enqueue(chunk);
    if (chunks.length > 0) this.#lastSent = performance.now();
  }

  #close(): void {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#poll);
    beating(this.#options.beatMs).delete(this);
    this.#options.open.delete(this);
    this.#left.abort();
    this.#reader?.leave();
    this.#source.closed?.();
  }

  #cut(error: unknown): void {
    if (this.#over) return;
    this.#close();
    this.#controller.error(error);
  }

  #endWaiting(): void {
    clearInterval(this.#poll);
    this.#poll = undefined;
    if (this.#waited) this.#send(this.#encoder.status(null));
    this.#waited = false;
  }

  #lookAtWaiting(patient: boolean): void {
    const message = this.#source.waiting?.() ?? null;
    if (message === null) return this.#endWaiting();
    if (patient) return;
    this.#waited = true;
    this.#send(this.#encoder.status(message));
  }
}
