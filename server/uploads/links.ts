/** Where symbolic links below a directory lead, walked as the kernel walks them. Reads the tree, changes nothing. */
import { join } from "@std/path";

const MAX_HOPS = 40;

/** Those of `links` (paths below `root`) that leave `root` now or would once something missing appears. */
export async function linksOutside(root: string, links: readonly string[]): Promise<string[]> {
  const outside: string[] = [];
  for (const link of links) {
    if (!await staysInside(root, link)) outside.push(link);
  }
  return outside;
}

/** Danger: a lexical check is not enough, `a/b/..` is not `a` when `b` is a link to somewhere shallower. */
async function staysInside(root: string, link: string): Promise<boolean> {
  const todo = link.split("/");
  let at: string[] = [];
  let hops = 0;
  let missing = false;
  while (todo.length > 0) {
    const segment = todo.shift()!;
    if (segment === "" || segment === ".") continue;
    if (segment === "..") {
      // Behind a missing directory `..` could later lead anywhere.
      if (at.length === 0 || missing) return false;
      at = at.slice(0, -1);
      continue;
    }
    at = [...at, segment];
    if (missing) continue;
    const target = await linkTarget(join(root, ...at));
    if (target === "missing") missing = true;
    else if (target !== null) {
      hops += 1;
      if (hops > MAX_HOPS || target.startsWith("/")) return false;
      at = at.slice(0, -1);
      todo.unshift(...target.split("/"));
    }
  }
  return true;
}

/** The target of a link, null for anything else, `missing` where nothing is. */
async function linkTarget(path: string): Promise<string | null> {
  try {
    const info = await Deno.lstat(path);
    return info.isSymlink ? await Deno.readLink(path) : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return "missing";
    throw error;
  }
}
