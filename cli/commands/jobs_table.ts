/** Managed jobs as a table (cli.md §6.2; records: wire.md §8.2, one per task). Pure: the asking is jobs.ts's. */
import type { ManagedJobsView } from "../../api/checks.ts";
import * as ansi from "../../core/ansi.ts";
import { duration, relativeTime } from "../../core/format.ts";
import { plainTable } from "../../core/table.ts";

const COLOURS: Readonly<Record<string, (text: string) => string>> = {
  PENDING: ansi.blue,
  SUBMITTED: ansi.blue,
  STARTING: ansi.blue,
  RUNNING: ansi.green,
  SUCCEEDED: ansi.green,
  WINDING_DOWN: ansi.cyan,
  RECOVERING: ansi.cyan,
  CANCELLING: ansi.yellow,
  CANCELLED: ansi.yellow,
};

export interface JobsTableOptions {
  readonly users: boolean;
  readonly verbose: boolean;
  /** Unix milliseconds. */
  readonly now: number;
}

type JobRow = Readonly<Record<string, unknown>>;

/** True for statuses that do not change any more. */
export function isManagedJobOver(status: string): boolean {
  return ["SUCCEEDED", "CANCELLED"].includes(status) || status.startsWith("FAILED");
}

/** The line of counts (if anything is in progress) and the table, newest job first. */
export function jobsText(view: ManagedJobsView, options: JobsTableOptions): string {
  const { jobs } = view;
  const active = jobs.map((job) => word(job["status"])).filter((status) => !isManagedJobOver(status));
  const counts = [...new Set(active)].toSorted()
    .map((status) => `${active.filter((one) => one === status).length} ${status}`);
  const top = counts.length > 0 ? `In progress tasks: ${counts.join(", ")}` : "No in-progress managed jobs.";
  return `${top}\n${jobsTable(jobs, options)}`;
}

interface Line {
  readonly id: string;
  /** `-` for a job of one task, empty in the row that sums up several. */
  readonly task: string;
  readonly job: JobRow;
  readonly status: string;
}

interface Column {
  readonly title: string;
  cell(line: Line): string;
}

function jobsTable(jobs: readonly JobRow[], options: JobsTableOptions): string {
  const columns = columnsFor(jobs, options);
  const cells = (line: Line) => columns.map((column) => column.cell(line));
  const groups = Map.groupBy(jobs, (job) => Number(job["job_id"]));
  const rows = [...groups.keys()].toSorted((a, b) => b - a).flatMap((id) => {
    const tasks = (groups.get(id) ?? []).toSorted((a, b) => Number(a["task_id"]) - Number(b["task_id"]));
    const [only] = tasks;
    if (only !== undefined && tasks.length === 1) {
      return [cells({ id: String(id), task: "-", job: only, status: painted(only) })];
    }
    const { sum, current } = aggregate(tasks);
    return [
      cells({
        id: String(id),
        task: "",
        job: sum,
        status: `${painted(current)} (task: ${current["task_id"]})`,
      }),
      ...tasks.map((job) => cells({ id: " ↳", task: String(job["task_id"]), job, status: painted(job) })),
      columns.map(() => ""),
    ];
  });
  return plainTable(columns.map((column) => column.title), rows);
}

function columnsFor(jobs: readonly JobRow[], { users, verbose, now }: JobsTableOptions): Column[] {
  const workspaces = verbose || new Set(jobs.map((job) => word(job["workspace"], "default"))).size > 1;
  const text = (title: string, key: string): Column => ({ title, cell: ({ job }) => word(job[key], "-") });
  const nameKey = (line: Line) => line.task === "-" || line.task === "" ? "job_name" : "task_name";
  return [
    { title: "ID", cell: (line) => line.id },
    { title: "TASK", cell: (line) => line.task },
    ...(workspaces ? [text("WORKSPACE", "workspace")] : []),
    { title: "NAME", cell: (line) => word(line.job[nameKey(line)], "-") },
    ...(users ? [text("USER", "user_name")] : []),
    ...(users && verbose ? [text("USER_ID", "user_hash")] : []),
    { title: "REQUESTED", cell: (line) => line.task === "" ? "-" : word(line.job["resources"], "-") },
    { title: "SUBMITTED", cell: ({ job }) => relativeTime(milliseconds(job["submitted_at"]), now) },
    {
      title: "TOT. DURATION",
      cell: ({ job }) => duration(milliseconds(job["submitted_at"]), milliseconds(job["end_at"]) ?? now),
    },
    { title: "JOB DURATION", cell: ({ job }) => spent(job["job_duration"]) },
    { title: "#RECOVERIES", cell: ({ job }) => String(job["recovery_count"] ?? 0) },
    { title: "STATUS", cell: (line) => line.status },
    { title: "PROGRESS", cell: ({ job }) => progress(job) },
    text("POOL", "pool"),
    ...(verbose
      ? [
        text("WORKER_CLUSTER", "current_cluster_name"),
        { title: "WORKER_JOB_ID", cell: ({ job }: Line) => String(job["job_id_on_pool_cluster"] ?? "-") },
        { title: "STARTED", cell: ({ job }: Line) => relativeTime(milliseconds(job["start_at"]), now) },
        text("INFRA", "infra"),
        text("RESOURCES", "cluster_resources"),
        text("SCHED. STATE", "schedule_state"),
        { title: "DETAILS", cell: ({ job }: Line) => details(job) },
        { title: "GIT_COMMIT", cell: ({ job }: Line) => gitCommit(job) },
      ]
      : []),
  ];
}

/** A job of several tasks in one row, and the task it is at: the first that is not done. */
function aggregate(tasks: readonly JobRow[]): { sum: JobRow; current: JobRow } {
  const numbers = (key: string) =>
    tasks.map((task) => task[key]).filter((value) => typeof value === "number");
  const total = (key: string) => numbers(key).reduce((sum, value) => sum + value, 0);
  const ends = numbers("end_at");
  const current = tasks.find((task) => word(task["status"]) !== "SUCCEEDED") ?? tasks.at(-1) ?? {};
  const submitted = numbers("submitted_at");
  const sum = {
    ...tasks[0],
    submitted_at: submitted.length > 0 ? Math.min(...submitted) : null,
    end_at: ends.length === tasks.length ? Math.max(...ends) : null,
    job_duration: total("job_duration"),
    recovery_count: total("recovery_count"),
    current_cluster_name: current["current_cluster_name"],
  };
  return { sum, current };
}

function painted(job: JobRow): string {
  const status = word(job["status"]);
  return (status.startsWith("FAILED") ? ansi.red : COLOURS[status] ?? String)(status);
}

function progress(job: JobRow): string {
  const total = job["batch_total_batches"];
  return typeof total === "number" && total > 0 ? `${job["batch_completed_batches"] ?? 0}/${total}` : "-";
}

function details(job: JobRow): string {
  const failure = word(job["failure_reason"]);
  const text = failure === "" ? word(job["details"], "-") : `Failure: ${failure}`;
  return text.replaceAll("\n", " ");
}

function gitCommit(job: JobRow): string {
  return word((job["metadata"] as Record<string, unknown> | null | undefined)?.["git_commit"], "-");
}

function word(value: unknown, missing = ""): string {
  return typeof value === "string" && value !== "" ? value : missing;
}

function milliseconds(seconds: unknown): number | null {
  return typeof seconds === "number" && seconds >= 0 ? seconds * 1000 : null;
}

/** A length of time in seconds; `-` while it has not begun. */
function spent(seconds: unknown): string {
  return typeof seconds === "number" && seconds > 0 ? duration(0, seconds * 1000) : "-";
}
