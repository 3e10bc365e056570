/** The commit of a directory, read from git's own files: the machine need not have git. */
import { dirname, join, resolve } from "@std/path";

const COMMIT = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/;

/** The full hash of HEAD, or null when the directory is in no repository (or one in a form that we do not read). */
export async function commitOf(folder: string): Promise<string | null> {
  const git = await gitFolder(folder);
  if (git === null) return null;
  const head = await read(join(git, "HEAD"));
  const reference = /^ref: (\S+)/.exec(head ?? "")?.[1];
  if (reference === undefined) return valid(head);
  // A worktree keeps its own HEAD, but its branches are in the main repository.
  const common = await read(join(git, "commondir"));
  for (const place of [git, ...(common === null ? [] : [resolve(git, common.trim())])]) {
    const loose = valid(await read(join(place, reference)));
    if (loose !== null) return loose;
    const packed = await read(join(place, "packed-refs"));
    const line = packed?.split("\n").find((one) => one.endsWith(` ${reference}`));
    if (line !== undefined) return valid(line.split(" ")[0] ?? null);
  }
  return null;
}

async function gitFolder(folder: string): Promise<string | null> {
  for (let at = folder;; at = dirname(at)) {
    const path = join(at, ".git");
    const info = await Deno.stat(path).catch(missing);
    if (info?.isDirectory === true) return path;
    // In worktrees and submodules `.git` is a file that names the folder.
    const link = info === null ? null : /^gitdir: (.+)/.exec(await read(path) ?? "")?.[1];
    if (link !== null && link !== undefined) return resolve(at, link.trim());
    if (dirname(at) === at) return null;
  }
}

async function read(path: string): Promise<string | null> {
  return await Deno.readTextFile(path).catch(missing);
}

/** A commit is only told, never needed: whatever cannot be read is as good as absent. */
function missing(error: unknown): null {
  if (error instanceof Error) return null;
  throw error;
}

function valid(text: string | null): string | null {
  const commit = text?.trim() ?? "";
  return COMMIT.test(commit) ? commit : null;
}
