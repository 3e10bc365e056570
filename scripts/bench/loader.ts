/** The handle of load_worker.ts: one order at a time. */
import { type Exchange, type Hammered, type Hammering, type Target } from "./load.ts";
import type { Order } from "./load_worker.ts";

export class Loader implements Disposable {
  readonly #worker = new Worker(new URL("./load_worker.ts", import.meta.url), { type: "module" });
  readonly target: Target;

  constructor(target: Target) {
    this.target = target;
  }

  hammer(hammering: Omit<Hammering, "from"> & { from?: number }): Promise<Hammered> {
    const order = { from: 0, ...hammering };
    return this.#order({ kind: "hammer", target: this.target, hammering: order }) as Promise<Hammered>;
  }

  async follow(exchange: Exchange, count: number): Promise<void> {
    await this.#order({ kind: "follow", target: this.target, exchange, count });
  }

  lags(): Promise<number[]> {
    return this.#order({ kind: "lags" }) as Promise<number[]>;
  }

  async leave(): Promise<void> {
    await this.#order({ kind: "leave" });
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }

  #order(order: Order): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#worker.onmessage = ({ data }: MessageEvent<{ value: unknown } | { error: string }>) => {
      if ("error" in data) reject(new Error(data.error));
      else resolve(data.value);
    };
    this.#worker.onerror = (event) => reject(new Error(event.message));
    this.#worker.postMessage(order);
    return promise;
  }
}
