/** Brings a database's schema up to date, each change in one transaction. Owns the migrations table. */
import { SkyError } from "../core/errors.ts";
import type { Connection } from "./connection.ts";
import { migrations } from "./migrations/mod.ts";

/** Throws version_mismatch if a newer sky has written it. */
export async function migrate(
  connection: Connection,
  options: { path: string; now: () => number },
): Promise<void> {
  const found = await connection.rows({ sql: "SELECT name FROM sqlite_schema WHERE name = 'migrations'" });
  let version = 0;
  if (found.length > 0) {
    const [row] = await connection.rows({ sql: "SELECT max(version) AS version FROM migrations" });
    version = Number(row?.["version"] ?? 0);
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
    await connection.batch([
      {
        sql:
          "CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT",
      },
      ...migration.sql.map((sql) => ({ sql })),
      {
        sql: "INSERT INTO migrations (version, applied_at) VALUES (?, ?)",
        args: [migration.version, Math.floor(options.now())],
      },
    ]);
  }
}
