/**
 * The one connection to a database file or to a shared server. Owns talking to the two drivers; leaves pragmas, groups
 * and what errors mean to database.ts.
 */
import type { Statement, Value } from "./database.ts";

export type Row = Readonly<Record<string, unknown>>;

export interface Connection {
  rows(statement: Statement): Promise<Row[]>;
  /** All of them or none, in one write transaction; how many rows each has changed. */
  batch(statements: readonly Statement[]): Promise<number[]>;
  close(): void;
}

/** A shared server, over the network. */
export async function remoteConnection(url: string, authToken: string | undefined): Promise<Connection> {
  const { createClient } = await import("@libsql/client");
  const client = createClient({ url, intMode: "number", ...authToken !== undefined && { authToken } });
  const input = ({ sql, args = [] }: Statement) => ({ sql, args: args.map(plain) });
  return {
    async rows(statement) {
      return (await client.execute(input(statement))).rows.map((row) => ({ ...row }));
    },
    async batch(statements) {
      const results = await client.batch(statements.map(input), "write");
      return results.map((result) => result.rowsAffected);
    },
    close: () => client.close(),
  };
}

/** Prepared statements that are kept: more than the stores have, but queries are put together from parts, too. */
const KEPT = 256;

/**
 * A file of ours. The driver is used bare: it runs on our thread either way, and preparing each statement anew, as
 * the client package does, costs ten times as much as running it.
 */
export async function fileConnection(path: string, options: { busyMs: number }): Promise<Connection> {
  // Imported late: the compiled program puts the native addon in place first, and the client never loads it.
  const { default: Driver } = await import("libsql");
  const database = new Driver(path, { timeout: options.busyMs });
  const prepared = new Map<string, ReturnType<typeof database.prepare>>();
  const prepare = (sql: string) => {
    const known = prepared.get(sql);
    if (known !== undefined) return known;
    if (prepared.size >= KEPT) prepared.clear();
    const made = database.prepare(sql);
    prepared.set(sql, made);
    return made;
  };
  const rollBack = () => {
    if (database.inTransaction) database.exec("ROLLBACK");
  };
  return {
    // deno-lint-ignore require-await -- an error is a rejection, as with the other driver
    async rows({ sql, args = [] }) {
      const statement = prepare(sql);
      if (statement.reader) return statement.all(args.map(plain)) as Row[];
      statement.run(args.map(plain));
      return [];
    },
    // deno-lint-ignore require-await
    async batch(statements) {
      rollBack(); // one that could not be rolled back when it failed
      database.exec("BEGIN IMMEDIATE");
      try {
        const changes = statements.map(({ sql, args = [] }) => {
          const statement = prepare(sql);
          if (!statement.reader) return statement.run(args.map(plain)).changes;
          statement.all(args.map(plain));
          return 0;
        });
        database.exec("COMMIT");
        return changes;
      } catch (error) {
        try {
          rollBack();
        } catch {
          // On a disk that fails even this may; what went wrong first is what matters, and the next batch tries again.
        }
        throw error;
      }
    },
    close() {
      prepared.clear();
      database.close();
    },
  };
}

/**
 * As the drivers must be given it. They read text back only up to a NUL, so that is replaced by a visible stand-in;
 * and they would bind every number as a float, so that whole ones go as integers.
 */
function plain(value: Value): Value | bigint {
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  return typeof value === "string" && value.includes("\0") ? value.replaceAll("\0", "\uFFFD") : value;
}
