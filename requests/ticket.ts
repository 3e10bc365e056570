/** A place in a queue. Owns the promise of getting served; leaves the order to lane.ts and locks.ts. */

export interface Ticket {
  /** True when served; false if it left before. */
  readonly ready: Promise<boolean>;
  readonly served: boolean;
  /** Give back what was got, or the place in the queue. May be called again. */
  leave(): void;
}

/** The queue's side of a ticket. */
export class Place implements Ticket {
  readonly id: string;
  readonly ready: Promise<boolean>;
  readonly #answer: (served: boolean) => void;
  readonly #onLeave: (place: Place) => void;
  #state: "waiting" | "served" | "left" = "waiting";

  constructor(id: string, onLeave: (place: Place) => void) {
    this.id = id;
    this.#onLeave = onLeave;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.ready = promise;
    this.#answer = resolve;
  }

  get served(): boolean {
    return this.#state === "served";
  }

  serve(): void {
    if (this.#state !== "waiting") return;
    this.#state = "served";
    this.#answer(true);
  }

  leave(): void {
    if (this.#state === "left") return;
    // The queue is told while the place still says whether it was served.
    this.#onLeave(this);
    this.#state = "left";
    this.#answer(false);
  }
}
