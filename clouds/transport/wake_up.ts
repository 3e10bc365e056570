/**
 * Waiting for files to change: the file system's word where it gives one, a bounded poll where not. Owns the
 * watchers; what counts as a change is the caller's.
 */

export interface WakeUp {
  /** Paths to watch; those that don't exist are left out. */
  readonly watch: readonly string[];
  /** Milliseconds between looks when no event comes. */
  readonly pollMs: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Another reason to look, e.g. the end of a child of ours. */
  readonly also?: Promise<unknown> | undefined;
}

/** Resolves once `changed` says so, or after `timeoutMs`. Rejects with the signal's reason. */
export async function waitUntil(changed: () => Promise<boolean>, options: WakeUp): Promise<void> {
  const { signal } = options;
  signal.throwIfAborted();
  if (await changed()) return;
  const deadline = performance.now() + options.timeoutMs;
  const bell = new Bell();
  const ring = () => bell.ring();
  signal.addEventListener("abort", ring, { once: true });
  const watchers = options.watch.flatMap((path) => watch(path, ring));
  // Settles once, so it can't be a reason to spin.
  options.also?.then(ring, ring);
  try {
    while (true) {
      signal.throwIfAborted();
      // Looked at after the watchers are up: what happened before them is seen now, what comes later rings.
      if (await changed()) return;
      const left = deadline - performance.now();
      if (left <= 0) return;
      await bell.wait(Math.min(left, options.pollMs));
    }
  } finally {
    signal.removeEventListener("abort", ring);
    for (const watcher of watchers) watcher.close();
  }
}

/** Remembers one ring until somebody waits for it. */
class Bell {
  #rung = false;
  #wake: (() => void) | null = null;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  async wait(ms: number): Promise<void> {
    if (!this.#rung) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, ms);
      await promise;
      clearTimeout(timer);
      this.#wake = null;
    }
    this.#rung = false;
  }
}

function watch(path: string, ring: () => void): Deno.FsWatcher[] {
  let watcher: Deno.FsWatcher;
  try {
    watcher = Deno.watchFs(path, { recursive: false });
  } catch {
    return []; // Not there yet, or out of inotify watches: the poll stands in.
  }
  (async () => {
    try {
      for await (const event of watcher) if (event.kind !== "access") ring();
    } catch {
      ring(); // Closed under the loop, or broken: the poll stands in.
    }
  })();
  return [watcher];
}
