/**
 * Requests as rows (wire.md §4.1, §16.1). Owns their SQL, and that every status change is conditional: a final
 * status is written once and the loser of a race changes nothing. Leaves scheduling to requests/.
 */
import type { User } from "../core/context.ts";
import type { Lane, RequestError, RequestRecord } from "../core/request.ts";
import type { Database, Statement, Value, WriteOptions } from "./database.ts";
import {
  BRIEF,
  FULL,
  OPEN,
  type OpenRequest,
  type OpenRow,
  type RequestSeed,
  type Row,
  SEED,
  type SeedRow,
  toOpen,
  toRecord,
  toSeed,
} from "./request_rows.ts";

export type { OpenRequest, RequestSeed } from "./request_rows.ts";

export interface NewRequest {
  readonly id: string;
  readonly name: string;
  readonly lane: Lane;
  readonly user: User;
  readonly workspace: string;
  readonly clusterName: string | null;
  readonly locks: boolean;
  readonly preempts: boolean;
  readonly resumable: boolean;
  readonly streaming: boolean;
  readonly control: boolean;
  readonly idempotencyKey: string | null;
  readonly command: string;
  /** JSON texts. The last three may hold secrets and are emptied once the request is final. */
  readonly shownBody: string;
  readonly body: string;
  readonly env: string;
  readonly config: string;
}

export interface Ending {
  readonly from: "PENDING" | "RUNNING";
  readonly status: "SUCCEEDED" | "FAILED" | "CANCELLED";
  /** JSON text. */
  readonly result: string | null;
  readonly error: RequestError | null;
  readonly logBytes: number;
}

export interface RequestQuery {
  /** Default: only PENDING and RUNNING. */
  readonly allStatus?: boolean;
  readonly clusterName?: string;
  readonly userId?: string;
  /** Rows older than this one, for the next page. */
  readonly before?: number;
  readonly limit: number;
  /** Leave out bodies and results (`"null"`, null): they may be long. */
  readonly brief?: boolean;
}

/** A final state must be written whatever the disk says. */
const URGENT = { urgent: true };

export class RequestStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Durable when it resolves. False if this user has used the idempotency key before; nothing is written then. */
  async insert(request: NewRequest, options: WriteOptions = {}): Promise<boolean> {
    const row: Record<string, Value> = {
      id: request.id,
      name: request.name,
      status: "PENDING",
      lane: request.lane,
      user_id: request.user.id,
      user_name: request.user.name,
      workspace: request.workspace,
      cluster_name: request.clusterName,
      locks: Number(request.locks),
      preempts: Number(request.preempts),
      resumable: Number(request.resumable),
      streaming: Number(request.streaming),
      control: Number(request.control),
      created_at: this.#database.now(),
      idempotency_key: request.idempotencyKey,
      command: request.command,
      shown_body: request.shownBody,
      body: request.body,
      env: request.env,
      config: request.config,
    };
    const names = Object.keys(row);
    const { rowsAffected } = await this.#database.write({
      sql: `INSERT INTO requests (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})
        ON CONFLICT DO NOTHING`,
      args: Object.values(row),
    }, options);
    return rowsAffected > 0;
  }

  async byKey(userId: string, key: string): Promise<{ id: string; name: string } | null> {
    const rows = await this.#database.read<{ id: string; name: string }>(
      "SELECT id, name FROM requests WHERE user_id = ? AND idempotency_key = ?",
      [userId, key],
    );
    return rows[0] ?? null;
  }

  /** Everything that is not final, oldest first. */
  async open(): Promise<OpenRequest[]> {
    const rows = await this.#database.read<OpenRow>(
      `SELECT ${OPEN} FROM requests WHERE finished_at IS NULL ORDER BY seq`,
    );
    return rows.map(toOpen);
  }

  /** PENDING → RUNNING. */
  async start(id: string): Promise<boolean> {
    return await this.#change({
      sql: `UPDATE requests SET status = 'RUNNING', started_at = ?, attempts = attempts + 1,
        status_message = NULL WHERE id = ? AND status = 'PENDING'`,
      args: [this.#database.now(), id],
    });
  }

  async seed(id: string): Promise<RequestSeed | null> {
    const [row] = await this.#database.read<SeedRow>(`SELECT ${SEED} FROM requests WHERE id = ?`, [id]);
    return row === undefined ? null : toSeed(row);
  }

  /** RUNNING → PENDING, after a restart. */
  async requeue(id: string): Promise<boolean> {
    return await this.#change({
      sql:
        "UPDATE requests SET status = 'PENDING', status_message = NULL WHERE id = ? AND status = 'RUNNING'",
      args: [id],
    });
  }

  /** The one write of a final status. Empties what may hold secrets. */
  async finish(id: string, ending: Ending): Promise<boolean> {
    return await this.#change({
      sql: `UPDATE requests SET status = ?, finished_at = ?, result = ?, error = ?, log_bytes = ?,
        status_message = NULL, body = NULL, env = NULL, config = NULL WHERE id = ? AND status = ?`,
      args: [
        ending.status,
        this.#database.now(),
        ending.result,
        ending.error === null ? null : JSON.stringify(ending.error),
        ending.logBytes,
        id,
        ending.from,
      ],
    });
  }

  /** Remember that a cancel was asked for, so that a restart in between does not resume the request. */
  async markCancel(id: string): Promise<boolean> {
    return await this.#change({
      sql: "UPDATE requests SET cancel_at = coalesce(cancel_at, ?) WHERE id = ? AND status = 'RUNNING'",
      args: [this.#database.now(), id],
    });
  }

  async setMessage(id: string, message: string | null): Promise<boolean> {
    return await this.#change({
      sql: "UPDATE requests SET status_message = ? WHERE id = ? AND finished_at IS NULL",
      args: [message, id],
    });
  }

  async get(id: string): Promise<RequestRecord | null> {
    const [row] = await this.#database.read<Row>(`SELECT ${FULL} FROM requests WHERE id = ?`, [id]);
    return row === undefined ? null : toRecord(row);
  }

  /** Full ids that begin with `prefix`, at most `limit`. No wildcards. */
  async find(prefix: string, limit: number): Promise<string[]> {
    const rows = await this.#database.read<{ id: string }>(
      "SELECT id FROM requests WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
      [prefix, `${prefix}\u{10FFFF}`, limit],
    );
    return rows.map((row) => row.id);
  }

  /** One page, newest first, with each row's `seq` for the next. */
  async page(query: RequestQuery): Promise<{ seq: number; record: RequestRecord }[]> {
    const where: string[] = [];
    const args: Value[] = [];
    if (query.allStatus !== true) where.push("finished_at IS NULL");
    if (query.clusterName !== undefined) {
      where.push("cluster_name = ?");
      args.push(query.clusterName);
    }
    if (query.userId !== undefined) {
      where.push("user_id = ?");
      args.push(query.userId);
    }
    if (query.before !== undefined) {
      where.push("seq < ?");
      args.push(query.before);
    }
    const rows = await this.#database.read<Row>(
      `SELECT ${query.brief === true ? BRIEF : FULL} FROM requests
        ${where.length === 0 ? "" : `WHERE ${where.join(" AND ")}`} ORDER BY seq DESC LIMIT ?`,
      [...args, query.limit],
    );
    return rows.map((row) => ({ seq: row.seq, record: toRecord(row) }));
  }

  async #change(statement: Statement): Promise<boolean> {
    return (await this.#database.write(statement, URGENT)).rowsAffected > 0;
  }
}
