/**
 * What Slurm's job states mean to us, and how they are told to people: which are the end, which may still become
 * something, which never will. Owns these words. Pure.
 */
import { plural } from "../../core/format.ts";
import type { NodeState } from "../cloud.ts";
import type { SlurmJob } from "./facts.ts";

/** The allocation is over and never comes back. */
const ENDED: Readonly<Record<string, string>> = {
  COMPLETED: "it ended",
  CANCELLED: "it was cancelled",
  FAILED: "it failed",
  TIMEOUT: "its time limit was reached",
  NODE_FAIL: "a node failed",
  PREEMPTED: "it was preempted",
  BOOT_FAIL: "a node did not boot",
  DEADLINE: "its deadline passed",
  OUT_OF_MEMORY: "it ran out of memory",
  REVOKED: "it was revoked",
};

const WAITING = [
  "PENDING",
  "CONFIGURING",
  "REQUEUED",
  "REQUEUE_FED",
  "REQUEUE_HOLD",
  "RESV_DEL_HOLD",
  "SPECIAL_EXIT",
];

/** Reasons for waiting that no waiting cures. */
const HOPELESS: Readonly<Record<string, string>> = {
  PartitionNodeLimit: "the partition has, or allows, fewer nodes",
  PartitionTimeLimit: "the partition allows less time",
  BadConstraints: "no node is like that",
  AccountNotAllowed: "the partition does not take this account",
  InvalidAccount: "there is no such account",
  InvalidQOS: "there is no such QOS",
  QOSNotAllowed: "the partition does not take this QOS",
  DependencyNeverSatisfied: "what it depends on never comes",
  JobHeldAdmin: "an administrator holds it",
};

export function isEnded(job: SlurmJob): boolean {
  return Object.hasOwn(ENDED, job.state);
}

export function isWaiting(job: SlurmJob): boolean {
  return WAITING.includes(job.state);
}

/** Why this job will never start; null while it may. */
export function hopeless(job: SlurmJob): string | null {
  const { reason } = job;
  if (reason === null || !isWaiting(job) || !Object.hasOwn(HOPELESS, reason)) return null;
  return `${reason}: ${HOPELESS[reason]}`;
}

/** What the state of its allocation says about a cluster's nodes; "gone" only for a positive end. */
export function nodeStateOf(job: SlurmJob): { state: NodeState; reason: string | null } {
  if (job.state === "RUNNING") return { state: "up", reason: null };
  if (isEnded(job)) return { state: "gone", reason: `Slurm job ${job.id}: ${endText(job)}` };
  const why = job.reason === null ? "" : ` (${job.reason})`;
  return { state: "unknown", reason: `Slurm job ${job.id} is ${job.state}${why}` };
}

/** `its time limit was reached (TIMEOUT)`. */
export function endText(job: SlurmJob): string {
  return `${isEnded(job) ? ENDED[job.state] : "it is ending"} (${job.state})`;
}

/** `pending: Resources, 3 others ahead`; `ahead` null where nobody knows. */
export function waitingText(job: SlurmJob, ahead: number | null): string {
  const word = job.state === "CONFIGURING" ? "configuring" : "pending";
  const why = job.reason ?? (job.state === "CONFIGURING" ? null : "Submitted");
  const others = ahead === null || ahead === 0 ? null : `${plural(ahead, "other")} ahead`;
  const rest = [why, others].filter((part) => part !== null).join(", ");
  return rest === "" ? word : `${word}: ${rest}`;
}
