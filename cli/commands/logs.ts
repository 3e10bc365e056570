/** `sky logs`: a job's log, its status, its download, or the log of provisioning (cli.md §3.5). */
import { jobExitCode, type JobStatus } from "../../core/job.ts";
import { userHome } from "../../core/paths.ts";
import type { Sky } from "../../sdk/client.ts";
import type { Command, Input, Io } from "../command.ts";
import { ask, followJob, streaming } from "../follow.ts";
import { CONFIG } from "../options.ts";
import { usage } from "../parse.ts";

const DEFAULT_TAIL = 1000;
const NOT_FOUND = 102;

export const command: Command = {
  name: "logs",
  summary: "Tail the log of a job.",
  help:
    "Tail the log of a job of a cluster: the last one, or the one with the given id. The exit code tells how " +
    "the job ended: 0 succeeded, 100 failed, 101 not finished, 102 not found, 103 cancelled.",
  examples: [
    "sky logs my-cluster",
    "sky logs my-cluster 2 --tail 100",
    "sky logs my-cluster --status",
    "sky logs my-cluster 1 2 -s",
    "sky logs my-cluster --provision",
  ],
  args: [
    { name: "CLUSTER", required: false, many: false, complete: "cluster" },
    { name: "JOB_IDS", required: false, many: true },
  ],
  options: [
    { name: "provision", kind: "flag", help: "Show the log of provisioning the cluster." },
    { name: "worker", short: "w", kind: "int", help: "With --provision: only this worker, from 1." },
    { name: "sync-down", short: "s", kind: "flag", help: "Download the logs of the jobs instead." },
    { name: "status", kind: "flag", help: "Only show the status of the job." },
    { name: "follow", kind: "pair", help: "Go on until the job ends.  [default: follow]" },
    {
      name: "tail",
      kind: "int",
      help: "Begin with this many last lines; 0 for all.  [default: 1000 when following, else all]",
    },
    ...CONFIG,
  ],
  run,
};

async function run(io: Io, input: Input): Promise<number> {
  const [cluster, ...jobs] = input.args;
  if (cluster === undefined) throw usage("Missing argument 'CLUSTER'.");
  checkCombinations(input, jobs);
  if (input.flag("provision")) return await provisionLog(io, input, cluster);
  const [job] = jobs;
  if (input.flag("sync-down")) return await download(io, cluster, jobs);
  if (jobs.length > 1) {
    throw usage(
      `Cannot stream logs of multiple jobs (IDs: ${jobs.join(", ")}).\n` +
        "Pass -s/--sync-down to download the logs instead.",
    );
  }
  if (job !== undefined && !/^\d+$/.test(job)) throw usage(`Invalid job ID ${job}. Job ID must be integers.`);
  const jobId = job === undefined ? null : Number(job);
  const sky = await io.sky();
  if (input.flag("status")) return await showStatus(io, sky, { cluster, jobId });
  return await tail(io, sky, { cluster, jobId, input });
}

function checkCombinations(input: Input, jobs: readonly string[]): void {
  const worker = input.int("worker");
  const provision = input.flag("provision");
  if (worker !== undefined && !provision) throw usage("--worker can only be used with --provision.");
  if (worker !== undefined && worker < 1) throw usage("--worker must be a positive integer.");
  const jobOptions = input.flag("sync-down") || input.flag("status") || jobs.length > 0;
  if (provision && jobOptions) {
    throw usage("--provision cannot be combined with job log options (--sync-down/--status/job IDs).");
  }
  if (input.flag("sync-down") && input.flag("status")) {
    throw usage(
      "Both --sync_down and --status are specified (ambiguous). To fix: specify at most one of them.",
    );
  }
}

async function provisionLog(io: Io, input: Input, cluster: string): Promise<number> {
  const sky = await io.sky();
  const worker = input.int("worker");
  const request = {
    cluster_name: cluster,
    ...(worker === undefined ? {} : { worker }),
    follow: input.pair("follow") ?? true,
    tail: input.int("tail") ?? 0,
  };
  await streaming(io, (sink, signal) => sky.provisionLogs(request, sink, { signal }));
  return 0;
}

interface Job {
  readonly cluster: string;
  readonly jobId: number | null;
}

async function tail(io: Io, sky: Sky, { cluster, jobId, input }: Job & { input: Input }): Promise<number> {
  const { out } = io;
  const follow = input.pair("follow") ?? true;
  const lines = input.int("tail");
  if (follow && lines === undefined) {
    out.error(
      `Showing the last ${DEFAULT_TAIL} lines (default). Pass --tail 0 to print the entire log.`,
    );
  }
  const which = jobId === null ? "the last job" : `job ${jobId}`;
  out.line(out.style.yellow(`Tailing logs of ${which} on cluster '${cluster}'...`));
  return await followJob(io, sky, {
    cluster,
    jobId,
    follow,
    tail: lines ?? (follow ? DEFAULT_TAIL : 0),
  });
}

async function showStatus(io: Io, sky: Sky, { cluster, jobId }: Job): Promise<number> {
  const { out } = io;
  const job_ids = jobId === null ? null : [jobId];
  const [first] = Object.entries(await ask(io, sky, "jobStatus", { cluster_name: cluster, job_ids }));
  if (first === undefined && jobId === null) {
    out.line(out.style.red(`No job found on cluster '${cluster}'.`));
    return NOT_FOUND;
  }
  const [shown, status] = first ?? [String(jobId), null];
  out.line(`Job ${shown}: ${status ?? "None"}`);
  if (status === null) {
    out.line(out.style.red(`Job ${shown} not found`));
    return NOT_FOUND;
  }
  return jobExitCode(status as JobStatus);
}

async function download(io: Io, cluster: string, jobs: readonly string[]): Promise<number> {
  const { out } = io;
  const sky = await io.sky();
  out.spinner("[bold cyan]Downloading logs[/]");
  const paths = await sky.fetchLogs({ cluster_name: cluster, job_ids: jobs.length > 0 ? [...jobs] : null });
  out.spinner(null);
  const home = userHome(io.env);
  for (const [job, path] of Object.entries(paths)) {
    const shown = path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path;
    out.line(out.style.cyan(`Job ${job} logs: ${shown}`));
  }
  if (Object.keys(paths).length === 0) {
    out.line(out.style.red(`No job found on cluster '${cluster}'.`));
    return NOT_FOUND;
  }
  return 0;
}
