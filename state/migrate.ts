/** Brings a database's schema up to date, each change in one transaction. Owns the migrations table. */
import type { Client } from "@libsql/client";
import { SkyError } from "../core/errors.ts";
import { migrations } from "./migrations/mod.ts";

/** Throws version_mismatch if a newer sky has written it. */
export async function migrate(client: Client, options: { path: string; now: () => number }): Promise<void> {
  const found = await client.execute("SELECT name FROM sqlite_schema WHERE name = 'migrations'");
  let version = 0;
  if (found.rows.length > 0) {
    const { rows } = await client.execute("SELECT max(version) AS version FROM migrations");
    version = Number(rows[0]?.["version"] ?? 0);
  }
  const newest = migrations.at(-1)?.version ?? 0;
  if (version > newest) {
    throw new SkyError(
      "version_mismatch",
      `The database '${options.path}' has schema ${version}, this sky knows up to ${newest}`,
      { hint: "Use the newer sky that wrote it, or set SKY_HOME to another folder" },
    );
  }
  for (const migration of migrations.filter((each) => each.version > version)) {
    await client.batch([
      "CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT",
      ...migration.sql,
      {
        sql: "INSERT INTO migrations (version, applied_at) VALUES (?, ?)",
        args: [migration.version, Math.floor(options.now())],
      },
    ], "write");
  }
}
