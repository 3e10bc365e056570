/**
 * The job queue of one cluster, alive: looks after every job that is not over, places them strictly in order
 * (domain.md §5.4), starts their drivers and cancels them. Keepers live with the server, not with a request; jobs
 * outlive both. Leaves the arithmetic to queue.ts, a placed job to drive.ts. Length: all of it shares one queue.
 */
import { join } from "@std/path";
import type { Cloud, CloudContext, CommandRunner, NodeCapacity } from "../clouds/cloud.ts";
import type { ClusterRecord } from "../core/cluster.ts";
import { SkyError } from "../core/errors.ts";
import type { JobRecord } from "../core/job.ts";
import type { ClusterStore } from "../state/clusters.ts";
import type { JobStore } from "../state/jobs.ts";
import type { LogFiles } from "../state/log_file.ts";
import { Again } from "./again.ts";
import { Driver, endedBy, type EndWish, endWish, finishJob, markEnd } from "./drive.ts";
import { rereadFrom } from "./gang.ts";
import { noteWaiting } from "./job_notes.ts";
import { jobNodes, type JobPlace } from "./job_spec.ts";
import { JobLog, logPath } from "./merge.ts";
import { demandOf, type Held, place, shareOf } from "./queue.ts";
import { orAborted, patiently, quiet } from "./waiting.ts";

export interface KeeperOptions {
  readonly cluster: ClusterRecord;
  readonly cloud: Cloud;
  readonly cloudContext: (signal: AbortSignal) => CloudContext;
  readonly clusters: ClusterStore;
  readonly jobs: JobStore;
  readonly logs: LogFiles;
  /** Holds a folder per job of this incarnation. */
  readonly folder: string;
  now(): number;
  /** Told what went wrong where nobody waits for an answer. */
  onFault(error: unknown, what: string): void;
  failpoint(name: string): void;
}

interface Entry {
  job: JobRecord;
  readonly log: JobLog;
  held: Held | null;
  driver: Driver | null;
  /** Resolves when the job's status is final. */
  readonly final: PromiseWithResolvers<void>;
  /** Resolves when the job is over and its log complete, rejects when the keeper lets go of it. */
  readonly over: PromiseWithResolvers<void>;
}

export class JobKeeper {
  readonly #options: KeeperOptions;
  readonly #life = new AbortController();
  readonly #entries = new Map<number, Entry>();
  readonly #runners: readonly CommandRunner[];
  #turn: Promise<void> = Promise.resolve();
  #capacity: readonly NodeCapacity[] | null = null;
  #place: JobPlace | null = null;
  #closing = false;
  #loaded = false;
  /** Finds jobs again that were lost. */
  readonly #again: Again;

  constructor(options: KeeperOptions) {
    const { cluster, cloud } = options;
    if (cluster.handle === null) throw new Error(`cluster ${cluster.name} has no handle yet`);
    this.#options = options;
    this.#runners = cloud.runners(cluster.handle, options.cloudContext(this.#life.signal));
    this.#again = new Again({
      what: `the jobs of cluster ${cluster.name}`,
      signal: this.#life.signal,
      isDone: () => this.#loaded,
      attempt: () => this.wake(),
      onFault: options.onFault,
    });
  }

  /** Look after every job that is not over and place what fits. Resolves when that is done; jobs go on by themselves. */
  async wake(options: { signal?: AbortSignal } = {}): Promise<void> {
    const looking = this.#alone(async () => {
      await this.#adoptAll();
      await this.#placeWaiting();
    });
    await (options.signal === undefined ? looking : orAborted(looking, options.signal));
  }

  /** A job was submitted: it joins the end of the queue. The rows are read once only, at the first wake. */
  async add(job: JobRecord, options: { signal: AbortSignal }): Promise<void> {
    const adding = this.#alone(async () => {
      await this.#adoptAll();
      // A resumed request's job may have been looked after, and be over, for long.
      const [current] = await this.#options.jobs.list(job.clusterHash, { ids: [job.id], active: true });
      if (current !== undefined) await this.#adopt(current);
      await this.#placeWaiting();
    });
    await orAborted(adding, options.signal);
  }

  /**
   * End jobs; which ones that ended, the others were over. Resolves when their processes are proven dead and their
   * status is written; goes on doing so if `signal` stops the waiting.
   */
  async end(ids: readonly number[], options: { wish: EndWish; signal: AbortSignal }): Promise<number[]> {
    return await orAborted(this.#end(ids, options.wish), options.signal);
  }

  /** End every job and place none any more: the cluster goes away. Resolves as `end` does. */
  async endAll(options: { signal: AbortSignal }): Promise<void> {
    this.#closing = true;
    await orAborted(this.#end(null, "cluster"), options.signal);
  }

  /** Let go of everything; jobs run on. Resolves when no loop of ours is left. */
  async release(): Promise<void> {
    const reason = new SkyError("request_interrupted", "The server lets go of this cluster");
    this.#life.abort(reason);
    await this.#turn;
    for (const entry of [...this.#entries.values()]) {
      if (entry.driver === null) await this.#lost(entry, reason);
    }
    await Promise.allSettled([...this.#entries.values()].map((entry) => entry.over.promise));
    await this.#again.ended();
  }

  async #end(ids: readonly number[] | null, wish: EndWish): Promise<number[]> {
    const entries = await this.#alone(async () => {
      await this.#adoptAll();
      const wanted = [...this.#entries.values()].filter((entry) => ids?.includes(entry.job.id) ?? true);
      const marked = new Set<Entry>();
      // All are marked before one is ended, or its place would go to the next that is to be ended.
      for (const entry of wanted) if (await markEnd(entry.log, wish)) marked.add(entry);
      for (const entry of marked) {
        if (entry.driver === null) this.#endWaiting(entry);
      }
      await this.#placeWaiting();
      return wanted.map((entry) => ({ entry, alive: marked.has(entry) && entry.driver !== null }));
    });
    await Promise.all(entries.flatMap(({ entry, alive }) => [
      alive ? entry.driver?.kill() : undefined,
      Promise.race([entry.final.promise, entry.over.promise]),
    ]));
    const { cluster, jobs } = this.#options;
    const rows = await jobs.list(cluster.hash, { ids: entries.map(({ entry }) => entry.job.id) });
    return rows.filter((job) => job.status === endedBy(job, wish).status).map((job) => job.id);
  }

  async #adoptAll(): Promise<void> {
    if (this.#loaded) return;
    try {
      const rows = await this.#options.jobs.list(this.#options.cluster.hash, { active: true });
      for (const job of rows) await this.#adopt(job);
      this.#loaded = true;
    } catch (error) {
      this.#again.begin();
      throw error;
    }
  }

  async #adopt(job: JobRecord): Promise<void> {
    const known = this.#entries.get(job.id);
    if (known !== undefined) return;
    const signal = this.#life.signal;
    const folder = join(this.#options.folder, String(job.id));
    const reread = rereadFrom(this.#runners, { logDir: job.logDir, signal });
    const log = await JobLog.open({ folder, logs: this.#options.logs, reread, signal });
    const held = heldBy(job, this.#demand(job).gpus);
    const entry: Entry = { job, log, held, driver: null, final: quiet(), over: quiet() };
    this.#entries.set(job.id, entry);
    // Not waited for: on a full disk its lines are, and the queue must still hear who is to be cancelled.
    const noted = noteWaiting(log, job.numNodes).then(() => entry.driver === null ? log.rest() : undefined);
    noted.catch((error) => {
      if (entry.driver === null) return this.#lost(entry, error);
      if (!this.#life.signal.aborted) {
        this.#options.onFault(error, `the log of job ${job.id} on ${this.#name}`);
      }
    });
    if (entry.held !== null) await this.#drive(entry, folder);
    else if (endWish(log) !== null) this.#endWaiting(entry);
  }

  /** First in, first out: whoever is first in the queue blocks everybody behind. */
  async #placeWaiting(): Promise<void> {
    // One that was lost and found again is where it was.
    const queue = [...this.#entries.values()].sort((a, b) => a.job.id - b.job.id);
    for (const entry of this.#closing ? [] : queue) {
      if (entry.driver !== null || endWish(entry.log) !== null) continue;
      this.#capacity ??= await this.#ask((ctx) => this.#options.cloud.capacity(this.#handle, ctx));
      const placement = place(this.#demand(entry.job), this.#capacity, this.#allHeld());
      if (placement === null) return;
      const status = hasSetup(entry.job) ? "SETTING_UP" : "RUNNING";
      const startedAt = status === "RUNNING" ? this.#options.now() : null;
      const changes = { status, ...placement, startedAt } as const;
      if (!await this.#options.jobs.update(entry.job, changes, { from: ["INIT", "PENDING"] })) {
        await this.#drop(entry);
        continue;
      }
      entry.job = { ...entry.job, ...changes };
      entry.held = heldBy(entry.job, this.#demand(entry.job).gpus);
      await this.#drive(entry, join(this.#options.folder, String(entry.job.id)));
    }
  }

  async #drive(entry: Entry, folder: string): Promise<void> {
    const { jobs, now, failpoint } = this.#options;
    const signal = this.#life.signal;
    let where: JobPlace;
    try {
      where = await this.#whereabouts();
    } catch (error) {
      await this.#lost(entry, error);
      throw error;
    }
    entry.driver = new Driver(entry.job, {
      place: where,
      jobs,
      log: entry.log,
      logPath: logPath(folder),
      signal,
      now,
      failpoint,
      onFinal: () => {
        entry.final.resolve();
        this.#free(entry);
      },
    });
    entry.driver.run().then(() => this.#over(entry), (error) => this.#lost(entry, error));
  }

  /** Its status is final: the next in line need not wait until it is tidied up. */
  #free(entry: Entry): void {
    entry.held = null;
    const { cluster, clusters, now } = this.#options;
    const looking = clusters.update(cluster, { lastActiveAt: now() }).then(() => this.wake());
    looking.catch((error) => {
      if (!this.#life.signal.aborted) this.#options.onFault(error, `the queue of cluster ${this.#name}`);
    });
  }

  #over(entry: Entry): void {
    this.#again.reset();
    this.#entries.delete(entry.job.id);
    entry.over.resolve();
  }

  /** Nobody looks after it now: that is told, and mended before long. */
  async #lost(entry: Entry, error: unknown): Promise<void> {
    if (!this.#entries.delete(entry.job.id)) return;
    this.#loaded = false;
    const leaving = this.#life.signal.aborted;
    try {
      await entry.log[Symbol.asyncDispose]();
    } catch (cause) {
      // The bytes that did not reach the disk are computed again from the nodes' outputs at the next start.
      if (!leaving) this.#again.tell(cause, `the log of job ${entry.job.id} on ${this.#name}`);
    }
    if (!leaving) this.#again.tell(error, `job ${entry.job.id} on cluster ${this.#name}`);
    entry.over.reject(error);
    this.#again.begin();
  }

  /** Ended before it got a node. */
  #endWaiting(entry: Entry): void {
    const { jobs, now } = this.#options;
    const end = endedBy(entry.job, endWish(entry.log) ?? "cancel");
    const onFinal = () => entry.final.resolve();
    const ending = finishJob(entry.job, { ...end, jobs, log: entry.log, now, onFinal });
    ending.then(() => this.#over(entry), (error) => this.#lost(entry, error));
  }

  async #drop(entry: Entry): Promise<void> {
    this.#entries.delete(entry.job.id);
    await entry.log.end();
    entry.over.resolve();
  }

  async #whereabouts(): Promise<JobPlace> {
    if (this.#place !== null) return this.#place;
    const infos = await this.#ask((ctx) => this.#options.cloud.inspect(this.#handle, ctx));
    const { cluster, cloud } = this.#options;
    this.#place = { cluster, cloudName: cloud.displayName, nodes: jobNodes(this.#runners, infos) };
    return this.#place;
  }

  #ask<T>(question: (ctx: CloudContext) => Promise<T>): Promise<T> {
    const signal = this.#life.signal;
    return patiently(() => question(this.#options.cloudContext(signal)), { signal });
  }

  #allHeld(): Held[] {
    return [...this.#entries.values()].flatMap((entry) => entry.held ?? []);
  }

  #demand(job: JobRecord) {
    return demandOf(job, this.#options.cluster.resources);
  }

  get #handle() {
    const { handle } = this.#options.cluster;
    if (handle === null) throw new Error("unreachable: checked by the constructor");
    return handle;
  }

  get #name(): string {
    return this.#options.cluster.name;
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(() => {
      this.#life.signal.throwIfAborted();
      return work();
    });
    // The caller sees the failure; the next in line must not.
    this.#turn = result.then(() => {}, () => {});
    return result;
  }
}

/** What a placed job holds; null for one that waits. */
function heldBy(job: JobRecord, gpus: number): Held | null {
  if (job.nodes.length === 0) return null;
  return { nodes: job.nodes, gpus: job.gpus, share: shareOf(gpus) };
}

function hasSetup(job: JobRecord): boolean {
  return (JSON.parse(job.spec) as { setup: string | null }).setup !== null;
}
