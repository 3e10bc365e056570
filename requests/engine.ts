/**
 * The durable request engine: accept, run, log, cancel, remember (house.md §6, wire.md §16). Owns what callers see;
 * leaves turns to schedule.ts, one run to run.ts, reading rows to reading.ts. Knows nothing of clusters or HTTP.
 */
import type { User } from "../core/context.ts";
import { SkyError } from "../core/errors.ts";
import { isFinal, type RequestRecord } from "../core/request.ts";
import type { LogFile } from "../state/log_file.ts";
import { RequestStore } from "../state/requests.ts";
import { StepStore } from "../state/steps.ts";
import type { Entry } from "./entry.ts";
import { stopping } from "./failure.ts";
import { requestLogPath } from "./log.ts";
import { within } from "./pause.ts";
import { type ListQuery, Reading } from "./reading.ts";
import type { Surroundings } from "./run.ts";
import { Schedule, type Waiting } from "./schedule.ts";
import type { EngineOptions, Submission } from "./submission.ts";

/** Which open requests to cancel: by full ids or unique prefixes, of one user, or all. */
export type CancelFilter = { readonly ids: readonly string[] } | { readonly userId: string } | {
  readonly all: true;
};

const STREAMING = 4096;
const OPEN = 100_000;
/** With fewer open requests than this, what it takes to run a new one is kept in memory until it starts. */
const SEEDS = 256;
/** A start waits this long for leftovers to be decided about; slower ones go on beside it. */
const RECOVERY_MS = 3000;
/** Of a drain's time, for short work to finish by itself; the rest for aborted work to settle. */
const PATIENCE = 0.6;

export class Engine {
  readonly #options: EngineOptions;
  readonly #store: RequestStore;
  readonly #schedule: Schedule;
  readonly #reading: Reading;
  readonly #gone = new AbortController();
  #drained: Promise<void> | null = null;

  private constructor(options: EngineOptions) {
    this.#options = options;
    this.#store = new RequestStore(options.database);
    const around: Surroundings = {
      options,
      store: this.#store,
      steps: new StepStore(options.database),
      failpoint: options.failpoint ?? (() => {}),
      proveDead: options.proveDead ?? (() => Promise.resolve()),
      gone: this.#gone.signal,
      report: (error, entry) => options.onInternalError?.(error, { requestId: entry.id, name: entry.name }),
    };
    this.#schedule = new Schedule(around);
    this.#reading = new Reading(this.#store, this.#schedule);
  }

  /**
   * Take up what the last server left: every request that is not final is queued again or ended with a stated
   * reason, once its processes are proven dead.
   */
  static async start(options: EngineOptions): Promise<Engine> {
    await Deno.mkdir(options.folder, { recursive: true, mode: 0o700 });
    const engine = new Engine(options);
    for (const row of await engine.#store.open()) {
      engine.#schedule.admit(row, {
        status: row.status,
        attempts: row.attempts,
        cancelled: row.cancelAt !== null,
      });
    }
    await within(Promise.all(engine.#schedule.recoveries), RECOVERY_MS);
    return engine;
  }

  /**
   * Accept a request: its row is on disk before this resolves. The same user and key give the same id again.
   * Throws disk_full, server_busy, invalid_argument (the key belongs to another operation).
   */
  async submit(submission: Submission): Promise<{ id: string; created: boolean }> {
    this.#refuse(submission);
    const { failpoint = () => {} } = this.#options;
    const { lane, name, user, workspace, clusterName, preempts, resumable, streaming } = submission;
    // On a full disk, too: what looks (short), and what frees space by ending things.
    const urgent = lane === "short" || preempts || streaming;
    if (!urgent) await this.#options.database.space?.check();
    const facts = { id: crypto.randomUUID(), name, lane, clusterName, preempts, resumable, streaming };
    const flags = { locks: submission.lock, control: submission.control ?? false };
    const seed = {
      user,
      workspace,
      command: submission.command,
      body: JSON.stringify(submission.body ?? null),
      env: JSON.stringify(submission.env),
      config: JSON.stringify(submission.config),
    };
    failpoint("before_insert");
    const created = await this.#store.insert({
      ...facts,
      ...flags,
      ...seed,
      idempotencyKey: submission.idempotencyKey,
      shownBody: JSON.stringify(await submission.redact(submission.body) ?? null),
    }, { urgent });
    failpoint("after_insert");
    if (!created) return { id: await this.#same(submission), created };
    const entry = this.#schedule.admit({ ...facts, ...flags, userId: user.id });
    // Most start at once and need not read again what has just been written. The rest waits on the disk.
    if (entry.phase === "waiting" && this.#schedule.open.size < SEEDS) entry.seed = { ...seed, attempts: 1 };
    return { id: facts.id, created };
  }

  /**
   * Cancel open requests at once, past every queue. Resolves with the ids that are CANCELLED, their processes
   * proven dead; finished ones and work that ignores it are not among them. Throws request_ambiguous.
   */
  async cancel(filter: CancelFilter, by: User): Promise<string[]> {
    const entries = await this.#targets(filter);
    const cancelled = await Promise.all(entries.map((entry) => this.#schedule.cancel(entry, by)));
    return entries.filter((_, at) => cancelled[at]).map((entry) => entry.id);
  }

  /** The record once it is final. Throws request_not_found, server_busy if the server stops first, the signal's reason. */
  async wait(id: string, signal: AbortSignal): Promise<RequestRecord> {
    signal.throwIfAborted();
    const entry = this.#schedule.open.get(id);
    if (entry !== undefined) {
      const { promise, reject } = Promise.withResolvers<never>();
      const abort = () => reject(signal.reason);
      signal.addEventListener("abort", abort);
      await Promise.race([entry.ended, promise]).finally(() => signal.removeEventListener("abort", abort));
    }
    const record = await this.record(id);
    if (!isFinal(record.status)) throw stopping();
    return record;
  }

  /** The full id of a full id or unique prefix. Throws request_not_found, request_ambiguous (listing the matches). */
  resolve(prefix: string): Promise<string> {
    return this.#reading.resolve(prefix);
  }

  /** As it is now; the body without secrets. Throws request_not_found. */
  record(id: string): Promise<RequestRecord> {
    return this.#reading.record(id);
  }

  /** Newest first; default: only PENDING and RUNNING. */
  list(query: ListQuery = {}): Promise<RequestRecord[]> {
    return this.#reading.list(query);
  }

  /** Why it waits and behind how many; null if it does not wait. */
  position(id: string): Waiting | null {
    const entry = this.#schedule.open.get(id);
    return entry === undefined ? null : this.#schedule.waiting()(entry);
  }

  /** How many wait and how many run. */
  counts(): { waiting: number; running: number } {
    let waiting = 0;
    for (const entry of this.#schedule.open.values()) if (entry.phase === "waiting") waiting++;
    return { waiting, running: this.#schedule.open.size - waiting };
  }

  /** Its log, empty for an id without one. */
  log(id: string): LogFile {
    const ended = !this.#schedule.open.has(id);
    return this.#options.logs.open(requestLogPath(this.#options.folder, id), { ended });
  }

  /** Its log from a byte offset until the request is final (or this server stops). */
  followLog(id: string, options: { offset: number; signal: AbortSignal }): ReadableStream<Uint8Array> {
    return this.log(id).follow(options);
  }

  /**
   * Stop within `deadlineMs`: nothing new starts; short work may finish; long work that can be resumed is aborted
   * and stays RUNNING for the next start, other work ends FAILED, streams CANCELLED.
   */
  drain(options: { deadlineMs: number }): Promise<void> {
    return this.#drained ??= this.#drain(options.deadlineMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain({ deadlineMs: 2000 });
  }

  async #drain(deadlineMs: number): Promise<void> {
    this.#schedule.draining = true;
    const entries = [...this.#schedule.open.values()];
    const reason = new SkyError("request_interrupted", "The server is stopping", {
      details: { reason: "drain" },
    });
    for (const entry of entries) {
      if (entry.phase === "waiting") entry.close(null);
      else if (entry.streaming || (entry.lane === "long" && entry.resumable)) entry.stop("drain", reason);
    }
    const all = Promise.all(entries.map((entry) => entry.ended));
    if (await within(all, deadlineMs * PATIENCE) === undefined) {
      for (const entry of entries) if (entry.phase !== "over") entry.stop("drain", reason);
      await within(all, deadlineMs * (1 - PATIENCE));
    }
    this.#gone.abort(reason);
    // What still runs is cut off: its rows stay as they are, nothing it does counts, its followers leave.
    for (const entry of entries) if (entry.phase !== "over") entry.close(null);
    await Promise.all(entries.map((entry) => this.log(entry.id).end()));
  }

  #refuse(submission: Submission): void {
    if (this.#schedule.draining) throw stopping();
    const open = this.#schedule.open;
    const { limits } = this.#options;
    const hint = "Try again when some of them are done";
    if (open.size >= (limits.open ?? OPEN)) {
      throw new SkyError("server_busy", `The server has ${open.size} open requests, it takes no more`, {
        hint,
      });
    }
    if (!submission.streaming) return;
    let streaming = 0;
    for (const entry of open.values()) if (entry.streaming) streaming++;
    if (streaming < (limits.streaming ?? STREAMING)) return;
    throw new SkyError("server_busy", `The server has ${streaming} open streams, it takes no more`, { hint });
  }

  async #same(submission: Submission): Promise<string> {
    const { user, idempotencyKey, name } = submission;
    const found = idempotencyKey === null ? null : await this.#store.byKey(user.id, idempotencyKey);
    if (found === null) throw new SkyError("internal", `The '${name}' request was not stored`);
    if (found.name === name) return found.id;
    throw new SkyError(
      "invalid_argument",
      `Idempotency key '${idempotencyKey}' belongs to '${found.name}' request ${found.id} already`,
      { hint: "Use a new key for every request" },
    );
  }

  async #targets(filter: CancelFilter): Promise<Entry[]> {
    if ("ids" in filter) {
      // All are looked up before any is cancelled: an ambiguous prefix cancels nothing.
      const ids = await this.#reading.ids(filter.ids);
      return ids.map((id) => this.#schedule.open.get(id)).filter((entry) => entry !== undefined);
    }
    return [...this.#schedule.open.values()].filter((entry) =>
      !entry.control && ("all" in filter || entry.userId === filter.userId)
    );
  }
}
