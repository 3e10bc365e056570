import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { SkyError } from "../../core/errors.ts";
import { Database } from "../../state/database.ts";
import { RequestStore } from "../../state/requests.ts";
import { withDatabase, withFolder } from "./fixture.ts";

const T = "CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER, b BLOB) STRICT";
const put = (id: string, n = 0) => ({ sql: "INSERT INTO t (id, n) VALUES (?, ?)", args: [id, n] });

Deno.test("Database.open makes a private WAL file that syncs every commit, and is whole in one file when closed", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "sky.db");
    const database = await Database.open({ path, now: Date.now });
    assertEquals(await database.read("PRAGMA journal_mode"), [{ journal_mode: "wal" }]);
    assertEquals(await database.read("PRAGMA synchronous"), [{ synchronous: 2 }]);
    assertEquals(await database.read("PRAGMA foreign_keys"), [{ foreign_keys: 1 }]);
    assertMatch(database.sqliteVersion, /^3\.\d+\.\d+$/);
    for (const name of ["sky.db", "sky.db-wal", "sky.db-shm", "sky.db.reserve"]) {
      assertEquals(((await Deno.stat(join(folder, name))).mode ?? 0) & 0o777, 0o600, name);
    }
    await database.close();
    await database.close();
    // Empty means: all is in the database file, the end was clean.
    const wal = await Deno.stat(`${path}-wal`).catch(() => ({ size: 0 }));
    assertEquals(wal.size, 0);
    await assertRejects(() => database.write({ sql: T }), SkyError, "closed");
  });
});

Deno.test("Database.write puts all writes of one turn into one commit, in order", async () => {
  let commits = 0;
  await withDatabase(async (database) => {
    await database.write({ sql: T });
    commits = 0;
    const results = await Promise.all(Array.from({ length: 100 }, (_, n) => database.write(put(`k${n}`, n))));
    assertEquals(commits, 1);
    assertEquals(results, Array.from({ length: 100 }, () => ({ rowsAffected: 1 })));
    const rows = await database.read<{ n: number }>("SELECT n FROM t ORDER BY rowid");
    assertEquals(rows.map((row) => row.n), Array.from({ length: 100 }, (_, n) => n));
    await Promise.all(Array.from({ length: 600 }, (_, n) => database.write(put(`m${n}`, n))));
    assertEquals(commits, 6);
  }, { failpoint: (name) => void (name === "after_commit" && commits++) });
});

Deno.test("Database.write: of a group only the guilty one fails", async () => {
  await withDatabase(async (database) => {
    await database.write({ sql: T });
    const results = await Promise.allSettled([
      database.write(put("a")),
      database.write(put("a")),
      database.writeAll([put("b"), put("c")]),
      database.writeAll([put("d"), put("b")]),
      database.write({ sql: "no such statement" }),
      database.write(put("e")),
    ]);
    assertEquals(results.map((result) => result.status), [
      "fulfilled",
      "rejected",
      "fulfilled",
      "rejected",
      "rejected",
      "fulfilled",
    ]);
    const rows = await database.read<{ id: string }>("SELECT id FROM t ORDER BY id");
    assertEquals(rows.map((row) => row.id), ["a", "b", "c", "e"]);
    const error = await assertRejects(
      () => database.read("SELECT * FROM missing"),
      SkyError,
      "no such table",
    );
    assertEquals(error.code, "internal");
  });
});

Deno.test("Database keeps text with a NUL whole, and unicode, bytes, integers and nulls as they are", async () => {
  await withDatabase(async (database) => {
    await database.write({ sql: T });
    const bytes = new Uint8Array([0, 1, 255]);
    await database.write({
      sql: "INSERT INTO t VALUES (?, ?, ?)",
      args: ["a\0b 😀 '\"", 1_700_000_000_123, bytes],
    });
    await database.write({ sql: "INSERT INTO t VALUES ('n', ?, ?)", args: [null, null] });
    const [row, nothing] = await database.read<{ id: string; n: number; b: ArrayBuffer }>(
      "SELECT * FROM t ORDER BY id",
    );
    assertEquals([row?.id, row?.n], ["a\uFFFDb 😀 '\"", 1_700_000_000_123]);
    assertEquals(new Uint8Array(row?.b ?? new ArrayBuffer(0)), bytes);
    assertEquals({ ...nothing }, { id: "n", n: null, b: null } as never);
  });
});

Deno.test("Database.open migrates once, keeps what is there, and refuses a newer schema", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "sky.db");
    {
      await using database = await Database.open({ path, now: () => 5.7 });
      assertEquals(await database.read("SELECT * FROM migrations"), [{ version: 1, applied_at: 5 }]);
      assertEquals(database.now(), 5);
      await database.write({ sql: "INSERT INTO settings VALUES ('k', '1', 1)" });
    }
    {
      await using database = await Database.open({ path, now: Date.now });
      assertEquals(await database.read("SELECT value FROM settings"), [{ value: "1" }]);
      await database.write({ sql: "INSERT INTO migrations VALUES (99, 1)" });
    }
    const error = await assertRejects(() => Database.open({ path, now: Date.now }), SkyError, "schema 99");
    assertEquals(error.code, "version_mismatch");
  });
});

Deno.test("Database.open refuses damaged files of every kind, says how to recover, and keeps them", async () => {
  await withFolder(async (folder) => {
    const good = join(folder, "good.db");
    {
      await using database = await Database.open({ path: good, now: Date.now });
      await database.write({ sql: T });
      for (let n = 0; n < 300; n++) await database.write(put(`key ${n} ${"x".repeat(300)}`, n));
    }
    const whole = await Deno.readFile(good);
    const damaged: Record<string, Uint8Array> = {
      garbage: crypto.getRandomValues(new Uint8Array(20_000)),
      text: new TextEncoder().encode("this is not a database at all\n".repeat(200)),
      truncated: whole.slice(0, whole.length / 2),
      overwritten: whole.slice().fill(0xAB, 4096 * 30, 4096 * 32),
    };
    for (const [kind, bytes] of Object.entries(damaged)) {
      const path = join(folder, `${kind}.db`);
      await Deno.writeFile(path, bytes);
      const error = await assertRejects(() => Database.open({ path, now: Date.now }), SkyError);
      assertEquals(error.code, "database_corrupt", kind);
      assert(error.message.includes(path), error.message);
      assert(error.hint?.includes(`mv '${path}' '${path}.damaged'`));
      assertEquals(await Deno.readFile(path), bytes, kind);
    }
  });
});

Deno.test("Database.open says what is wrong with a place it cannot use", async () => {
  await withFolder(async (folder) => {
    const error = await assertRejects(
      () => Database.open({ path: join(folder, "no", "such", "sky.db"), now: Date.now }),
      SkyError,
    );
    assertMatch(error.message, /no\/such\/sky\.db' failed: /);
  });
});

Deno.test("Database refuses new rows on a full disk, while what ends things still goes through", async () => {
  await withDatabase(async (database, _folder, clock) => {
    await database.write({ sql: T });
    const [row] = await database.read<{ page_count: number }>("PRAGMA page_count");
    // The same answer as from a full disk, and only ours: no more pages.
    await database.read(`PRAGMA max_page_count = ${row?.page_count}`);
    const big = { sql: "INSERT INTO t VALUES ('big', 1, zeroblob(100000))" };
    const error = await assertRejects(() => database.write(big), SkyError);
    assertEquals(error.code, "disk_full");
    assert(error.hint !== undefined);
    // It is noted, and looked at again after a second: this disk has room, so the note goes.
    await assertRejects(async () => await database.space?.check(), SkyError, "No space is left");
    clock.now += 1000;
    await database.space?.check();
    await database.write(put("small"));
    const urgent = await assertRejects(() => database.write(big, { urgent: true }), SkyError);
    assertEquals(urgent.code, "disk_full");
    await database.read("PRAGMA max_page_count = 1000000");
    assertEquals(await database.write(big, { urgent: true }), { rowsAffected: 1 });
  });
});

Deno.test("RequestStore answers the first page and a cluster's requests from an index, with 100k rows", async () => {
  await withDatabase(async (database) => {
    for (let first = 0; first < 100_000; first += 10_000) {
      await database.write({
        sql: `WITH RECURSIVE s (value) AS (SELECT ? UNION ALL SELECT value + 1 FROM s WHERE value < ?)
          INSERT INTO requests (id, name, status, lane, user_id, user_name, workspace, cluster_name, locks, preempts,
            resumable, streaming, control, created_at, finished_at, command, shown_body)
          SELECT 'id-' || value, 'sky.launch', iif(value % 200 = 0, 'RUNNING', 'SUCCEEDED'), 'long',
            'u' || (value % 50), 'ann', 'default', 'c' || (value % 500), 1, 0, 1, 0, 0, value,
            iif(value % 200 = 0, NULL, value), 'sky launch', '{"task": "' || hex(zeroblob(200)) || '"}' FROM s`,
        args: [first, first + 9999],
      });
    }
    const store = new RequestStore(database);
    const time = async (work: () => Promise<unknown>) => {
      const times: number[] = [];
      for (let n = 0; n < 20; n++) {
        const start = performance.now();
        await work();
        times.push(performance.now() - start);
      }
      return times.sort((a, b) => a - b)[10] ?? 0;
    };
    assertEquals((await store.page({ limit: 50 })).length, 50);
    assertEquals((await store.page({ limit: 1000 })).length, 500);
    assertEquals((await store.page({ limit: 50, allStatus: true }))[0]?.record.id, "id-99999");
    assertEquals((await store.page({ limit: 300, allStatus: true, clusterName: "c7" })).length, 200);
    assertEquals((await store.open()).length, 500);
    for (
      const query of [
        { limit: 50 },
        { limit: 50, allStatus: true },
        { limit: 50, allStatus: true, clusterName: "c7" },
        { limit: 50, clusterName: "c400" },
        { limit: 50, allStatus: true, userId: "u7" },
        { limit: 50, allStatus: true, before: 40_000 },
      ]
    ) {
      const ms = await time(() => store.page(query));
      assert(ms < 10, `${JSON.stringify(query)}: ${ms} ms`);
    }
    assert(await time(() => store.find("id-4321", 11)) < 5);
    assert(await time(() => store.get("id-54321")) < 5);
  });
});
