/** A database and a folder of one's own, gone afterwards. */
import { join } from "@std/path";
import { Database, type DatabaseOptions } from "../../state/database.ts";

export interface Clock {
  now: number;
}

export async function withDatabase(
  body: (database: Database, folder: string, clock: Clock) => Promise<void>,
  options: Partial<DatabaseOptions> = {},
): Promise<void> {
  await withFolder(async (folder) => {
    const clock = { now: 1_700_000_000_000 };
    await using database = await Database.open({
      path: join(folder, "sky.db"),
      now: () => clock.now,
      ...options,
    });
    await body(database, folder, clock);
  });
}

export async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const temporary = await Deno.makeTempDir({ prefix: "sky-state-" });
  // A path with a space and characters that mean something in a URL.
  const folder = join(temporary, "a b #1 %41?x=é");
  await Deno.mkdir(folder);
  try {
    await body(folder);
  } finally {
    await Deno.remove(temporary, { recursive: true });
  }
}

/** Poll until it holds; fails after `ms`. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, ms = 5000): Promise<void> {
  const end = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
