/** Events of clusters (domain.md §4.10): append with dedup, list, sweep. Owns that table's SQL; ClusterStore is its door. */
import type { ClusterStatus } from "../core/cluster.ts";
import type { Database, Statement, Value } from "./database.ts";

export interface ClusterEvent {
  readonly startingStatus: ClusterStatus | null;
  readonly endingStatus: ClusterStatus | null;
  readonly reason: string;
  readonly type: "STATUS_CHANGE" | "DEBUG" | "TERMINAL" | "LAUNCH_PROGRESS";
  readonly requestId: string | null;
}

export interface ClusterEventRow extends ClusterEvent {
  readonly clusterHash: string;
  readonly name: string;
  /** Unix ms. */
  readonly transitionedAt: number;
}

/** Statuses and request may be left out. `startingStatus` defaults to the cluster's status before. */
export interface NewEvent {
  readonly reason: string;
  readonly type?: ClusterEvent["type"];
  readonly startingStatus?: ClusterStatus | null;
  readonly endingStatus?: ClusterStatus | null;
  readonly requestId?: string | null;
  /** Skip it if the last event of its type has the same reason, or one that matches. Default: never skip. */
  readonly dedup?: "equal" | RegExp;
}

export class EventStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async add(key: { name: string; hash: string }, event: NewEvent): Promise<boolean> {
    if (event.dedup instanceof RegExp) {
      const [last] = await this.#database.read<{ reason: string }>(
        "SELECT reason FROM cluster_events WHERE cluster_hash = ? AND type = ? ORDER BY seq DESC LIMIT 1",
        [key.hash, event.type ?? "STATUS_CHANGE"],
      );
      if (last !== undefined && event.dedup.test(last.reason)) return false;
    }
    return (await this.#database.write(this.statement(key, event))).rowsAffected > 0;
  }

  /** The insert, for use in a transaction. `from`: only if the cluster exists with one of these statuses. */
  statement(
    key: { name: string; hash: string },
    event: NewEvent,
    from?: readonly ClusterStatus[],
  ): Statement {
    const type = event.type ?? "STATUS_CHANGE";
    const where: string[] = ["true"];
    const args: Value[] = [
      key.hash,
      key.name,
      event.startingStatus ?? null,
      key.hash,
      event.endingStatus ?? null,
      event.reason,
      this.#database.now(),
      type,
      event.requestId ?? null,
    ];
    if (event.dedup === "equal") {
      where.push(`? IS NOT (SELECT reason FROM cluster_events WHERE cluster_hash = ? AND type = ?
        ORDER BY seq DESC LIMIT 1)`);
      args.push(event.reason, key.hash, type);
    }
    if (from !== undefined) {
      where.push(`EXISTS (SELECT 1 FROM clusters WHERE name = ? AND hash = ?
        AND status IN (SELECT value FROM json_each(?)))`);
      args.push(key.name, key.hash, JSON.stringify(from));
    }
    return {
      sql: `INSERT INTO cluster_events (cluster_hash, name, starting_status, ending_status, reason,
          transitioned_at, type, request_id)
        SELECT ?, ?, coalesce(?, (SELECT status FROM clusters WHERE hash = ?)), ?, ?, ?, ?, ?
        WHERE ${where.join(" AND ")}
        ON CONFLICT DO NOTHING`,
      args,
    };
  }

  async list(
    of: { name: string } | { hash: string },
    options: { limit?: number; types?: readonly ClusterEvent["type"][] },
  ): Promise<ClusterEventRow[]> {
    const [column, value] = "hash" in of ? ["cluster_hash", of.hash] : ["name", of.name];
    const types = options.types === undefined ? "" : " AND type IN (SELECT value FROM json_each(?))";
    const rows = await this.#database.read<Row>(
      `SELECT * FROM (SELECT * FROM cluster_events WHERE ${column} = ?${types} ORDER BY seq DESC LIMIT ?)
        ORDER BY seq`,
      [value, ...(options.types === undefined ? [] : [JSON.stringify(options.types)]), options.limit ?? -1],
    );
    return rows.map((row) => ({
      clusterHash: row.cluster_hash,
      name: row.name,
      startingStatus: row.starting_status,
      endingStatus: row.ending_status,
      reason: row.reason,
      transitionedAt: row.transitioned_at,
      type: row.type,
      requestId: row.request_id,
    }));
  }

  async sweep(before: number): Promise<number> {
    const { rowsAffected } = await this.#database.write({
      sql: "DELETE FROM cluster_events WHERE transitioned_at < ?",
      args: [before],
    });
    return rowsAffected;
  }
}

interface Row {
  readonly cluster_hash: string;
  readonly name: string;
  readonly starting_status: ClusterStatus | null;
  readonly ending_status: ClusterStatus | null;
  readonly reason: string;
  readonly transitioned_at: number;
  readonly type: ClusterEvent["type"];
  readonly request_id: string | null;
}
