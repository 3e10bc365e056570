/**
 * One log stream as the body of an answer: the log's bytes through an encoder, what is waited for before, signs of
 * life in between, the end after. Leaves where the bytes come from to its caller.
 */
import type { Encoder, StreamEnd } from "./encoder.ts";

/** A log from some byte on. */
export interface LogPart {
  readonly log: ReadableStream<Uint8Array>;
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
  const left = new AbortController();
  let reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  let controller: ReadableStreamDefaultController<Uint8Array>;
  let over = false;
  let lastSent = performance.now();
  let waited = false;
  let poll: ReturnType<typeof setInterval> | undefined;
  let beat: ReturnType<typeof setInterval> | undefined;

  const send = (chunks: Uint8Array[]) => {
    // Danger: enqueueing after a cancel throws, in a callback it would be nobody's to catch.
    if (over) return;
    for (const chunk of chunks) if (chunk.length > 0) controller.enqueue(chunk);
    if (chunks.length > 0) lastSent = performance.now();
  };
  const close = () => {
    if (over) return;
    over = true;
    clearInterval(poll);
    clearInterval(beat);
    options.open.delete(self);
    left.abort();
    reader?.cancel().catch(() => {}); // a log that broke has told so by its read; nobody reads it any more
    source.closed?.();
  };
  const cut = (error: unknown) => {
    if (over) return;
    close();
    controller.error(error);
  };
  const endWaiting = () => {
    clearInterval(poll);
    poll = undefined;
    if (waited) send(encoder.status(null));
    waited = false;
  };
  const lookAtWaiting = (patient: boolean) => {
    const message = source.waiting?.() ?? null;
    if (message === null) return endWaiting();
    if (patient) return;
    waited = true;
    send(encoder.status(message));
  };
  const self: OpenStream = {
    interrupt() {
      const words = options.repeat === true ? encoder.retry() : null;
      if (words === null) return cut(new Error("The server is shutting down"));
      send(words);
      close();
      controller.close();
    },
  };

  async function step(): Promise<void> {
    if (reader === null) {
      const part = await source.open(left.signal);
      if (over) return void await part?.log.cancel();
      if (part === null) return await finish();
      encoder.begin(part.offset);
      reader = part.log.getReader();
    }
    for (;;) {
      const { done, value } = await reader.read();
      if (over) return;
      if (done) return await finish();
      if (poll !== undefined || waited) endWaiting();
      const chunks = encoder.push(value);
      if (chunks.length === 0) continue;
      send(chunks);
      return;
    }
  }

  async function finish(): Promise<void> {
    const end = await source.end(left.signal);
    if (over) return;
    endWaiting();
    send(encoder.end(end));
    close();
    controller.close();
  }

  return new ReadableStream<Uint8Array>({
    start(given) {
      controller = given;
      options.open.add(self);
      beat = setInterval(() => {
        const silent = performance.now() - lastSent >= options.beatMs * 0.9;
        if (silent && (controller.desiredSize ?? 0) > -MAX_UNREAD) send(encoder.beat());
      }, options.beatMs / 3);
      if (source.waiting === undefined) return;
      const begun = performance.now();
      const patient = () => performance.now() - begun < (source.patience ?? 0);
      poll = setInterval(() => lookAtWaiting(patient()), options.pollMs ?? POLL_MS);
      lookAtWaiting(patient());
    },
    async pull() {
      try {
        await step();
      } catch (error) {
        cut(error);
      }
    },
    cancel() {
      close();
    },
  }, { highWaterMark: 0 });
}
