import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { Marks } from "../../clusters/marks.ts";

Deno.test("Marks are remembered over restarts, and take no more room than the file had when it was made", async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "run.marks");
  const marks = await Marks.open(path);
  const { size } = await Deno.stat(path);
  assert(!marks.has("cancel"));
  await marks.add("cancel");
  await marks.add("cluster");
  await marks.add("cancel");
  assertEquals((await Deno.stat(path)).size, size);
  const again = await Marks.open(path);
  assertEquals(["cancel", "cluster", "else"].map((name) => again.has(name)), [true, true, false]);
  await Deno.remove(folder, { recursive: true });
});
