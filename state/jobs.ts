/** Cluster jobs as rows (domain.md §5.2). Owns the SQL and that a final status is written once; leaves the queue to clusters/. */
import { SkyError } from "../core/errors.ts";
import type { JobRecord, JobStatus } from "../core/job.ts";
import type { Database, Value } from "./database.ts";

/** What a job is before it has an id. `logDir` becomes `<id>-<logName>`, e.g. `1-train`, `1--` for `-`. */
export type NewJob =
  & Omit<JobRecord, "id" | "status" | "startedAt" | "endedAt" | "nodes" | "gpus" | "exitCodes" | "logDir">
  & { readonly status?: JobStatus; readonly logName: string };

export type JobChanges = Partial<
  Pick<JobRecord, "status" | "startedAt" | "endedAt" | "nodes" | "gpus" | "exitCodes" | "spec">
>;

export const ACTIVE_JOBS: readonly JobStatus[] = ["INIT", "PENDING", "SETTING_UP", "RUNNING"];
const ACTIVE_SQL = "status IN ('INIT', 'PENDING', 'SETTING_UP', 'RUNNING')";

export class JobStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Give the job the next id of its cluster incarnation. If this request has submitted one there before, that one
   * is returned unchanged with `created: false`: so a resumed request finds its job.
   */
  async insert(job: NewJob): Promise<{ job: JobRecord; created: boolean }> {
    const { rowsAffected } = await this.#database.write({
      sql: `INSERT INTO jobs (cluster_hash, id, name, user_id, user_name, status, submitted_at, resources,
          num_nodes, accelerators, nodes, gpus, exit_codes, log_dir, request_id, git_commit, spec)
        SELECT ?, next, ?, ?, ?, ?, ?, ?, ?, ?, '[]', '[]', '[]', next || '-' || ?, ?, ?, ?
        FROM (SELECT coalesce(max(id), 0) + 1 AS next FROM jobs WHERE cluster_hash = ?) WHERE true
        ON CONFLICT (cluster_hash, request_id) DO NOTHING`,
      args: [
        job.clusterHash,
        job.name,
        job.userId,
        job.userName,
        job.status ?? "PENDING",
        job.submittedAt,
        job.resources,
        job.numNodes,
        job.accelerators === null ? null : JSON.stringify(job.accelerators),
        job.logName,
        job.requestId,
        job.gitCommit,
        job.spec,
        job.clusterHash,
      ],
    });
    const found = await this.byRequest(job.clusterHash, job.requestId);
    if (found === null) throw new SkyError("internal", `Job of request ${job.requestId} was not stored`);
    return { job: found, created: rowsAffected > 0 };
  }

  async get(clusterHash: string, id: number): Promise<JobRecord | null> {
    return await this.#one("cluster_hash = ? AND id = ?", [clusterHash, id]);
  }

  async byRequest(clusterHash: string, requestId: string): Promise<JobRecord | null> {
    return await this.#one("cluster_hash = ? AND request_id = ?", [clusterHash, requestId]);
  }

  /** The newest job of an incarnation, optionally of one user. */
  async latest(clusterHash: string, options: { userId?: string } = {}): Promise<JobRecord | null> {
    const user = options.userId === undefined ? "" : " AND user_id = ?";
    return await this.#one(`cluster_hash = ?${user} ORDER BY id DESC LIMIT 1`, [
      clusterHash,
      ...(options.userId === undefined ? [] : [options.userId]),
    ]);
  }

  /** Jobs of one incarnation, lowest id first. Filters add up. */
  async list(
    clusterHash: string,
    filter: { ids?: readonly number[]; userId?: string; active?: boolean } = {},
  ): Promise<JobRecord[]> {
    const where = ["cluster_hash = ?"];
    const args: Value[] = [clusterHash];
    if (filter.ids !== undefined) {
      where.push("id IN (SELECT value FROM json_each(?))");
      args.push(JSON.stringify(filter.ids));
    }
    if (filter.userId !== undefined) {
      where.push("user_id = ?");
      args.push(filter.userId);
    }
    if (filter.active === true) where.push(ACTIVE_SQL);
    return await this.#select(`${where.join(" AND ")} ORDER BY id`, args);
  }

  /** Jobs that are not over, of all clusters: what a starting server has to look after. */
  async active(): Promise<JobRecord[]> {
    return await this.#select(`${ACTIVE_SQL} ORDER BY cluster_hash, id`, []);
  }

  /**
   * Change a job if its status is one of `from` (default: it is not over). False if it was not: so a final
   * status is written once and the loser does nothing.
   */
  async update(
    key: { clusterHash: string; id: number },
    changes: JobChanges,
    options: { from?: readonly JobStatus[] } = {},
  ): Promise<boolean> {
    const keys = (Object.keys(changes) as (keyof JobChanges)[]).filter((each) => changes[each] !== undefined);
    if (keys.length === 0) return false;
    const { rowsAffected } = await this.#database.write({
      sql: `UPDATE jobs SET ${keys.map((each) => `${COLUMNS[each]} = ?`).join(", ")}
        WHERE cluster_hash = ? AND id = ? AND status IN (SELECT value FROM json_each(?))`,
      args: [
        ...keys.map((each) => toColumn(changes[each])),
        key.clusterHash,
        key.id,
        JSON.stringify(options.from ?? ACTIVE_JOBS),
      ],
    }, { urgent: true });
    return rowsAffected > 0;
  }

  /** Forget all jobs of an incarnation; how many. */
  async deleteAll(clusterHash: string): Promise<number> {
    const statement = { sql: "DELETE FROM jobs WHERE cluster_hash = ?", args: [clusterHash] };
    return (await this.#database.write(statement)).rowsAffected;
  }

  async #one(condition: string, args: readonly Value[]): Promise<JobRecord | null> {
    return (await this.#select(condition, args))[0] ?? null;
  }

  async #select(condition: string, args: readonly Value[]): Promise<JobRecord[]> {
    return (await this.#database.read<Row>(`SELECT * FROM jobs WHERE ${condition}`, args)).map(toRecord);
  }
}

const COLUMNS: Record<keyof JobChanges, string> = {
  status: "status",
  startedAt: "started_at",
  endedAt: "ended_at",
  nodes: "nodes",
  gpus: "gpus",
  exitCodes: "exit_codes",
  spec: "spec",
};

function toColumn(value: JobChanges[keyof JobChanges]): Value {
  if (value === undefined || value === null) return null;
  return typeof value === "object" ? JSON.stringify(value) : value;
}

interface Row {
  readonly cluster_hash: string;
  readonly id: number;
  readonly name: string | null;
  readonly user_id: string;
  readonly user_name: string;
  readonly status: JobStatus;
  readonly submitted_at: number;
  readonly started_at: number | null;
  readonly ended_at: number | null;
  readonly resources: string;
  readonly num_nodes: number;
  readonly accelerators: string | null;
  readonly nodes: string;
  readonly gpus: string;
  readonly exit_codes: string;
  readonly log_dir: string;
  readonly request_id: string;
  readonly git_commit: string | null;
  readonly spec: string;
}

function toRecord(row: Row): JobRecord {
  return {
    clusterHash: row.cluster_hash,
    id: row.id,
    name: row.name,
    userId: row.user_id,
    userName: row.user_name,
    status: row.status,
    submittedAt: row.submitted_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    resources: row.resources,
    numNodes: row.num_nodes,
    accelerators: row.accelerators === null ? null : JSON.parse(row.accelerators) as Record<string, number>,
    nodes: JSON.parse(row.nodes) as number[],
    gpus: JSON.parse(row.gpus) as number[][],
    exitCodes: JSON.parse(row.exit_codes) as (number | null)[],
    spec: row.spec,
    logDir: row.log_dir,
    requestId: row.request_id,
    gitCommit: row.git_commit,
  };
}
