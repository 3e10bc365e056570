/**
 * A lane: so many requests at once, the rest waits. Fair between users: when it is full they take turns, each in
 * its own order. Owns that order; leaves what runs to its callers.
 */
import { Place, type Ticket } from "./ticket.ts";

export interface LaneOptions {
  /** Requests at once. */
  readonly limit: number;
  /** Requests at once of one user; default: the whole lane. */
  readonly perUser?: number;
}

export class Lane {
  readonly limit: number;
  readonly #perUser: number;
  /** Waiting places by user; the order of users is the order of their turns. */
  readonly #waiting = new Map<string, Map<string, Place>>();
  readonly #running = new Map<string, number>();
  #busy = 0;

  constructor(options: LaneOptions) {
    this.limit = options.limit;
    this.#perUser = options.perUser ?? options.limit;
  }

  /** Ids must be unique among those inside. */
  enter(id: string, userId: string): Ticket {
    const place = new Place(id, (leaving) => this.#leave(leaving, userId));
    const queue = this.#waiting.get(userId);
    if (queue === undefined) this.#waiting.set(userId, new Map([[id, place]]));
    else queue.set(id, place);
    this.#serve();
    return place;
  }

  /** How many are served before each of those who wait, if nobody leaves. */
  positions(): Map<string, number> {
    const ahead = new Map<string, number>();
    let round = [...this.#waiting.values()].map((queue) => queue.keys());
    while (round.length > 0) {
      round = round.filter((queue) => {
        const { value, done } = queue.next();
        if (done !== true) ahead.set(value, ahead.size);
        return done !== true;
      });
    }
    return ahead;
  }

  #serve(): void {
    while (this.#busy < this.limit) {
      const user = this.#next();
      if (user === null) return;
      const queue = this.#waiting.get(user);
      const first = queue?.entries().next().value;
      if (queue === undefined || first === undefined) return;
      const [id, place] = first;
      queue.delete(id);
      // To the end of the round, or out of it.
      this.#waiting.delete(user);
      if (queue.size > 0) this.#waiting.set(user, queue);
      this.#busy++;
      this.#running.set(user, (this.#running.get(user) ?? 0) + 1);
      place.serve();
    }
  }

  #next(): string | null {
    for (const user of this.#waiting.keys()) {
      if ((this.#running.get(user) ?? 0) < this.#perUser) return user;
    }
    return null;
  }

  #leave(place: Place, userId: string): void {
    if (place.served) {
      this.#busy--;
      const left = (this.#running.get(userId) ?? 1) - 1;
      if (left > 0) this.#running.set(userId, left);
      else this.#running.delete(userId);
      this.#serve();
      return;
    }
    const queue = this.#waiting.get(userId);
    queue?.delete(place.id);
    if (queue?.size === 0) this.#waiting.delete(userId);
  }
}
