/** One open request in memory: where it stands, how it is told to stop, what it holds. Leaves moving it to schedule.ts and run.ts. */
import { SkyError } from "../core/errors.ts";
import type { Lane, RequestStatus } from "../core/request.ts";
import type { RequestSeed } from "../state/requests.ts";
import type { Ticket } from "./ticket.ts";

/**
 * recovering: its last run's processes are being proven dead · waiting: PENDING · starting: being written RUNNING ·
 * running · settling: its end is being written · over: closed here; final, or left to the next start.
 */
export type Phase = "recovering" | "waiting" | "starting" | "running" | "settling" | "over";

export interface EntryFacts {
  readonly id: string;
  readonly name: string;
  readonly lane: Lane;
  readonly userId: string;
  readonly clusterName: string | null;
  readonly locks: boolean;
  readonly preempts: boolean;
  readonly resumable: boolean;
  readonly streaming: boolean;
  readonly control: boolean;
}

export class Entry implements EntryFacts {
  readonly id: string;
  readonly name: string;
  readonly lane: Lane;
  readonly userId: string;
  readonly clusterName: string | null;
  readonly locks: boolean;
  readonly preempts: boolean;
  readonly resumable: boolean;
  readonly streaming: boolean;
  readonly control: boolean;
  /** Order of submission. */
  readonly order: number;
  phase: Phase = "waiting";
  attempts = 0;
  /** What running it takes, if it is at hand; else its row has it. */
  seed: RequestSeed | null = null;
  /** Why it has been told to stop. A cancel replaces a drain, never the other way. */
  stopped: "cancel" | "drain" | null = null;
  /** Its work was given up on: nothing it still does may have an effect. */
  fenced = false;
  lock: Ticket | null = null;
  slot: Ticket | null = null;
  /** Requests it cancels before its own turn. */
  victims: readonly Entry[] = [];
  /** Set while a cancel is under way: whether it ends CANCELLED. */
  cancelling: Promise<boolean> | null = null;
  /** What it is stuck on, for people; null when all is well. */
  trouble: string | null = null;
  /** Resolves with its final status when that is on disk, or null when it is left to the next start. */
  readonly ended: Promise<RequestStatus | null>;
  readonly #end: (status: RequestStatus | null) => void;
  readonly #abort = new AbortController();

  readonly #onClose: () => void;

  constructor(facts: EntryFacts, options: { order: number; onClose: (entry: Entry) => void }) {
    this.id = facts.id;
    this.name = facts.name;
    this.lane = facts.lane;
    this.userId = facts.userId;
    this.clusterName = facts.clusterName;
    this.locks = facts.locks;
    this.preempts = facts.preempts;
    this.resumable = facts.resumable;
    this.streaming = facts.streaming;
    this.control = facts.control;
    this.order = options.order;
    this.#onClose = () => options.onClose(this);
    const { promise, resolve } = Promise.withResolvers<RequestStatus | null>();
    this.ended = promise;
    this.#end = resolve;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Runs at once: its place is not in a lane. */
  get outside(): boolean {
    return this.streaming || this.control;
  }

  stop(kind: "cancel" | "drain", reason: SkyError): void {
    if (this.stopped !== "cancel") this.stopped = kind;
    this.#abort.abort(reason);
  }

  /** Throws once nothing this run does may have an effect. */
  check(): void {
    if (!this.fenced) return;
    throw this.signal.reason ?? new SkyError("request_cancelled", `Request ${this.id} is over`);
  }

  leave(): void {
    this.slot?.leave();
    this.lock?.leave();
  }

  close(status: RequestStatus | null): void {
    this.phase = "over";
    this.seed = null;
    this.fenced = true;
    this.leave();
    this.#onClose();
    this.#end(status);
  }
}
