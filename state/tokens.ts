/**
 * Service-account tokens (wire.md §15.4). Owns that only their SHA-256 is kept; leaves making and parsing the
 * token text to the server.
 */
import { isSkyError } from "../core/errors.ts";
import type { Database } from "./database.ts";

export interface TokenRecord {
  readonly id: string;
  readonly name: string;
  /** The service account it speaks for. */
  readonly userId: string;
  readonly creatorId: string;
  readonly createdAt: number;
  /** Unix ms, null for never. */
  readonly expiresAt: number | null;
  readonly lastUsedAt: number | null;
}

interface Row {
  readonly id: string;
  readonly name: string;
  readonly user_id: string;
  readonly creator_id: string;
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly last_used_at: number | null;
}

const COLUMNS = "id, name, user_id, creator_id, created_at, expires_at, last_used_at";
/** Use is noted at most this often, so that reading requests do not become writes. */
const USE_STEP_MS = 60_000;

export class TokenStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Keep a token, replacing an earlier text of the same id (rotation). */
  async put(record: Omit<TokenRecord, "createdAt" | "lastUsedAt">, token: string): Promise<void> {
    await this.#database.write({
      sql: `INSERT INTO tokens (id, name, hash, user_id, creator_id, created_at, expires_at)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, hash = excluded.hash,
          expires_at = excluded.expires_at, last_used_at = NULL`,
      args: [
        record.id,
        record.name,
        await sha256(token),
        record.userId,
        record.creatorId,
        this.#database.now(),
        record.expiresAt,
      ],
    });
  }

  /** The record of a token text, null if unknown, rotated away, revoked or expired. Notes the use. */
  async verify(token: string): Promise<TokenRecord | null> {
    const [row] = await this.#database.read<Row>(`SELECT ${COLUMNS} FROM tokens WHERE hash = ?`, [
      await sha256(token),
    ]);
    const now = this.#database.now();
    if (row === undefined || (row.expires_at !== null && row.expires_at <= now)) return null;
    if (row.last_used_at === null || now - row.last_used_at >= USE_STEP_MS) {
      const statement = { sql: "UPDATE tokens SET last_used_at = ? WHERE id = ?", args: [now, row.id] };
      await this.#database.write(statement).catch((error: unknown) => {
        if (!isSkyError(error, "disk_full")) throw error; // a full disk locks nobody out
      });
    }
    return toRecord(row);
  }

  async list(filter: { userId?: string } = {}): Promise<TokenRecord[]> {
    const where = filter.userId === undefined ? "" : " WHERE user_id = ?";
    const args = filter.userId === undefined ? [] : [filter.userId];
    const rows = await this.#database.read<Row>(
      `SELECT ${COLUMNS} FROM tokens${where} ORDER BY created_at, id`,
      args,
    );
    return rows.map(toRecord);
  }

  /** Revoke; false if there was none. */
  async delete(id: string): Promise<boolean> {
    return (await this.#database.write({ sql: "DELETE FROM tokens WHERE id = ?", args: [id] })).rowsAffected >
      0;
  }

  /** Forget tokens that expired before `before` (unix ms); how many. */
  async sweep(before: number): Promise<number> {
    const statement = {
      sql: "DELETE FROM tokens WHERE expires_at IS NOT NULL AND expires_at < ?",
      args: [before],
    };
    return (await this.#database.write(statement)).rowsAffected;
  }
}

function toRecord(row: Row): TokenRecord {
  return {
    id: row.id,
    name: row.name,
    userId: row.user_id,
    creatorId: row.creator_id,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
  };
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
