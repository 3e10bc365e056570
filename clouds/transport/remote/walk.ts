/** What of a local directory goes to a node, in the order of a tree: the same choice as copy.ts makes. */
import { join } from "@std/path";
import { describe, SkyError } from "../../../core/errors.ts";
import { isIgnored, type Rules, rulesBelow, topRules } from "../ignore_rules.ts";

export interface WalkOptions {
  readonly signal: AbortSignal;
  /** Told, in words, of what was skipped. */
  note(text: string): void;
  /** Directories never entered, wherever they are met. */
  readonly avoid: readonly string[];
}

export interface WalkEntry {
  /** Relative to the source, with `/`. */
  readonly path: string;
  /** Absolute. */
  readonly source: string;
  readonly info: Deno.FileInfo;
  /** `after` a directory's content, for what must be set last. */
  readonly kind: "file" | "link" | "directory" | "after";
}

/** Throws file_not_found, permission_denied, command_failed, or the signal's reason. */
export async function* walk(source: string, options: WalkOptions): AsyncGenerator<WalkEntry> {
  const avoid = new Set<string>();
  for (const path of options.avoid) {
    const info = await Deno.stat(path).catch(nullIfMissing);
    if (info !== null) avoid.add(`${info.dev}:${info.ino}`);
  }
  yield* below({ source, options, avoid }, "", await topRules(source));
}

interface Place {
  readonly source: string;
  readonly options: WalkOptions;
  readonly avoid: ReadonlySet<string>;
}

async function* below(place: Place, folder: string, rules: Rules): AsyncGenerator<WalkEntry> {
  const { options } = place;
  for (const name of await namesIn(join(place.source, folder))) {
    options.signal.throwIfAborted();
    const path = folder === "" ? name : `${folder}/${name}`;
    const source = join(place.source, path);
    const info = await Deno.lstat(source).catch(nullIfMissing);
    if (info === null) {
      options.note(`Skipped ${source}: it vanished, or its name is no Unicode text`);
      continue;
    }
    const directory = info.isDirectory;
    if (isIgnored(rules, path, { directory })) continue;
    if (info.isSymlink) yield { path, source, info, kind: "link" };
    else if (info.isFile) yield { path, source, info, kind: "file" };
    else if (!directory) options.note(`Skipped ${source}: not a regular file`);
    else if (place.avoid.has(`${info.dev}:${info.ino}`)) {
      options.note(`Skipped ${source}: it is where sky keeps its nodes`);
    } else {
      yield { path, source, info, kind: "directory" };
      yield* below(place, path, await rulesBelow(rules, place.source, path));
      yield { path, source, info, kind: "after" };
    }
  }
}

async function namesIn(path: string): Promise<string[]> {
  try {
    const names = (await Array.fromAsync(Deno.readDir(path))).map((entry) => entry.name);
    return names.sort();
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** A local file that can't be read, in our words. */
export function unreadable(path: string, error: unknown): unknown {
  if (error instanceof Deno.errors.NotFound) {
    return new SkyError("file_not_found", `Cannot copy '${path}': there is no such file`, { cause: error });
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new SkyError("permission_denied", `Cannot copy '${path}': permission denied`, { cause: error });
  }
  if (typeof (error as { code?: unknown }).code !== "string") return error;
  return new SkyError("command_failed", `Cannot copy '${path}': ${describe(error)}`, { cause: error });
}

export function nullIfMissing(error: unknown): null {
  if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
  throw error;
}
