/** `sky queue`: the jobs of clusters (cli.md §3.4). */
import type { JobView } from "../../api/clusters.ts";
import { qualifiedName } from "../../api/errors.ts";
import * as ansi from "../../core/ansi.ts";
import { isSkyError, type SkyError } from "../../core/errors.ts";
import { duration, relativeTime } from "../../core/format.ts";
import { plainTable } from "../../core/table.ts";
import type { Sky } from "../../sdk/client.ts";
import type { Command, Input, Io } from "../command.ts";
import { ask } from "../follow.ts";
import { ALL_USERS, CONFIG, OUTPUT } from "../options.ts";
import { findClusters } from "./find_clusters.ts";

const COLOURS: Readonly<Record<string, (text: string) => string>> = {
  INIT: ansi.blue,
  PENDING: ansi.blue,
  SETTING_UP: ansi.blue,
  RUNNING: ansi.green,
  SUCCEEDED: ansi.green,
  FAILED: ansi.red,
  FAILED_SETUP: ansi.red,
  FAILED_DRIVER: ansi.red,
  CANCELLED: ansi.yellow,
};

export const command: Command = {
  name: "queue",
  summary: "Show the job queue of clusters.",
  help: "Show the jobs of clusters, newest first: of the named ones, or of all your clusters that are up.",
  examples: [
    "sky queue",
    "sky queue my-cluster",
    "sky queue my-cluster -u -s",
    "sky queue my-cluster -o json",
  ],
  args: [{ name: "CLUSTERS", required: false, many: true, complete: "cluster" }],
  options: [
    ...ALL_USERS,
    { name: "skip-finished", short: "s", kind: "flag", help: "Leave out finished jobs." },
    ...OUTPUT,
    ...CONFIG,
  ],
  run,
};

type Answer = { readonly jobs: readonly JobView[] } | { readonly error: SkyError };

async function run(io: Io, input: Input): Promise<number> {
  const { out } = io;
  const json = input.text("output") === "json";
  const allUsers = input.flag("all-users");
  // With JSON stdout is for data only.
  const say = (text: string) => json ? out.error(text) : out.line(text);
  if (!json) out.line(out.style.cyan("Fetching and parsing job queue..."));
  const sky = await io.sky();
  const names = input.args.length > 0 ? [...new Set(input.args)] : await upClusters(io, sky, allUsers);
  if (names.length === 0) {
    if (json) out.json({});
    else out.line("No clusters are up (see `sky status`).");
    return 0;
  }
  if (!json) out.line(`Fetching job queue for: ${names.join(", ")}`);
  const answers = await Promise.all(names.map((name) => jobsOf(io, sky, { name, input })));
  const found: Record<string, readonly JobView[]> = {};
  for (const [index, name] of names.entries()) {
    const answer = answers[index];
    if (answer === undefined) continue;
    if ("error" in answer) {
      say(out.style.yellow(`Failed to get the job queue for cluster '${name}'.`));
      say(`  ${qualifiedName(answer.error)}: ${answer.error.message}`);
      continue;
    }
    found[name] = answer.jobs;
    if (json) continue;
    out.line();
    out.line(`Job queue of ${allUsers ? "all users" : "current user"} on cluster ${name}`);
    out.line(queueTable(answer.jobs, io.now()));
  }
  if (json) out.json(found);
  return 0;
}

async function upClusters(io: Io, sky: Sky, allUsers: boolean): Promise<string[]> {
  const clusters = await findClusters(io, sky, { names: null, allUsers });
  return clusters.filter((cluster) => cluster.status === "UP").map((cluster) => cluster.name);
}

/** A cluster that cannot answer does not hide the others. */
async function jobsOf(io: Io, sky: Sky, { name, input }: { name: string; input: Input }): Promise<Answer> {
  try {
    const jobs = await ask(io, sky, "queue", {
      cluster_name: name,
      skip_finished: input.flag("skip-finished"),
      all_users: input.flag("all-users"),
    });
    return { jobs };
  } catch (error) {
    if (!isSkyError(error) || error.code === "aborted") throw error;
    return { error };
  }
}

const HEADER = [
  "ID",
  "NAME",
  "USER",
  "SUBMITTED",
  "STARTED",
  "DURATION",
  "RESOURCES",
  "STATUS",
  "LOG",
  "GIT COMMIT",
];

/** Newest job first. `now` in unix milliseconds. */
export function queueTable(jobs: readonly JobView[], now: number): string {
  const rows = jobs.toSorted((a, b) => b.job_id - a.job_id).map((job) => [
    String(job.job_id),
    job.job_name,
    job.username,
    relativeTime(milliseconds(job.submitted_at), now),
    relativeTime(milliseconds(job.start_at), now),
    duration(milliseconds(job.start_at), milliseconds(job.end_at) ?? now),
    job.resources,
    COLOURS[job.status]?.(job.status) ?? job.status,
    job.log_path,
    commit(job.metadata?.["git_commit"]),
  ]);
  return plainTable(HEADER, rows);
}

function milliseconds(seconds: number | null): number | null {
  return seconds === null || seconds < 0 ? null : seconds * 1000;
}

/** Servers keep the whole hash or its beginning. */
function commit(value: unknown): string {
  if (typeof value !== "string" || value === "") return "-";
  return /^[0-9a-f]{40}$/.test(value) ? value.slice(0, 7) : value;
}
