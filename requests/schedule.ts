/**
 * Whose turn it is. Owns the open requests in memory, their way through preemption, lock and lane, why each waits,
 * and cancelling; leaves running one to run.ts, rows and callers to engine.ts.
 */
import type { User } from "../core/context.ts";
import { SkyError } from "../core/errors.ts";
import { Entry, type EntryFacts } from "./entry.ts";
import { givenUp, interrupted, keep } from "./failure.ts";
import { Lane } from "./lane.ts";
import { Locks } from "./locks.ts";
import { within } from "./pause.ts";
import { conclude, run, type Surroundings, untilDead } from "./run.ts";

export interface Waiting {
  /** Requests that come before it. */
  readonly ahead: number;
  /** In words, for people. */
  readonly reason: string;
}

/** Why a run that the last server left must not simply be resumed. */
export interface Left {
  readonly status: "PENDING" | "RUNNING";
  readonly attempts: number;
  readonly cancelled: boolean;
}

const CANCEL_MS = 10_000;
const ATTEMPTS = 20;
/** After the processes of work that ignored its cancel are dead, it gets this long to notice. */
const LAST_MS = 1000;

export class Schedule {
  readonly open = new Map<string, Entry>();
  /** What the last server left behind, being decided about. */
  readonly recoveries: Promise<void>[] = [];
  draining = false;
  readonly #around: Surroundings;
  readonly #locks = new Locks();
  readonly #lanes: { long: Lane; short: Lane };
  #orders = 0;

  constructor(around: Surroundings) {
    this.#around = around;
    const { long, short, perUserLong } = around.options.limits;
    this.#lanes = {
      long: new Lane({ limit: long, ...perUserLong !== undefined && { perUser: perUserLong } }),
      short: new Lane({ limit: short }),
    };
  }

  /** Take in a request whose row is on disk. Call in order of submission: places in queues are taken here. */
  admit(facts: EntryFacts, left?: Left): Entry {
    const entry = new Entry(facts, { order: this.#orders++, onClose: () => this.open.delete(facts.id) });
    if (this.draining) {
      entry.close(null);
      return entry;
    }
    this.open.set(entry.id, entry);
    if (entry.locks && entry.clusterName !== null) {
      entry.lock = this.#locks.enter(entry.clusterName, entry.id);
    }
    if (left !== undefined && (left.status === "RUNNING" || entry.streaming)) entry.phase = "recovering";
    void this.#live(entry, left);
    return entry;
  }

  /** True once it is CANCELLED; false if it ended otherwise or does not end. Never queued. */
  cancel(entry: Entry, by: User): Promise<boolean> {
    if (entry.cancelling !== null) return entry.cancelling;
    const cancelling = (entry.phase === "waiting" ? this.#cancelWaiting(entry) : this.#stop(entry, by)).catch(
      (error: unknown) => {
        this.#around.report(error, entry);
        return false;
      },
    );
    entry.cancelling = cancelling;
    void cancelling.then(() => entry.cancelling = null); // a later cancel looks again
    return cancelling;
  }

  /** Why each waits, and behind how many; null for one that does not wait. As of now: use it at once. */
  waiting(): (entry: Entry) => Waiting | null {
    let lanes: { long: Map<string, number>; short: Map<string, number> } | null = null;
    return (entry) => {
      if (entry.phase === "recovering") {
        return { ahead: 0, reason: "Cleaning up after a restart of the server" };
      }
      if (entry.phase !== "waiting") return null;
      const victims = entry.victims.filter((victim) => victim.phase !== "over").length;
      if (victims > 0) {
        const what = victims === 1 ? "1 other request" : `${victims} other requests`;
        return {
          ahead: victims,
          reason: `Waiting for ${what} on cluster '${entry.clusterName}' to be cancelled`,
        };
      }
      if (entry.lock !== null && !entry.lock.served) return this.#behindLock(entry);
      lanes ??= { long: this.#lanes.long.positions(), short: this.#lanes.short.positions() };
      const ahead = lanes[entry.lane].get(entry.id) ?? 0;
      return {
        ahead,
        reason: `All ${this.#lanes[entry.lane].limit} places for ${entry.lane} requests are taken`,
      };
    };
  }

  #behindLock(entry: Entry): Waiting {
    const before = this.#locks.before(entry.clusterName ?? "", entry.id);
    const holder = this.open.get(before[0] ?? "");
    const who = holder === undefined
      ? "another request"
      : `'${holder.name}' request ${holder.id.slice(0, 8)}`;
    return { ahead: before.length, reason: `Waiting for ${who} on cluster '${entry.clusterName}' to finish` };
  }

  async #live(entry: Entry, left: Left | undefined): Promise<void> {
    try {
      if (entry.phase === "recovering" && left !== undefined) {
        const recovery = this.#recover(entry, left);
        this.recoveries.push(recovery.catch(() => undefined)); // reported below
        await recovery;
      }
      if (await this.#turn(entry)) await run(entry, this.#around);
      else if (this.draining && entry.phase === "waiting") entry.close(null);
    } catch (error) {
      // Nothing above lets an error through on purpose. Its row is left to the next start.
      this.#around.report(error, entry);
      entry.close(null);
    } finally {
      // One that waits keeps its row PENDING; without its tickets it is in nobody's way.
      entry.leave();
    }
  }

  /** True when it may run; false when it was cancelled or must stay for the next start. */
  async #turn(entry: Entry): Promise<boolean> {
    if (entry.phase !== "waiting") return false;
    if (entry.preempts && entry.clusterName !== null) await this.#preempt(entry);
    if (entry.lock !== null && !(await entry.lock.ready)) return false;
    if (!entry.outside && entry.phase === "waiting") {
      entry.slot = this.#lanes[entry.lane].enter(entry.id, entry.userId);
      if (!(await entry.slot.ready)) return false;
    }
    return entry.phase === "waiting" && !this.draining;
  }

  /** Cancel what was submitted before it on its cluster, except its own kind; wait until that is dead. */
  async #preempt(entry: Entry): Promise<void> {
    entry.victims = [...this.open.values()].filter((other) =>
      other.clusterName === entry.clusterName && other.name !== entry.name && other.order < entry.order &&
      !other.control
    );
    const by = { id: entry.userId, name: `'${entry.name}' request ${entry.id}` };
    for (const victim of entry.victims) void this.cancel(victim, by);
    const dead = Promise.all(entry.victims.map((victim) => victim.ended));
    await Promise.race([dead, entry.ended]);
    entry.victims = [];
  }

  async #cancelWaiting(entry: Entry): Promise<boolean> {
    entry.phase = "settling";
    entry.stopped = "cancel";
    entry.leave();
    await conclude(entry, this.#around, { from: "PENDING", status: "CANCELLED", result: null, error: null });
    return await entry.ended === "CANCELLED";
  }

  async #stop(entry: Entry, by: User): Promise<boolean> {
    const { store, options, report } = this.#around;
    const who = `'${entry.name}' request ${entry.id}`;
    entry.stop("cancel", new SkyError("request_cancelled", `${who} was cancelled by ${by.name}`));
    // Kept, so that a restart in between does not resume it. The abort does not wait for that.
    store.markCancel(entry.id).catch((error: unknown) => report(error, entry));
    const ms = options.limits.cancelMs ?? CANCEL_MS;
    const status = await within(entry.ended, ms);
    if (status !== undefined) return status === "CANCELLED";
    if (entry.phase === "running") {
      // DANGER: from here on the work may still be executing, but nothing it does counts any more.
      entry.fenced = true;
      await within(untilDead(entry, this.#around), ms);
    }
    const last = await within(entry.ended, LAST_MS);
    if (last !== undefined) return last === "CANCELLED";
    entry.trouble ??=
      "Cancelled, but its work does not stop. Its processes were killed, it can change nothing more";
    await store.setMessage(entry.id, entry.trouble);
    return false;
  }

  #isCancelled(entry: Entry): boolean {
    return entry.stopped === "cancel";
  }

  /** Decide about what the last server left behind, once its processes are proven dead. */
  async #recover(entry: Entry, left: Left): Promise<void> {
    const { store, failpoint, options } = this.#around;
    failpoint("before_recover");
    if (left.status === "RUNNING" && !(await untilDead(entry, this.#around))) return entry.close(null);
    const none = { from: left.status, result: null, error: null };
    if (left.cancelled || entry.stopped === "cancel" || entry.streaming) {
      await conclude(entry, this.#around, { ...none, status: "CANCELLED" });
    } else if (!entry.resumable) {
      await conclude(entry, this.#around, {
        ...none,
        status: "FAILED",
        error: keep(interrupted(entry.name)),
      });
    } else if (left.attempts >= (options.limits.attempts ?? ATTEMPTS)) {
      const error = keep(givenUp(entry.name, left.attempts));
      await conclude(entry, this.#around, { ...none, status: "FAILED", error });
    } else {
      await store.requeue(entry.id);
      entry.phase = "waiting";
      // A cancel that came during that write does not queue.
      if (this.#isCancelled(entry)) await this.#cancelWaiting(entry);
    }
    failpoint("after_recover");
  }
}
