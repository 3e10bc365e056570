/** `sky jobs queue`: managed jobs (cli.md §6.2). The table is jobs_table.ts's. */
import type { ManagedJobsView } from "../../api/checks.ts";
import { isSkyError, SkyError } from "../../core/errors.ts";
import type { Command, Input, Io } from "../command.ts";
import { ask } from "../follow.ts";
import { ALL_USERS, CONFIG, OUTPUT, VERBOSE } from "../options.ts";
import { usage } from "../parse.ts";
import { QUEUE_FIELDS, USER_FIELDS, VERBOSE_FIELDS } from "./jobs_fields.ts";
import { jobsText } from "./jobs_table.ts";

const DEFAULT_LIMIT = 50;
const STATUSES = [
  "PENDING",
  "SUBMITTED",
  "STARTING",
  "RUNNING",
  "WINDING_DOWN",
  "RECOVERING",
  "CANCELLING",
  "SUCCEEDED",
  "CANCELLED",
  "FAILED",
  "FAILED_SETUP",
  "FAILED_PRECHECKS",
  "FAILED_NO_RESOURCE",
  "FAILED_CONTROLLER",
];

export const queue: Command = {
  name: "queue",
  summary: "Show managed jobs.",
  help: "Show managed jobs, newest first.",
  examples: [
    "sky jobs queue",
    "sky jobs queue --skip-finished",
    "sky jobs queue -u -l 10",
    "sky jobs queue -o json",
  ],
  args: [],
  options: [
    ...VERBOSE,
    { name: "limit", short: "l", kind: "int", help: "How many jobs to show at most.  [default: 50]" },
    { name: "refresh", short: "r", kind: "flag", help: "Restart the jobs controller if it is stopped." },
    { name: "skip-finished", kind: "flag", help: "Show only jobs in progress." },
    {
      name: "status",
      short: "s",
      kind: "text",
      repeat: true,
      metavar: "STATUS",
      help: "Only jobs with this status. Repeatable; several may be joined by commas.",
    },
    ...ALL_USERS,
    { name: "all", short: "a", kind: "flag", help: "Show all jobs." },
    ...OUTPUT,
    ...CONFIG,
  ],
  run,
};

async function run(io: Io, input: Input): Promise<number> {
  const { out } = io;
  const json = input.text("output") === "json";
  const users = input.flag("all-users");
  const verbose = input.flag("verbose");
  const statuses = readStatuses(input);
  const limit = input.flag("all") ? null : input.int("limit") ?? DEFAULT_LIMIT;
  const skipFinished = input.flag("skip-finished");
  const sky = await io.sky();
  if (!json) out.line("Fetching managed job statuses...");
  const none = "No in-progress managed jobs.";
  let view: ManagedJobsView;
  try {
    view = await ask(io, sky, "managedJobs", {
      refresh: input.flag("refresh"),
      skip_finished: skipFinished,
      all_users: users,
      // The statuses are picked here, so nothing may be cut before.
      limit: statuses.length > 0 ? null : limit,
      fields: [...QUEUE_FIELDS, ...(verbose ? VERBOSE_FIELDS : []), ...(users ? USER_FIELDS : [])],
    });
  } catch (error) {
    if (!isSkyError(error, "cluster_not_up")) throw error;
    if (json) throw new SkyError("cluster_not_up", none, { cause: error });
    // A stopped controller says how it is woken; a missing one means that nothing was ever run.
    const stopped = error.message.includes("sky jobs queue --refresh");
    out.line(stopped ? error.message : `${none} (See: ${out.style.bold("sky jobs -h")})`);
    return 0;
  }
  const matching = statuses.length > 0
    ? view.jobs.filter((job) => statuses.includes(String(job["status"])))
    : view.jobs;
  const jobs = latest(matching, limit);
  if (json) {
    out.json(jobs);
    return 0;
  }
  if (jobs.length === 0) {
    out.line(`${none} (See: ${out.style.bold("sky jobs -h")})`);
    return 0;
  }
  out.line(`Managed jobs${skipFinished ? " (showing in-progress jobs only)" : ""}`);
  out.line(jobsText({ ...view, jobs }, { users, verbose, now: io.now() }));
  const total = statuses.length > 0 ? idsOf(matching).length : view.total;
  if (limit !== null && total > limit) {
    const how = "(use --limit to show more managed jobs or --all to show all managed jobs)";
    out.line(out.style.cyan(`Only showing the latest ${limit} managed jobs ${how}  `));
  }
  return 0;
}

function idsOf(jobs: readonly Record<string, unknown>[]): number[] {
  return [...new Set(jobs.map((job) => Number(job["job_id"])))].toSorted((a, b) => b - a);
}

/** A job has a record per task: the limit is on jobs. */
function latest(jobs: Record<string, unknown>[], limit: number | null): Record<string, unknown>[] {
  if (limit === null) return jobs;
  const kept = new Set(idsOf(jobs).slice(0, limit));
  return jobs.filter((job) => kept.has(Number(job["job_id"])));
}

function readStatuses(input: Input): string[] {
  const given = input.texts("status").flatMap((text) => text.split(",")).map((word) =>
    word.trim().toUpperCase()
  );
  const unknown = given.find((word) => !STATUSES.includes(word));
  if (unknown === undefined) return given;
  const choices = STATUSES.map((status) => `'${status}'`).join(", ");
  throw usage(`Invalid value for '--status' / '-s': '${unknown}' is not one of ${choices}.`);
}
