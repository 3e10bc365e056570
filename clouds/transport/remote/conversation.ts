/**
 * One command's conversation with its program: reads both outputs from the begin mark on, looks for the end
 * mark, feeds the input and speaks the heartbeats. Owns the program's streams and its end: whatever way `end` or
 * `failure` returns, the program is gone and every stream is closed.
 */
import type { RunResult } from "../../cloud.ts";
import { beginMark, endMark } from "../node/leash.ts";
import type { OpenProcess } from "../process.ts";
import { Keep, Splitter } from "./frames.ts";
import type { Failure } from "./pipe_shell.ts";

export interface ConversationOptions {
  readonly token: string;
  readonly input: Uint8Array | ReadableStream<Uint8Array> | null;
  /** Whether the output is read by the caller, from `stdout`. */
  readonly streamed: boolean;
  /** Whether a script goes on after the end mark: then the end of its output and the program's own code count. */
  readonly detached?: boolean;
  readonly limit: number;
  doubt(): Promise<void>;
  /** What a streamed output fails with that stops before the end mark came. */
  broken(): Error;
}

const FIRST_BEAT_MS = 2_000;
const BEAT_MS = 5_000;
const DOUBT_MS = 4_000;
/** How long after the script's end its output may be held open by what it left behind. */
const DRAIN_MS = 500;
/** How long a detached script may take to say its word. */
const WORD_MS = 20_000;
const NOISE = 1 << 16;

export class Conversation {
  readonly stdout: ReadableStream<Uint8Array>;
  readonly #child: OpenProcess;
  readonly #options: ConversationOptions;
  readonly #out: ReadableStreamDefaultReader<Uint8Array>;
  readonly #err: ReadableStreamDefaultReader<Uint8Array>;
  readonly #outKept: Keep;
  readonly #errKept: Keep;
  readonly #noise = new Keep(NOISE);
  readonly #outDone: Promise<unknown>;
  readonly #errDone: Promise<void>;
  readonly #input: { stop(): Promise<void> };
  readonly #begun = Promise.withResolvers<"begun">();
  readonly #code = Promise.withResolvers<number>();
  readonly #cancelled = Promise.withResolvers<"cancelled">();
  readonly #since = performance.now();
  readonly #outWhole = Promise.withResolvers<"whole">();
  #isTorn = false;
  #isBegun = false;
  #isCoded = false;
  #gone = false;
  #doubts: ReturnType<typeof setInterval> | undefined;

  constructor(child: OpenProcess, options: ConversationOptions) {
    this.#child = child;
    this.#options = options;
    this.#out = child.stdout.getReader();
    this.#err = child.stderr.getReader();
    this.#outKept = new Keep(options.limit);
    this.#errKept = new Keep(options.limit);
    this.#errDone = this.#readErrors();
    const finished = Promise.withResolvers<void>();
    this.stdout = options.streamed ? this.#stream(finished.resolve) : new ReadableStream();
    this.#outDone = options.streamed ? finished.promise : this.#readOutput();
    this.#input = this.#feed(options.input);
    child.ended.then(() => this.#gone = true);
    // A doubt that can't be settled is none.
    this.#doubts = setInterval(() => void options.doubt().catch(() => {}), DOUBT_MS);
  }

  /** Milliseconds since the program was started. */
  age(): number {
    return performance.now() - this.#since;
  }

  /** Whether the script began: `failed` if the program ended without. An abort counts as begun: it may be. */
  async begun(signal: AbortSignal): Promise<"begun" | "failed"> {
    const ended = this.#child.ended.then(async () => {
      await within(DRAIN_MS, this.#errDone);
      return this.#isBegun ? "begun" as const : "failed" as const;
    });
    using abort = onAbort(signal);
    const first = await Promise.race([this.#begun.promise, ended, abort.happened]);
    clearInterval(this.#doubts);
    return first === "failed" ? "failed" : "begun";
  }

  async failure(): Promise<Failure> {
    const code = await this.#child.ended;
    await this.#close();
    const stderr = this.#noise.text() + this.#errKept.text();
    return { code, stderr, begun: this.#isBegun };
  }

  /** Waits for the end. */
  async end(signal: AbortSignal): Promise<RunResult | "failed" | "aborted" | "cancelled"> {
    using abort = onAbort(signal);
    const ended = this.#child.ended.then(() => within(DRAIN_MS, this.#errDone)).then(() => "ended" as const);
    const first = await Promise.race([
      this.#code.promise,
      ended,
      abort.happened,
      this.#cancelled.promise,
    ]);
    if (first === "aborted" || first === "cancelled") {
      await this.#close();
      return first;
    }
    if (!this.#isCoded) return "failed";
    const code = await this.#code.promise;
    if (this.#options.streamed) {
      // Its reader sets the pace; the end of the output is waited for there.
      const rest = await Promise.race([this.#outDone, abort.happened, this.#cancelled.promise]);
      await this.#close();
      if (rest === "aborted") return rest;
      if (this.#isTorn) return "failed";
    } else if (this.#options.detached === true && code !== 0) {
      // Nothing was started.
      await within(DRAIN_MS, Promise.all([this.#child.ended, this.#outDone]));
      await this.#close();
    } else if (this.#options.detached === true) {
      const rest = await Promise.race([within(WORD_MS, this.#child.ended), abort.happened]);
      if (rest === "aborted" || !this.#gone) {
        await this.#close();
        return rest === "aborted" ? rest : "failed";
      }
      if (await this.#child.ended !== 0) return "failed";
      await within(DRAIN_MS, this.#outDone);
      await this.#close();
    } else {
      const rest = await Promise.race([this.#outWhole.promise, this.#outDone, abort.happened]);
      if (rest !== "aborted") await within(DRAIN_MS, this.#child.ended);
      await this.#close();
      if (rest !== "whole") return rest === "aborted" ? rest : "failed";
    }
    return { code, stdout: this.#outKept.text(), stderr: this.#errKept.text() };
  }

  async #close(): Promise<void> {
    clearInterval(this.#doubts);
    const input = this.#input.stop();
    if (!this.#gone) await this.#child.end();
    await Promise.all([
      input,
      this.#out.cancel().catch(() => {}), // Broken pipes of a program that is gone are no news.
      this.#err.cancel().catch(() => {}),
    ]);
    await this.#errDone;
  }

  async #readErrors(): Promise<void> {
    const begin = new Splitter(beginMark(this.#options.token));
    const end = new Splitter(endMark(this.#options.token));
    let digits = "";
    for (let piece = await next(this.#err); piece !== null; piece = await next(this.#err)) {
      const { before, after } = begin.push(piece);
      for (const part of before) this.#noise.add(part);
      if (begin.found && !this.#isBegun) {
        this.#isBegun = true;
        this.#begun.resolve("begun");
      }
      if (after.length === 0 || this.#isCoded) continue;
      const split = end.push(after);
      for (const part of split.before) this.#errKept.add(part);
      if (!end.found) continue;
      digits += new TextDecoder().decode(split.after.subarray(0, 16));
      const match = /^(\d{1,3})\n/.exec(digits);
      if (match === null) continue;
      this.#isCoded = true;
      this.#code.resolve(Number(match[1]));
    }
    this.#noise.add(begin.rest());
    this.#errKept.add(end.rest());
  }

  async #readOutput(): Promise<void> {
    const begin = new Splitter(beginMark(this.#options.token));
    const end = new Splitter(endMark(this.#options.token));
    for (let piece = await next(this.#out); piece !== null; piece = await next(this.#out)) {
      const { after } = begin.push(piece);
      if (end.found || after.length === 0) continue;
      for (const part of end.push(after).before) this.#outKept.add(part);
      if (end.found) this.#outWhole.resolve("whole");
    }
    this.#outKept.add(end.rest());
  }

  #stream(finished: () => void): ReadableStream<Uint8Array> {
    const begin = new Splitter(beginMark(this.#options.token));
    const end = new Splitter(endMark(this.#options.token));
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        for (let given = 0; given === 0;) {
          const piece = await next(this.#out);
          if (piece === null) {
            this.#isTorn = true;
            finished();
            return controller.error(this.#options.broken());
          }
          const { after } = begin.push(piece);
          if (after.length === 0) continue;
          for (const part of end.push(after).before) {
            given += part.length;
            if (part.length > 0) controller.enqueue(part);
          }
          if (end.found) {
            finished();
            return controller.close();
          }
        }
      },
      cancel: async () => {
        finished();
        this.#cancelled.resolve("cancelled");
        await this.#child.ended;
      },
    }, { highWaterMark: 0 });
  }

  #feed(input: ConversationOptions["input"]): { stop(): Promise<void> } {
    const { stdin } = this.#child;
    if (input instanceof ReadableStream) {
      const stop = new AbortController();
      const stopped = Promise.withResolvers<"stopped">();
      // Not before the script began: what never began is tried again. A script that ends without reading all
      // does as it likes; a source that fails ends the script's input.
      const piping = Promise.race([this.#begun.promise, stopped.promise]).then(async (what) => {
        if (what === "stopped") return await stdin.abort();
        await input.pipeTo(stdin, { signal: stop.signal });
      }).catch(() => {});
      return {
        async stop() {
          stopped.resolve("stopped");
          stop.abort();
          await piping;
        },
      };
    }
    const writer = stdin.getWriter();
    let writing: Promise<unknown> | null = null;
    const write = (bytes: Uint8Array) => {
      writing = writer.write(bytes).then(() => writing = null, () => {}); // A reader that is gone: seen elsewhere.
    };
    if (input !== null && input.length > 0) write(input);
    let timer = setTimeout(beat, FIRST_BEAT_MS);
    function beat() {
      if (writing === null) write(NEWLINE);
      timer = setTimeout(beat, BEAT_MS);
    }
    return {
      async stop() {
        clearTimeout(timer);
        await writer.abort().catch(() => {});
        await writing;
      },
    };
  }
}

const NEWLINE = new Uint8Array([10]);

async function next(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array | null> {
  try {
    const { done, value } = await reader.read();
    return done ? null : value;
  } catch {
    return null; // Cancelled under the read, or the pipe broke: the program's end tells.
  }
}

async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => resolve(false), ms);
  try {
    return await Promise.race([work.then(() => true), promise]);
  } finally {
    clearTimeout(timer);
  }
}

function onAbort(signal: AbortSignal): { happened: Promise<"aborted"> } & Disposable {
  const { promise, resolve } = Promise.withResolvers<"aborted">();
  const abort = () => resolve("aborted");
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  return { happened: promise, [Symbol.dispose]: () => signal.removeEventListener("abort", abort) };
}
