/** The journal of one run: a finished step is never run again. Owns ctx.step; leaves the table to state/steps.ts. */
import { SkyError } from "../core/errors.ts";
import type { Step, StepStore } from "../state/steps.ts";
import type { Entry } from "./entry.ts";
import type { RequestLog } from "./log.ts";

export interface JournalOptions {
  readonly entry: Entry;
  readonly store: StepStore;
  readonly log: RequestLog;
  /** Finished in earlier runs. */
  readonly finished: readonly Step[];
  readonly failpoint: (name: string) => void;
}

export class Journal {
  readonly #options: JournalOptions;
  readonly #kept: Map<string, string | null>;
  /** Finished steps of earlier runs that this run has not come by yet. */
  readonly #behind: Set<string>;
  readonly #running = new Map<string, Promise<unknown>>();

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#kept = new Map(options.finished.map((step) => [step.name, step.result]));
    this.#behind = new Set(this.#kept.keys());
  }

  /** As Context.step. The same name again gives the same result; two at once share one run. */
  async step<T>(name: string, work: () => Promise<T>): Promise<T> {
    const { entry, log } = this.#options;
    entry.signal.throwIfAborted();
    entry.check();
    const kept = this.#kept.get(name);
    if (kept !== undefined) {
      this.#behind.delete(name);
      if (this.#behind.size === 0) log.caughtUp();
      return revive<T>(kept);
    }
    const running = this.#running.get(name) ?? this.#run(name, work);
    return await running as T;
  }

  #run(name: string, work: () => Promise<unknown>): Promise<unknown> {
    const run = this.#attempt(name, work).finally(() => this.#running.delete(name));
    this.#running.set(name, run);
    return run;
  }

  async #attempt(name: string, work: () => Promise<unknown>): Promise<unknown> {
    const { entry, store, log, failpoint } = this.#options;
    log.caughtUp();
    failpoint("before_step");
    const value = await work();
    entry.check();
    const result = JSON.stringify(value) ?? null;
    // The text first: a step that counts as finished has printed all of it.
    const logEnd = await log.flush();
    if (!(await store.add({ id: entry.id, attempt: entry.attempts }, { name, result, logEnd }))) {
      throw new SkyError("request_cancelled", `Step '${name}' of request ${entry.id} came too late`);
    }
    failpoint("after_step");
    this.#kept.set(name, result);
    // What a resumed run would be given, so that both see the same value.
    return revive(result);
  }
}

function revive<T>(result: string | null): T {
  return (result === null ? undefined : JSON.parse(result)) as T;
}
