/** Rows of the requests table and what they become. Owns column lists and mapping; leaves queries to requests.ts. */
import type { User } from "../core/context.ts";
import type { Lane, RequestError, RequestRecord, RequestStatus } from "../core/request.ts";

/** What scheduling needs to know of a request that is not final. */
export interface OpenRequest {
  readonly seq: number;
  readonly id: string;
  readonly name: string;
  readonly status: "PENDING" | "RUNNING";
  readonly lane: Lane;
  readonly userId: string;
  readonly clusterName: string | null;
  readonly locks: boolean;
  readonly preempts: boolean;
  readonly resumable: boolean;
  readonly streaming: boolean;
  readonly control: boolean;
  readonly attempts: number;
  /** Unix ms at which a cancel of its running work was asked for. */
  readonly cancelAt: number | null;
}

/** What running it takes. */
export interface RequestSeed {
  readonly attempts: number;
  readonly user: User;
  readonly workspace: string;
  readonly command: string;
  readonly body: string;
  readonly env: string;
  readonly config: string;
}

const SMALL =
  `seq, id, name, status, lane, user_id, user_name, workspace, cluster_name, created_at, started_at,
  finished_at, attempts, idempotency_key, status_message, error`;
/** All but what holds secrets. */
export const FULL = `${SMALL}, shown_body AS body, result`;
export const BRIEF = `${SMALL}, 'null' AS body, NULL AS result`;

export const OPEN =
  `seq, id, name, status, lane, user_id, cluster_name, locks, preempts, resumable, streaming, control,
  attempts, cancel_at`;
export const SEED = "attempts, user_id, user_name, workspace, command, body, env, config";

export interface OpenRow {
  readonly seq: number;
  readonly id: string;
  readonly name: string;
  readonly status: "PENDING" | "RUNNING";
  readonly lane: Lane;
  readonly user_id: string;
  readonly cluster_name: string | null;
  readonly locks: number;
  readonly preempts: number;
  readonly resumable: number;
  readonly streaming: number;
  readonly control: number;
  readonly attempts: number;
  readonly cancel_at: number | null;
}

export interface SeedRow {
  readonly attempts: number;
  readonly user_id: string;
  readonly user_name: string;
  readonly workspace: string;
  readonly command: string;
  readonly body: string | null;
  readonly env: string | null;
  readonly config: string | null;
}

export interface Row {
  readonly seq: number;
  readonly id: string;
  readonly name: string;
  readonly status: RequestStatus;
  readonly lane: Lane;
  readonly user_id: string;
  readonly user_name: string;
  readonly workspace: string;
  readonly cluster_name: string | null;
  readonly created_at: number;
  readonly started_at: number | null;
  readonly finished_at: number | null;
  readonly attempts: number;
  readonly idempotency_key: string | null;
  readonly status_message: string | null;
  readonly error: string | null;
  readonly body: string;
  readonly result: string | null;
}

export function toRecord(row: Row): RequestRecord {
  return {
    id: row.id,
    name: row.name,
    status: row.status,
    lane: row.lane,
    user: { id: row.user_id, name: row.user_name },
    workspace: row.workspace,
    clusterName: row.cluster_name,
    body: row.body,
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    result: row.result,
    error: row.error === null ? null : JSON.parse(row.error) as RequestError,
    statusMessage: row.status_message,
    idempotencyKey: row.idempotency_key,
    attempts: row.attempts,
  };
}

export function toOpen(row: OpenRow): OpenRequest {
  return {
    seq: row.seq,
    id: row.id,
    name: row.name,
    status: row.status,
    lane: row.lane,
    userId: row.user_id,
    clusterName: row.cluster_name,
    locks: row.locks === 1,
    preempts: row.preempts === 1,
    resumable: row.resumable === 1,
    streaming: row.streaming === 1,
    control: row.control === 1,
    attempts: row.attempts,
    cancelAt: row.cancel_at,
  };
}

/** Null once the request is final: what it takes to run it is emptied then. */
export function toSeed(row: SeedRow): RequestSeed | null {
  if (row.body === null) return null;
  return {
    attempts: row.attempts,
    user: { id: row.user_id, name: row.user_name },
    workspace: row.workspace,
    command: row.command,
    body: row.body,
    env: row.env ?? "{}",
    config: row.config ?? "{}",
  };
}
