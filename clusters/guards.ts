/**
 * One at a time per cluster name, within this server, first come first served: so that autostop and refresh, which
 * are no requests, never cross a launch or a stop. Requests among themselves are ordered by the engine's lock; the
 * database admits one server only.
 */

/** Hold it with `using`. */
export interface Guard extends Disposable {
  readonly name: string;
}

export class Guards {
  /** Held names; their queues hold those who wait. */
  readonly #held = new Map<string, ((guard: Guard) => void)[]>();

  /** Wait for the cluster. Rejects with the signal's reason. */
  acquire(name: string, signal: AbortSignal): Promise<Guard> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const free = this.tryAcquire(name);
    if (free !== null) return Promise.resolve(free);
    const { promise, resolve, reject } = Promise.withResolvers<Guard>();
    const queue = this.#held.get(name) ?? [];
    const enter = (guard: Guard) => {
      signal.removeEventListener("abort", leave);
      resolve(guard);
    };
    const leave = () => {
      queue.splice(queue.indexOf(enter), 1);
      reject(signal.reason);
    };
    signal.addEventListener("abort", leave, { once: true });
    queue.push(enter);
    return promise;
  }

  /** The guard, or null if somebody has it. */
  tryAcquire(name: string): Guard | null {
    if (this.#held.has(name)) return null;
    this.#held.set(name, []);
    return this.#guard(name);
  }

  isHeld(name: string): boolean {
    return this.#held.has(name);
  }

  #guard(name: string): Guard {
    let held = true;
    return {
      name,
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const next = this.#held.get(name)?.shift();
        if (next === undefined) this.#held.delete(name);
        else next(this.#guard(name));
      },
    };
  }
}
