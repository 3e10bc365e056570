/** Room inside the database's own files for what must be written on a full disk. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { SkyError } from "../../core/errors.ts";
import { SettingStore } from "../../state/settings.ts";
import { keepSparePages } from "../../state/spare_pages.ts";
import { withDatabase } from "./fixture.ts";

Deno.test("keepSparePages leaves free pages in the file and a long log, once, and nothing else", async () => {
  await withDatabase(async (database, folder) => {
    const free = async () => {
      const [row] = await database.read<{ freelist_count: number }>("PRAGMA freelist_count");
      return row?.freelist_count ?? 0;
    };
    await keepSparePages(database, { force: true });
    const pages = await free();
    assert(pages >= 250, `${pages} pages`);
    const { size } = await Deno.stat(join(folder, "sky.db"));
    assert(size >= 1024 * 1024, "they are in the file, not only in its log");
    assert((await Deno.stat(join(folder, "sky.db-wal"))).size >= 1024 * 1024);
    assertEquals(await database.read("SELECT key FROM settings WHERE key = 'spare_pages'"), []);
    await keepSparePages(database, { force: false });
    await keepSparePages(database, { force: true });
    assertEquals(await free(), pages);
    // What comes next uses them: the file does not grow.
    await new SettingStore(database).set("x", "y".repeat(500_000));
    await database.checkpoint();
    assertEquals((await Deno.stat(join(folder, "sky.db"))).size, size);
    assert(await free() < pages);
  });
});

Deno.test("Space.check sees a disk that has less left than the reserve, before anything fails", async () => {
  await withDatabase(async (database, _folder, clock) => {
    const { space } = database;
    assert(space !== null);
    await space.check();
    space.report();
    await assertRejects(() => space.check(), SkyError, "No space is left");
    clock.now += 1000;
    await space.check();
    // The reserve was given up: it is taken again, and its own bytes are not room enough.
    assert(space.release());
    assert(!space.release());
    clock.now += 1000;
    await space.check();
    assert(space.release(), "it is held again");
  });
});
