/** The request: the unit that the server queues, runs, logs and remembers (wire.md §4.1, §16). */
import type { User } from "./context.ts";
import type { ErrorCode } from "./errors.ts";

export type RequestStatus = "PENDING" | "RUNNING" | "SUCCEEDED" | "FAILED" | "CANCELLED";
export type Lane = "long" | "short";

export const FINAL_STATUSES: readonly RequestStatus[] = ["SUCCEEDED", "FAILED", "CANCELLED"];

export function isFinal(status: RequestStatus): boolean {
  return FINAL_STATUSES.includes(status);
}

/** A SkyError as kept in the database; `stack` only for internal errors. */
export interface RequestError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  readonly stack?: string | undefined;
}

/** Times are unix milliseconds. */
export interface RequestRecord {
  readonly id: string;
  /** With SkyPilot's prefix, e.g. `sky.launch`. */
  readonly name: string;
  readonly status: RequestStatus;
  readonly lane: Lane;
  readonly user: User;
  readonly workspace: string;
  /** The cluster it is about, for automatic cancel by stop and down; null if none. */
  readonly clusterName: string | null;
  /** The submitted body as JSON text; redacted once the request is final. Holds secrets before. */
  readonly body: string;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  /** JSON text of the result, `null` unless SUCCEEDED. */
  readonly result: string | null;
  readonly error: RequestError | null;
  /** Why it waits, in words; null when it does not. */
  readonly statusMessage: string | null;
  readonly idempotencyKey: string | null;
  /** How many times it was started; more than 1 after a server restart. */
  readonly attempts: number;
}
