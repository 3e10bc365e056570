/**
 * The one standing connection to a host over which job directories are looked at: questions go in, answers come
 * back in their order. Owns the protocol's bytes (node/look.ts answers) and the channel's life.
 */
import { SkyError } from "../../../core/errors.ts";
import { LOOK } from "../node/look.ts";
import { Splitter } from "./frames.ts";
import type { NodeShell } from "./shell.ts";

interface Question {
  readonly mark: string;
  readonly limit: number;
  resolve(answer: Uint8Array): void;
  reject(error: unknown): void;
}

/** A host that answers no question for so long is taken for dead, the channel is given up. */
const ANSWER_MS = 15_000;

export class LookChannel {
  readonly #shell: NodeShell;
  readonly #life = new AbortController();
  readonly #pending: Question[] = [];
  readonly #input: TransformStream<Uint8Array, Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #running: Promise<void>;
  #failure: unknown = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(shell: NodeShell) {
    this.#shell = shell;
    this.#input = new TransformStream();
    this.#writer = this.#input.writable.getWriter();
    this.#writer.closed.catch(() => {}); // Its reader's failure is told by #fail.
    this.#running = this.#run();
  }

  /** Why it can answer no more; null while it can. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Ask; `words` without tab and newline. Rejects with why the channel broke. `limit`: most bytes of the answer. */
  ask(what: "S" | "T" | "R", words: readonly string[], limit: number): Promise<Uint8Array> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const mark = `sky-${crypto.randomUUID()}`;
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    this.#pending.push({ mark, limit, resolve, reject });
    this.#watchClock();
    const line = new TextEncoder().encode(`${[what, mark, ...words].join("\t")}\n`);
    this.#writer.write(line).catch(() => {}); // As above.
    return promise;
  }

  async close(): Promise<void> {
    this.#fail(new SkyError("network", `The watch of ${this.#shell.name} was closed`));
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      const opened = await this.#shell.open(LOOK, {
        signal: this.#life.signal,
        stdin: this.#input.readable,
        harmless: true,
      });
      try {
        await this.#read(opened.stdout);
        await opened.ended;
        throw new SkyError("network", `The connection to ${this.#shell.name} broke`);
      } catch (error) {
        this.#fail(error);
        await opened.ended.catch(() => {}); // The first error is the one told.
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  async #read(stdout: ReadableStream<Uint8Array>): Promise<void> {
    let split: Splitter | null = null;
    let parts: Uint8Array[] = [];
    let size = 0;
    for await (let piece of stdout) {
      while (piece.length > 0) {
        const question = this.#pending[0];
        if (question === undefined) throw new SkyError("network", `${this.#shell.name} answers unasked`);
        split ??= new Splitter(`\n${question.mark}\n`);
        const { before, after } = split.push(piece);
        for (const part of before) if (part.length > 0) parts.push(part);
        size += before.reduce((sum, part) => sum + part.length, 0);
        if (size > question.limit) throw new SkyError("network", `${this.#shell.name} answers without end`);
        if (!split.found) break;
        this.#pending.shift();
        this.#watchClock();
        question.resolve(joined(parts, size));
        [split, parts, size, piece] = [null, [], 0, after];
      }
    }
  }

  #watchClock(): void {
    clearTimeout(this.#timer);
    if (this.#pending.length === 0 || this.#failure !== null) return;
    this.#timer = setTimeout(() => {
      this.#fail(new SkyError("network", `${this.#shell.name} does not answer`));
    }, ANSWER_MS);
  }

  #fail(error: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    clearTimeout(this.#timer);
    for (const question of this.#pending.splice(0)) question.reject(error);
    this.#writer.abort(error).catch(() => {}); // Nobody reads it any more.
    this.#life.abort(error);
  }
}

function joined(parts: readonly Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
