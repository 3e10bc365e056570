/** What retention asks of the requests table: which finished rows are old, how much their logs take, and their end. */
import type { Database } from "./database.ts";

export interface FinishedRequest {
  readonly id: string;
  /** Unix ms. */
  readonly finishedAt: number;
  readonly logBytes: number;
}

export class RequestSweep {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Finished longest ago first; only those finished before `before` (unix ms) if given. */
  async oldest(options: { before?: number; limit: number }): Promise<FinishedRequest[]> {
    const rows = await this.#database.read<{ id: string; finished_at: number; log_bytes: number }>(
      `SELECT id, finished_at, log_bytes FROM requests WHERE finished_at IS NOT NULL AND finished_at < ?
        ORDER BY finished_at LIMIT ?`,
      [options.before ?? Number.MAX_SAFE_INTEGER, options.limit],
    );
    return rows.map((row) => ({ id: row.id, finishedAt: row.finished_at, logBytes: row.log_bytes }));
  }

  /** Bytes of all logs of finished requests. */
  async logBytes(): Promise<number> {
    const [row] = await this.#database.read<{ total: number }>(
      "SELECT coalesce(sum(log_bytes), 0) AS total FROM requests WHERE finished_at IS NOT NULL",
    );
    return row?.total ?? 0;
  }

  /** Delete finished rows with their steps; how many. Never a running one, whatever is asked. */
  async remove(ids: readonly string[]): Promise<number> {
    const { rowsAffected } = await this.#database.write({
      sql: `DELETE FROM requests WHERE id IN (SELECT value FROM json_each(?)) AND finished_at IS NOT NULL`,
      args: [JSON.stringify(ids)],
    });
    return rowsAffected;
  }

  /** Those of `ids` that have a row. */
  async known(ids: readonly string[]): Promise<Set<string>> {
    const rows = await this.#database.read<{ id: string }>(
      "SELECT id FROM requests WHERE id IN (SELECT value FROM json_each(?))",
      [JSON.stringify(ids)],
    );
    return new Set(rows.map((row) => row.id));
  }
}
