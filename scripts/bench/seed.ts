/** Fills a stopped server's database with finished requests, copies of one that is there. */
import { join } from "@std/path";
import { createClient } from "@libsql/client";
import type { TestSky } from "../../tests/support/sky.ts";

export async function seedRows(sky: TestSky, count: number): Promise<void> {
  const database = createClient({ url: `file:${join(sky.env.SKY_HOME!, "sky.db")}`, concurrency: 1 });
  const { columns, rows } = await database.execute("SELECT * FROM requests LIMIT 1");
  const model = rows[0];
  if (model === undefined) throw new Error("Cannot seed rows: no request to copy");
  const fresh = columns.filter((column) =>
    !["seq", "id", "idempotency_key", "created_at", "finished_at"].includes(column)
  );
  const names = ["id", "created_at", "finished_at", ...fresh];
  const sql = `INSERT INTO requests (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`;
  const now = Date.now();
  for (let from = 0; from < count; from += 10_000) {
    await database.batch(
      Array.from({ length: Math.min(10_000, count - from) }, (_, i) => ({
        sql,
        args: [
          crypto.randomUUID(),
          now - (from + i) * 100,
          now - (from + i) * 100 + 50,
          ...fresh.map((column) => model[column]!),
        ],
      })),
      "write",
    );
  }
  database.close();
}
