/**
 * Room inside the database's own files, which nobody else on a full disk can take: free pages in the file, and a log
 * long enough for what must still be written. Leaves the reserve beside the file to space.ts.
 */
import { isSkyError } from "../core/errors.ts";
import type { Database } from "./database.ts";
import { SettingStore } from "./settings.ts";

const BYTES = 1024 * 1024;
const PAGE = 4096;
const KEY = "spare_pages";

/** Make the room unless there is enough; `force`: the log was emptied, make it long again. A full disk is no error. */
export async function keepSparePages(database: Database, options: { force: boolean }): Promise<void> {
  if (database.space === null) return;
  const [row] = await database.read<{ freelist_count: number }>("PRAGMA freelist_count");
  if (!options.force && (row?.freelist_count ?? 0) >= BYTES / PAGE / 2) return;
  const settings = new SettingStore(database);
  try {
    await settings.set(KEY, "0".repeat(BYTES));
    // Into the file before they are freed: free pages that were never written would have no blocks on the disk.
    await database.read("PRAGMA wal_checkpoint(PASSIVE)");
  } catch (error) {
    if (!isSkyError(error, "disk_full")) throw error; // it is too late for this: the next minute tries again
  } finally {
    await settings.delete(KEY);
  }
}
