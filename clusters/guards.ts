/**
 * One at a time per cluster name, within this server: so that autostop and refresh, which are no requests, never
 * cross a launch or a stop. Requests among themselves are ordered by the engine's lock; the database admits one
 * server only.
 */

/** Hold it with `using`. */
export interface Guard extends Disposable {
  readonly name: string;
}

export class Guards {
  readonly #held = new Map<string, Promise<void>>();

  /** Wait for the cluster. Rejects with the signal's reason. */
  async acquire(name: string, signal: AbortSignal): Promise<Guard> {
    for (;;) {
      signal.throwIfAborted();
      const guard = this.tryAcquire(name);
      if (guard !== null) return guard;
      await Promise.race([this.#held.get(name), aborted(signal)]);
    }
  }

  /** The guard, or null if somebody has it. */
  tryAcquire(name: string): Guard | null {
    if (this.#held.has(name)) return null;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held.set(name, promise);
    let held = true;
    return {
      name,
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#held.delete(name);
        resolve();
      },
    };
  }

  isHeld(name: string): boolean {
    return this.#held.has(name);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}
