/**
 * Which files of a directory an upload leaves out (domain.md §1.9): `.skyignore` files where the source has one
 * at its top, else `.gitignore` files and `.git/info/exclude`. Owns reading and applying them.
 */
import ignore, { type Ignore } from "ignore";
import { join } from "@std/path";

interface Layer {
  /** Directory the patterns are relative to: '' for the source, else `a/b/`. */
  readonly base: string;
  readonly patterns: string;
  readonly rules: Ignore;
}

/** The patterns in force in one directory, from the source's top down: later ones win. */
export interface Rules {
  readonly file: ".skyignore" | ".gitignore";
  readonly layers: readonly Layer[];
}

/** Rules at the top of `source`. */
export async function topRules(source: string): Promise<Rules> {
  const sky = await patternsIn(join(source, ".skyignore"));
  if (sky !== null) return { file: ".skyignore", layers: [layer("", sky)] };
  const layers: Layer[] = [];
  for (const name of [".git/info/exclude", ".gitignore"]) {
    const patterns = await patternsIn(join(source, name));
    if (patterns !== null) layers.push(layer("", patterns));
  }
  return { file: ".gitignore", layers };
}

/** Whether an entry is left out. `path` is relative to the source. */
export function isIgnored(rules: Rules, path: string, { directory }: { directory: boolean }): boolean {
  let ignored = false;
  for (const { base, rules: own } of rules.layers) {
    const verdict = own.test(path.slice(base.length) + (directory ? "/" : ""));
    if (verdict.ignored) ignored = true;
    else if (verdict.unignored) ignored = false;
  }
  return ignored;
}

/** Rules inside a directory that is not ignored: those above it and its own file. */
export async function rulesBelow(rules: Rules, source: string, path: string): Promise<Rules> {
  const layers = rules.layers.map((one) => {
    // A deeper file let this directory in against this layer's will. `ignore` would judge the content by it.
    const inside = path.slice(one.base.length);
    if (!one.rules.ignores(`${inside}/`)) return one;
    return layer(one.base, `${one.patterns}\n!/${escape(inside)}/`);
  });
  const own = await patternsIn(join(source, path, rules.file));
  return { file: rules.file, layers: own === null ? layers : [...layers, layer(`${path}/`, own)] };
}

function layer(base: string, patterns: string): Layer {
  return { base, patterns, rules: ignore({ ignorecase: false }).add(patterns) };
}

function escape(path: string): string {
  return path.replace(/[\\*?[\]!# ]/g, "\\$&");
}

async function patternsIn(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    if (error instanceof Deno.errors.IsADirectory) return null;
    throw error;
  }
}
