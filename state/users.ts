/** Users the server has met. Owns that table's SQL; leaves who may do what to others. */
import type { User } from "../core/context.ts";
import type { Database } from "./database.ts";

export interface UserRecord extends User {
  readonly kind: "person" | "service";
  readonly createdAt: number;
}

interface Row {
  readonly id: string;
  readonly name: string;
  readonly kind: UserRecord["kind"];
  readonly created_at: number;
}

export class UserStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Remember the user, or the new name of a known one. False if nothing changed. */
  async upsert(user: User, options: { kind?: UserRecord["kind"] } = {}): Promise<boolean> {
    const { rowsAffected } = await this.#database.write({
      sql: `INSERT INTO users (id, name, kind, created_at) VALUES (?, ?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE users.name <> excluded.name`,
      args: [user.id, user.name, options.kind ?? "person", this.#database.now()],
    });
    return rowsAffected > 0;
  }

  async get(id: string): Promise<UserRecord | null> {
    const [row] = await this.#database.read<Row>("SELECT * FROM users WHERE id = ?", [id]);
    return row === undefined ? null : toRecord(row);
  }

  async list(): Promise<UserRecord[]> {
    return (await this.#database.read<Row>("SELECT * FROM users ORDER BY created_at, id")).map(toRecord);
  }

  async delete(id: string): Promise<boolean> {
    return (await this.#database.write({ sql: "DELETE FROM users WHERE id = ?", args: [id] })).rowsAffected >
      0;
  }
}

function toRecord(row: Row): UserRecord {
  return { id: row.id, name: row.name, kind: row.kind, createdAt: row.created_at };
}
