/** Lays one directory tree over another, for uploads of SkyPilot's older clients (wire.md §12.2, v1). */
import { join } from "@std/path";
import { SkyError } from "../../core/errors.ts";
import { linksOutside } from "./links.ts";

/**
 * Move everything below `source` into `target` (made when missing). What is in the way is replaced; no path leads
 * through a link. Links that would then leave the target are removed and invalid_argument is thrown.
 */
export async function mergeTree(source: string, target: string): Promise<void> {
  await Deno.mkdir(target, { recursive: true, mode: 0o700 });
  await moveInto(source, target);
  const outside = await linksOutside(target, await linksBelow(target, ""));
  for (const link of outside) await Deno.remove(join(target, link));
  if (outside.length > 0) {
    throw new SkyError(
      "invalid_argument",
      `Invalid zip file: symbolic link '${outside[0]}' leaves the upload`,
    );
  }
}

async function moveInto(source: string, target: string): Promise<void> {
  for await (const entry of Deno.readDir(source)) {
    const [from, to] = [join(source, entry.name), join(target, entry.name)];
    const old = await kindOf(to);
    if (entry.isDirectory && old === "directory") {
      await moveInto(from, to);
      continue;
    }
    if (old !== null) await Deno.remove(to, { recursive: true });
    await Deno.rename(from, to);
  }
}

async function linksBelow(root: string, below: string): Promise<string[]> {
  const links: string[] = [];
  for await (const entry of Deno.readDir(join(root, below))) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isSymlink) links.push(path);
    else if (entry.isDirectory) links.push(...await linksBelow(root, path));
  }
  return links;
}

async function kindOf(path: string): Promise<"directory" | "other" | null> {
  try {
    return (await Deno.lstat(path)).isDirectory ? "directory" : "other";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
