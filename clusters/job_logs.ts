/** Reading the logs of jobs (domain.md §5.9): follow from any byte, the last lines, exit codes, copies to take away. */
import { join } from "@std/path";
import type { ClusterRecord } from "../core/cluster.ts";
import type { Context } from "../core/context.ts";
import { isSkyError, SkyError } from "../core/errors.ts";
import { isJobOver, jobExitCode, type JobRecord } from "../core/job.ts";
import { matchesGlob } from "../core/names.ts";
import type { LogFile, LogReader } from "../state/log_file.ts";
import { readerOf, streamOf } from "../state/log_follow.ts";
import { cloudContext, cloudOf } from "./asker.ts";
import { needCluster, needUp } from "./find.ts";
import { jobFolder } from "./folders.ts";
import { logPath } from "./merge.ts";
import type { Room } from "./room.ts";
import { lastLines } from "./tail.ts";

export interface FollowOptions {
  /** Byte of the log to begin at; null: as `tail` says. */
  readonly offset: number | null;
  /** Last lines to begin with; 0 for all. */
  readonly tail: number;
  /** Go on until the job is over; otherwise end where the log ends now. */
  readonly follow: boolean;
}

export interface FollowedJob {
  /** Null when there is no such job. */
  readonly job: JobRecord | null;
  /** Offset in the log of the first byte that `reader` gives. */
  readonly offset: number;
  readonly reader: LogReader;
  /** The reader as a stream. Use one of the two. */
  readonly log: ReadableStream<Uint8Array>;
  /** Settles when the log has ended: 0, 100 to 103 (cli.md §1.3). */
  readonly exitCode: Promise<number>;
}

/** `jobId` null: the latest. An unknown job is told in the log. Throws cluster_not_found, cluster_not_up. */
export async function followJob(
  clusterName: string,
  jobId: number | null,
  options: FollowOptions,
  ctx: Context,
  room: Room,
): Promise<FollowedJob> {
  const cluster = await needCluster(clusterName, ctx, room);
  needUp(cluster, "Tailing logs");
  const job = jobId === null
    ? await room.jobs.latest(cluster.hash)
    : await room.jobs.get(cluster.hash, jobId);
  if (job === null) {
    const text = jobId === null
      ? "Skip streaming logs as no job has been submitted."
      : `Job ${jobId} not found (see \`sky queue\`).`;
    return told(text, { job, exitCode: jobExitCode(null) });
  }
  const path = logPath(jobFolder(cluster.hash, job.id, room));
  const log = room.logs.open(path, { ended: isJobOver(job.status) });
  if (isJobOver(job.status) && log.size() === 0) {
    const text = `ERROR: Logs for job ${job.id} (status: ${job.status}) does not exist.`;
    return told(text, { job, exitCode: jobExitCode(job.status) });
  }
  // The line that says how it ended is the viewer's, not one of the job's (domain.md §5.9).
  const tail = options.tail + (isJobOver(job.status) ? 1 : 0);
  const offset = options.offset ?? (options.tail > 0 ? await lastLines(path, tail) : 0);
  return read(job, log, { offset, follow: options.follow, signal: ctx.signal, room });
}

function read(
  job: JobRecord,
  log: LogFile,
  options: { offset: number; follow: boolean; signal: AbortSignal; room: Room },
): FollowedJob {
  const { offset, room } = options;
  const end = options.follow ? Infinity : log.size();
  const ended = Promise.withResolvers<number>();
  // Nobody has to ask for the code.
  ended.promise.catch(() => {});
  const source = log.reader({ offset, signal: options.signal });
  let at = offset;
  const finish = async (): Promise<null> => {
    source.leave();
    try {
      const now = await room.jobs.get(job.clusterHash, job.id);
      const over = now === null || isJobOver(now.status);
      ended.resolve(!options.follow && !over ? 0 : jobExitCode(now?.status ?? "FAILED_DRIVER"));
    } catch (error) {
      ended.reject(error);
    }
    return null;
  };
  const given = (bytes: Uint8Array | null) => {
    if (bytes === null) return finish();
    const wanted = bytes.length <= end - at ? bytes : bytes.subarray(0, end - at);
    at += wanted.length;
    return wanted;
  };
  const reader: LogReader = {
    take(wake) {
      if (at >= end) return finish();
      const taken = source.take(wake);
      return taken === undefined ? undefined : taken instanceof Promise ? taken.then(given) : given(taken);
    },
    leave: () => void finish(),
  };
  return followed(reader, { job, offset, exitCode: ended.promise });
}

function followed(
  reader: LogReader,
  about: { job: JobRecord | null; offset: number; exitCode: Promise<number> },
): FollowedJob {
  return {
    ...about,
    reader,
    get log() {
      return streamOf(reader);
    },
  };
}

function told(text: string, answer: { job: JobRecord | null; exitCode: number }): FollowedJob {
  const stream = ReadableStream.from([new TextEncoder().encode(`${text}\n`)]);
  return followed(readerOf(stream), {
    job: answer.job,
    offset: 0,
    exitCode: Promise.resolve(answer.exitCode),
  });
}

/**
 * Copies of job logs below `targetDir`, which the caller owns: `<cluster>/<log dir>/run.log` and `tasks/`. Ids may be
 * globs; null: the latest job. Job id → directory. Throws cluster_not_found, cluster_not_up.
 */
export async function downloadLogs(
  clusterName: string,
  options: { jobIds: readonly string[] | null; targetDir: string },
  ctx: Context,
  room: Room,
): Promise<Record<string, string>> {
  const cluster = await needCluster(clusterName, ctx, room);
  needUp(cluster, "Tailing logs");
  const jobs = await chosenJobs(cluster, options.jobIds, room);
  if (jobs.length === 0) {
    ctx.log.line("No matching jobs found to download logs from.");
    return {};
  }
  const found: Record<string, string> = {};
  for (const job of jobs) {
    const target = join(options.targetDir, cluster.name, job.logDir);
    await downloadJob(cluster, { job, target }, ctx, room);
    found[String(job.id)] = target;
  }
  return found;
}

async function chosenJobs(
  cluster: ClusterRecord,
  ids: readonly string[] | null,
  room: Room,
): Promise<JobRecord[]> {
  if (ids === null || ids.length === 0) {
    const latest = await room.jobs.latest(cluster.hash);
    return latest === null ? [] : [latest];
  }
  const all = await room.jobs.list(cluster.hash);
  return all.filter((job) => ids.some((id) => matchesGlob(id, String(job.id))));
}

async function downloadJob(
  cluster: ClusterRecord,
  options: { job: JobRecord; target: string },
  ctx: Context,
  room: Room,
): Promise<void> {
  const { job, target } = options;
  if (cluster.handle === null) throw new SkyError("internal", `Cluster '${cluster.name}' has no handle`);
  await Deno.mkdir(target, { recursive: true, mode: 0o700 });
  const cloud = await cloudOf(cluster, room);
  const runners = cloud.runners(cluster.handle, cloudContext(cloud, ctx, room));
  for (const [i, runner] of runners.entries()) {
    // Every node has a tasks/setup.log: those of workers go aside, the rest has the rank in its name.
    const place = i === 0 ? target : join(target, `worker${i}`);
    try {
      await runner.download(`~/sky_logs/${job.logDir}`, place, { signal: ctx.signal });
    } catch (error) {
      // A job that ran on other nodes only, or never, has nothing here.
      if (!isSkyError(error, "file_not_found")) throw error;
    }
  }
  const merged = logPath(jobFolder(cluster.hash, job.id, room));
  await Deno.copyFile(merged, join(target, "run.log")).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // not a line yet
  });
}
