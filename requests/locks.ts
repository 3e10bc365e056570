/** One writer per cluster: those who lock are served one at a time, in order of submission. Owns that order. */
import { Place, type Ticket } from "./ticket.ts";

export class Locks {
  /** By cluster: the holder, then those who wait. */
  readonly #queues = new Map<string, Map<string, Place>>();

  enter(cluster: string, id: string): Ticket {
    const queue = this.#queues.get(cluster) ?? new Map<string, Place>();
    this.#queues.set(cluster, queue);
    const place = new Place(id, () => {
      queue.delete(id);
      const next = queue.values().next().value;
      if (next === undefined) this.#queues.delete(cluster);
      else next.serve();
    });
    queue.set(id, place);
    if (queue.size === 1) place.serve();
    return place;
  }

  /** Ids before this one, the holder first. */
  before(cluster: string, id: string): string[] {
    const ids = [...this.#queues.get(cluster)?.keys() ?? []];
    return ids.slice(0, Math.max(0, ids.indexOf(id)));
  }
}
