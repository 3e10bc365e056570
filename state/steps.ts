/** Finished steps of requests: the journal's table. Owns its SQL; what a step is belongs to requests/journal.ts. */
import type { Database } from "./database.ts";

export interface Step {
  readonly name: string;
  /** JSON text, null for a step without a result. */
  readonly result: string | null;
  /** Length of the request's log when it ended. */
  readonly logEnd: number;
}

export class StepStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** In order of finishing. */
  async list(requestId: string): Promise<Step[]> {
    const rows = await this.#database.read<{ name: string; result: string | null; log_end: number }>(
      "SELECT name, result, log_end FROM steps WHERE request_id = ? ORDER BY finished_at, log_end",
      [requestId],
    );
    return rows.map((row) => ({ name: row.name, result: row.result, logEnd: row.log_end }));
  }

  /**
   * Durable when it resolves. False, and nothing is written, unless the request is RUNNING this very attempt, or
   * if the step is there already.
   */
  async add(request: { id: string; attempt: number }, step: Step): Promise<boolean> {
    const { rowsAffected } = await this.#database.write({
      sql: `INSERT INTO steps (request_id, name, finished_at, log_end, result)
        SELECT ?, ?, ?, ?, ? WHERE EXISTS
          (SELECT 1 FROM requests WHERE id = ? AND status = 'RUNNING' AND attempts = ?)
        ON CONFLICT DO NOTHING`,
      args: [
        request.id,
        step.name,
        this.#database.now(),
        step.logEnd,
        step.result,
        request.id,
        request.attempt,
      ],
    });
    return rowsAffected > 0;
  }
}
