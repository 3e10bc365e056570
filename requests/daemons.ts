/** Periodic work of the server: refresh, autostop, sweep. Owns when it runs and that it ends; leaves what to its makers. */
import { pause } from "./pause.ts";

export interface Daemon {
  readonly name: string;
  readonly everyMs: number;
  /** Run once soon after the start, too. */
  readonly atStart?: boolean;
  /** One round. An error is reported and the next round comes all the same. */
  run(signal: AbortSignal): Promise<void>;
}

/** The first command, for which the server was started, is answered before anything else is done. */
const START_MS = 300;

export class Daemons {
  readonly #stop = new AbortController();
  readonly #rounds: Promise<void>[];

  /** Starts them. Rounds of one daemon never overlap; late ones are not made up for. */
  constructor(
    daemons: readonly Daemon[],
    options: { onError: (error: unknown, name: string) => void },
  ) {
    this.#rounds = daemons.map((daemon) => this.#keep(daemon, options.onError));
  }

  /** Abort what runs and wait for it. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#rounds);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #keep(daemon: Daemon, onError: (error: unknown, name: string) => void): Promise<void> {
    const { signal } = this.#stop;
    // A monotonic clock: a jump of the wall clock neither stops nor hurries a daemon.
    let due = performance.now() +
      (daemon.atStart === true ? Math.min(START_MS, daemon.everyMs) : daemon.everyMs);
    while (!signal.aborted) {
      await pause(Math.max(0, due - performance.now()), signal);
      if (signal.aborted) return;
      try {
        await daemon.run(signal);
      } catch (error) {
        if (!signal.aborted) onError(error, daemon.name);
      }
      const now = performance.now();
      due += daemon.everyMs * Math.max(1, Math.ceil((now - due) / daemon.everyMs));
    }
  }
}
