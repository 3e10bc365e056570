/**
 * Work in the background that is tried until it succeeds, with growing pauses. Owns the pauses, and that of each
 * subject a fault is told once, not every time.
 */
import { delay } from "@std/async/delay";
import { describe } from "../core/errors.ts";

const FIRST_MS = 10_000;
const LAST_MS = 300_000;

export interface AgainOptions {
  /** Names the work in faults. */
  readonly what: string;
  readonly signal: AbortSignal;
  /** Is there nothing left to do? Asked before and after each attempt. */
  isDone(): boolean;
  attempt(): Promise<void>;
  onFault(error: unknown, what: string): void;
}

export class Again {
  readonly #options: AgainOptions;
  readonly #told = new Map<string, string>();
  #running: Promise<void> | null = null;
  #pauseMs = FIRST_MS;

  constructor(options: AgainOptions) {
    this.#options = options;
  }

  /** Does nothing while it is at it. */
  begin(): void {
    if (this.#options.signal.aborted) return;
    this.#running ??= this.#run().finally(() => this.#running = null);
  }

  /** All is well: the next pause is a short one. */
  reset(): void {
    this.#pauseMs = FIRST_MS;
  }

  tell(error: unknown, what: string): void {
    const words = describe(error);
    if (this.#told.get(what) === words) return;
    this.#told.set(what, words);
    this.#options.onFault(error, what);
  }

  /** Resolves when nothing of it goes on any more; to be called once the signal has aborted. */
  async ended(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal, what } = this.#options;
    while (!this.#options.isDone()) {
      const pause = this.#pauseMs;
      this.#pauseMs = Math.min(pause * 2, LAST_MS);
      try {
        await delay(pause, { signal });
        await this.#options.attempt();
      } catch (error) {
        if (signal.aborted) return;
        this.tell(error, what);
      }
    }
  }
}
