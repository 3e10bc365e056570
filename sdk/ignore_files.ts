/**
 * Walking a directory for an upload: `.skyignore` files if the root has one, else `.gitignore` files and
 * `.git/info/exclude` (domain.md §1.8, wire.md §12.2). `.git` itself is kept unless ignored.
 */
import { join } from "@std/path";
import ignore from "ignore";

export interface Found {
  readonly path: string;
  readonly kind: "file" | "directory" | "link";
}

interface Rules {
  /** Directory that the patterns are relative to, from the root, "" or ending with "/". */
  readonly base: string;
  readonly patterns: { test(path: string): { ignored: boolean; unignored: boolean } };
}

/** Everything below `root` that is not ignored, parents before children, names sorted. Sockets and pipes are left out. */
export async function* walk(root: string): AsyncGenerator<Found> {
  const sky = await readIfThere(join(root, ".skyignore")) !== null;
  const first = sky ? [] : await rulesOf(join(root, ".git", "info", "exclude"), "");
  yield* below(root, "", first, sky ? ".skyignore" : ".gitignore");
}

async function* below(
  root: string,
  base: string,
  rules: readonly Rules[],
  file: string,
): AsyncGenerator<Found> {
  const here = [...rules, ...await rulesOf(join(root, base, file), base)];
  const entries = await Array.fromAsync(Deno.readDir(join(root, base)));
  entries.sort((a, b) => a.name < b.name ? -1 : 1);
  for (const entry of entries) {
    const name = base + entry.name;
    if (ignored(entry.isDirectory ? `${name}/` : name, here)) continue;
    const path = join(root, name);
    if (entry.isSymlink) yield { path, kind: "link" };
    else if (entry.isFile) yield { path, kind: "file" };
    else if (entry.isDirectory) {
      yield { path, kind: "directory" };
      yield* below(root, `${name}/`, here, file);
    }
  }
}

/** The last rule that speaks of the path decides, deeper files after higher ones. */
function ignored(path: string, rules: readonly Rules[]): boolean {
  let answer = false;
  for (const { base, patterns } of rules) {
    const verdict = patterns.test(path.slice(base.length));
    if (verdict.ignored) answer = true;
    else if (verdict.unignored) answer = false;
  }
  return answer;
}

async function rulesOf(path: string, base: string): Promise<Rules[]> {
  const text = await readIfThere(path);
  return text === null ? [] : [{ base, patterns: ignore({ allowRelativePaths: true }).add(text) }];
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    const absent = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory ||
      error instanceof Deno.errors.IsADirectory;
    if (absent) return null;
    throw error;
  }
}
