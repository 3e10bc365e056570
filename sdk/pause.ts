/** Waiting: an abortable pause and growing pauses. */

export interface Backoff {
  /** Milliseconds. */
  readonly first: number;
  readonly factor: number;
  readonly cap: number;
  /** Share by which the pause varies, e.g. 0.4 for ±40 %. */
  readonly jitter?: number;
}

/** The pause before try number `tries` + 2, in milliseconds. */
export function backoff(tries: number, { first, factor, cap, jitter = 0 }: Backoff): number {
  return Math.min(first * factor ** tries, cap) * (1 + jitter * (2 * Math.random() - 1));
}

/** Resolve after `ms` milliseconds. Rejects with the signal's reason. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
