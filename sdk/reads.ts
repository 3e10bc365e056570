/**
 * Reads (api/routes.ts) to a server of ours: those that are asked in one turn travel in one exchange. What is a read,
 * and what to do where they are not understood, is client.ts's.
 */
import type { ReadAnswer } from "../api/reads.ts";
import { READS_PATH } from "../api/routes.ts";
import type { Http } from "./http.ts";

export interface Read {
  /** An operation's request name. */
  readonly name: string;
  readonly body: unknown;
  readonly signal: AbortSignal | undefined;
}

interface Waiting extends Read {
  readonly resolve: (answer: ReadAnswer | null) => void;
  readonly reject: (error: unknown) => void;
}

export class Reads {
  readonly #http: Http;
  readonly #envelope: () => Readonly<Record<string, unknown>>;
  #waiting: Waiting[] = [];

  constructor(http: Http, envelope: () => Readonly<Record<string, unknown>>) {
    this.#http = http;
    this.#envelope = envelope;
  }

  /** The answer; null when the server is too old to know reads. Throws what Http throws. */
  ask(read: Read): Promise<ReadAnswer | null> {
    // What one caller gives up must not be taken from another.
    if (this.#waiting.some((one) => one.signal !== read.signal)) this.#flush();
    const { promise, resolve, reject } = Promise.withResolvers<ReadAnswer | null>();
    this.#waiting.push({ ...read, resolve, reject });
    if (this.#waiting.length === 1) queueMicrotask(() => this.#flush());
    return promise;
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (waiting.length > 0) this.#send(waiting);
  }

  async #send(waiting: readonly Waiting[]): Promise<void> {
    try {
      const { value, response } = await this.#http.jsonAnswer({
        method: "POST",
        path: READS_PATH,
        json: { ...this.#envelope(), reads: waiting.map(({ name, body }) => ({ name, body })) },
        signal: waiting[0]?.signal,
        limit: this.#http.timing.get,
        repeat: "safe",
        revive: "submit",
        accept: [404],
      });
      const answers = response.status === 404 ? [] : value as ReadAnswer[];
      waiting.forEach((one, at) => one.resolve(answers[at] ?? null));
    } catch (error) {
      for (const one of waiting) one.reject(error);
    }
  }
}
