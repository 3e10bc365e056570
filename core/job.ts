/** Cluster jobs: record, statuses, exit codes (domain.md §5.2, §5.3, §5.9). Pure. */

export type JobStatus =
  | "INIT"
  | "PENDING"
  | "SETTING_UP"
  | "RUNNING"
  | "FAILED_DRIVER"
  | "SUCCEEDED"
  | "FAILED"
  | "FAILED_SETUP"
  | "CANCELLED";

const ACTIVE: readonly JobStatus[] = ["INIT", "PENDING", "SETTING_UP", "RUNNING"];

export function isJobOver(status: JobStatus): boolean {
  return !ACTIVE.includes(status);
}

/** Times are unix milliseconds; job ids start at 1 per cluster incarnation. */
export interface JobRecord {
  readonly clusterHash: string;
  readonly id: number;
  readonly name: string | null;
  readonly userId: string;
  readonly userName: string;
  readonly status: JobStatus;
  readonly submittedAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** Demand text, e.g. `1x[CPU:1+]`. */
  readonly resources: string;
  readonly numNodes: number;
  /** Accelerators demanded per node, null for none. */
  readonly accelerators: Readonly<Record<string, number>> | null;
  /** Everything needed to start it: scripts, env (holds secrets), setup yes or no. JSON. */
  readonly spec: string;
  /** Node indexes it got, rank order; empty before it was placed. */
  readonly nodes: readonly number[];
  /** GPU indexes per node of `nodes`. */
  readonly gpus: readonly (readonly number[])[];
  /** Exit codes in gang order, null while unknown. */
  readonly exitCodes: readonly (number | null)[];
  /** Directory name below `~/sky_logs`, e.g. `1-train`. */
  readonly logDir: string;
  /** The request that submitted it: a resumed request finds its job by this. */
  readonly requestId: string;
  readonly gitCommit: string | null;
}

/** 0 ok, 100 failed, 101 not finished, 102 not found, 103 cancelled (cli.md §1.3). */
export function jobExitCode(status: JobStatus | null): number {
  if (status === null) return 102;
  if (!isJobOver(status)) return 101;
  if (status === "SUCCEEDED") return 0;
  return status === "CANCELLED" ? 103 : 100;
}
