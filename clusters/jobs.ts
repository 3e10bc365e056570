/** The verbs about a cluster's jobs: queue, status, cancel (domain.md §5.10, §5.11). Leaves doing to keeper.ts. */
import { yellow } from "../core/ansi.ts";
import type { ClusterRecord } from "../core/cluster.ts";
import type { Context } from "../core/context.ts";
import { isSkyError } from "../core/errors.ts";
import type { JobRecord, JobStatus } from "../core/job.ts";
import { endedBy, endWish, finishJob } from "./drive.ts";
import { needCluster, needUp } from "./find.ts";
import { JobLog } from "./merge.ts";
import { jobFolder } from "./folders.ts";
import type { Room } from "./room.ts";

/** How long the logs of jobs on machines that are gone may wait for space on a full disk, each and all. */
const ABANDON_MS = 10_000;

/** Jobs of a cluster, newest first. Throws cluster_not_found, cluster_not_up. */
export async function jobQueue(
  clusterName: string,
  options: { skipFinished: boolean; allUsers: boolean },
  ctx: Context,
  room: Room,
): Promise<JobRecord[]> {
  const cluster = await needCluster(clusterName, ctx, room);
  needUp(cluster, "Getting the job queue");
  const jobs = await room.jobs.list(cluster.hash, {
    ...(options.allUsers ? {} : { userId: ctx.user.id }),
    ...(options.skipFinished ? { active: true } : {}),
  });
  return jobs.reverse();
}

/** Job id → status, null for unknown ids; `jobIds` null: the latest job, nothing if there is none. */
export async function jobStatus(
  clusterName: string,
  jobIds: readonly number[] | null,
  ctx: Context,
  room: Room,
): Promise<Record<string, JobStatus | null>> {
  const cluster = await needCluster(clusterName, ctx, room);
  needUp(cluster, "Getting job status");
  if (jobIds === null) {
    const latest = await room.jobs.latest(cluster.hash);
    return latest === null ? {} : { [latest.id]: latest.status };
  }
  const jobs = await room.jobs.list(cluster.hash, { ids: jobIds });
  const statuses = new Map(jobs.map((job) => [job.id, job.status]));
  return Object.fromEntries(jobIds.map((id) => [String(id), statuses.get(id) ?? null]));
}

export interface CancelOptions {
  readonly jobIds: readonly number[] | null;
  /** All jobs of the caller. */
  readonly all: boolean;
  readonly allUsers: boolean;
}

/** Ids of the jobs that this ended; their processes are proven dead. Default: the caller's latest running job. */
export async function cancelJobs(
  clusterName: string,
  options: CancelOptions,
  ctx: Context,
  room: Room,
): Promise<number[]> {
  const cluster = await needCluster(clusterName, ctx, room);
  needUp(cluster, "Cancelling jobs");
  // Chosen once: a resumed cancel must not take the job that has become the latest meanwhile.
  const ids = await ctx.step("choose jobs", async () => {
    ctx.log.line(yellow(`Cancelling ${chosenText(options)} on cluster '${clusterName}'...`));
    return chooseJobs(await room.jobs.list(cluster.hash, { active: true }), options, ctx.user.id);
  });
  return await ctx.step("cancel jobs", async () => {
    const keeper = await room.keepers.of(cluster);
    const ended = await keeper.end(ids, { wish: "cancel", signal: ctx.signal });
    ctx.log.line(
      ended.length > 0
        ? `Cancelled job ID(s): ${ended.join(", ")}`
        : "No jobs cancelled. They may be in terminal states.",
    );
    return ended;
  });
}

function chosenText(options: CancelOptions): string {
  if (options.allUsers) return "all users' jobs";
  if (options.all) return "all your jobs";
  if (options.jobIds !== null) return `jobs (${options.jobIds.join(", ")})`;
  return "latest running job";
}

function chooseJobs(active: readonly JobRecord[], options: CancelOptions, userId: string): number[] {
  const cancellable = active.filter((job) => job.status !== "INIT");
  if (options.allUsers) return cancellable.map((job) => job.id);
  const mine = cancellable.filter((job) => job.userId === userId);
  if (options.all) return mine.map((job) => job.id);
  if (options.jobIds !== null) {
    const wanted = options.jobIds;
    return cancellable.filter((job) => wanted.includes(job.id)).map((job) => job.id);
  }
  const latest = mine.findLast((job) => job.status === "RUNNING");
  return latest === undefined ? [] : [latest.id];
}

/** Cancel every job of a cluster, letting them clean up. */
export async function cancelAll(
  cluster: ClusterRecord,
  options: { signal: AbortSignal },
  room: Room,
): Promise<void> {
  const ids = (await room.jobs.list(cluster.hash, { active: true })).map((job) => job.id);
  const keeper = await room.keepers.of(cluster);
  await keeper.end(ids, { wish: "cancel", signal: options.signal });
}

/**
 * End all jobs of a cluster whose machines are about to go, with their last lines and statuses. Machines that do not
 * answer within `patienceMs` are not waited for: their cloud kills what is left.
 */
export async function endJobs(
  cluster: ClusterRecord,
  options: { signal: AbortSignal; patienceMs: number },
  room: Room,
): Promise<void> {
  if (cluster.handle === null) return;
  if ((await room.jobs.list(cluster.hash, { active: true })).length === 0) return;
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), options.patienceMs);
  try {
    const keeper = await room.keepers.of(cluster);
    await keeper.endAll({ signal: AbortSignal.any([options.signal, patience.signal]) });
  } catch (error) {
    options.signal.throwIfAborted();
    if (!patience.signal.aborted && !isSkyError(error)) throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** End the jobs of machines that are gone: nothing runs any more, the rows and logs have to say so. */
export async function abandonJobs(clusterHash: string, room: Room): Promise<void> {
  const patience = new AbortController();
  const { signal } = patience;
  const timer = setTimeout(() => patience.abort(), ABANDON_MS);
  try {
    for (const job of await room.jobs.list(clusterHash, { active: true })) {
      const folder = jobFolder(clusterHash, job.id, room);
      const reread = () => Promise.resolve(new Uint8Array());
      await using log = await JobLog.open({ folder, logs: room.logs, reread, signal });
      const end = endedBy(job, endWish(log) ?? "cluster");
      await finishJob(job, { ...end, jobs: room.jobs, log, now: room.now, onFinal: () => {} });
    }
  } catch (error) {
    // Its rows are written first; the last lines of their logs had no space.
    if (!signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
}
