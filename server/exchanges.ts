/**
 * Where a streaming request and the exchange that waits for it meet: the work hands over the log to send, the
 * exchange says when it is through. Keyed by request id; either side may come first.
 */
import type { LogPart } from "./streams/pump.ts";

interface Meeting {
  readonly delivery: PromiseWithResolvers<LogPart>;
  readonly through: PromiseWithResolvers<void>;
}

export class Exchanges {
  readonly #meetings = new Map<string, Meeting>();

  /** The work's side: resolves when everything was sent or nobody reads any more. Rejects with the abort's reason. */
  async deliver(id: string, delivery: LogPart, signal: AbortSignal): Promise<void> {
    const meeting = this.#meeting(id);
    meeting.delivery.resolve(delivery);
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    try {
      await Promise.race([meeting.through.promise, aborted.promise]);
    } finally {
      signal.removeEventListener("abort", abort);
      this.#meetings.delete(id);
    }
  }

  /** The exchange's side: what the work hands over; null when the request ended (`over`) without. */
  async receive(id: string, over: Promise<unknown>): Promise<LogPart | null> {
    const delivery = this.#meeting(id).delivery.promise;
    // A request that failed before its delivery still ends the exchange; its error is asked for elsewhere.
    return await Promise.race([delivery, over.then(() => null, () => null)]);
  }

  /** The exchange is done with this request. */
  close(id: string): void {
    this.#meetings.get(id)?.through.resolve();
    this.#meetings.delete(id);
  }

  #meeting(id: string): Meeting {
    const known = this.#meetings.get(id);
    if (known !== undefined) return known;
    const made: Meeting = { delivery: Promise.withResolvers(), through: Promise.withResolvers() };
    this.#meetings.set(id, made);
    return made;
  }
}
