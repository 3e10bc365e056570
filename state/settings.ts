/** Small durable facts of the server by key, JSON values: enabled clouds, the server's secret. Owns that table's SQL. */
import type { Database } from "./database.ts";

export class SettingStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The value, undefined if the key was never set. The caller knows what it stored. */
  async get<T>(key: string): Promise<T | undefined> {
    const [row] = await this.#database.read<{ value: string }>("SELECT value FROM settings WHERE key = ?", [
      key,
    ]);
    return row === undefined ? undefined : JSON.parse(row.value) as T;
  }

  async set(key: string, value: unknown): Promise<void> {
    await this.#database.write({
      sql: `INSERT INTO settings (key, value, updated_at) VALUES (?, ?, ?)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`,
      args: [key, JSON.stringify(value ?? null), this.#database.now()],
    });
  }

  /** Set it unless it is set; the value that holds afterwards. */
  async setOnce<T>(key: string, value: T): Promise<T> {
    await this.#database.write({
      sql: "INSERT INTO settings (key, value, updated_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
      args: [key, JSON.stringify(value ?? null), this.#database.now()],
    });
    return await this.get<T>(key) ?? value;
  }

  async delete(key: string): Promise<boolean> {
    const { rowsAffected } = await this.#database.write({
      sql: "DELETE FROM settings WHERE key = ?",
      args: [key],
    });
    return rowsAffected > 0;
  }
}
