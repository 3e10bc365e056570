/**
 * Copies files on this machine as `rsync -a` without owner, group and `--delete` would: symlinks stay symlinks,
 * modes and times are kept, what has the same size and time is left alone, files appear whole. Owns the walk;
 * which files are left out is ignore_rules.ts, where they go mount_target.ts.
 */
import { basename, dirname, join } from "@std/path";
import { describe, isSkyError, SkyError } from "../../core/errors.ts";
import { isIgnored, type Rules, rulesBelow, topRules } from "./ignore_rules.ts";

export interface CopyOptions {
  readonly signal: AbortSignal;
  /** Told, in words, of what was skipped. */
  note(text: string): void;
  /** Whether `.skyignore` and `.gitignore` files count. */
  readonly ignoreFiles: boolean;
  /** Directories never entered, wherever they are met; e.g. where the copies go. */
  readonly avoid: readonly string[];
  /** Leave out this path, relative to the source. */
  leaveOut?(path: string): boolean;
}

interface Walk {
  readonly source: string;
  readonly target: string;
  readonly options: CopyOptions;
  readonly avoid: ReadonlySet<string>;
  /** Runs a piece of work when fewer than FILES_AT_ONCE run. */
  readonly gate: <T>(work: () => Promise<T>) => Promise<T>;
}

const FILES_AT_ONCE = 8;
const ENTRIES_AT_ONCE = 32;
/** Files above this are copied in pieces, so that a cancel need not wait for them. */
const WHOLE_FILE = 16 << 20;
const PIECE = 1 << 20;

/**
 * Copy a file to `target` (into it, if that is a directory), or merge a directory's content into `target`. A
 * source that is a symlink is followed, those below it are not. Throws file_not_found, permission_denied,
 * disk_full, command_failed, or the signal's reason; files copied before stay.
 */
export async function copyInto(source: string, target: string, options: CopyOptions): Promise<void> {
  options.signal.throwIfAborted();
  const info = await guarded(source, () => Deno.stat(source));
  const walk: Walk = {
    source,
    target,
    options,
    avoid: new Set((await Promise.all(options.avoid.map(fingerprint))).filter((one) => one !== null)),
    gate: makeGate(FILES_AT_ONCE),
  };
  if (info.isDirectory) {
    const made = await openTop(target);
    await copyDirectory(walk, "", options.ignoreFiles ? await topRules(source) : null);
    if (made) await guarded(target, () => finish(target, info));
  } else if (info.isFile) {
    const inside = (await statOrNull(target))?.isDirectory === true;
    const path = inside ? join(target, basename(source)) : target;
    await guarded(path, () => Deno.mkdir(dirname(path), { recursive: true }));
    await copyFile(walk, source, { path, info });
  } else {
    options.note(`Skipped ${source}: not a regular file`);
  }
}

async function copyDirectory(walk: Walk, path: string, rules: Rules | null): Promise<void> {
  const entries = await guarded(
    join(walk.source, path),
    () => Array.fromAsync(Deno.readDir(join(walk.source, path))),
  );
  for (let at = 0; at < entries.length; at += ENTRIES_AT_ONCE) {
    walk.options.signal.throwIfAborted();
    const some = entries.slice(at, at + ENTRIES_AT_ONCE);
    // Everybody is waited for, so that nothing goes on behind the back of a caller who saw an error.
    const ends = await Promise.allSettled(
      some.map((entry) => copyEntry(walk, path === "" ? entry.name : `${path}/${entry.name}`, rules)),
    );
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }
}

async function copyEntry(walk: Walk, path: string, rules: Rules | null): Promise<void> {
  const { options } = walk;
  if (options.leaveOut?.(path)) return;
  const source = join(walk.source, path);
  const target = join(walk.target, path);
  const info = await lstatOrNull(source);
  if (info === null) return options.note(`Skipped ${source}: it vanished, or its name is no Unicode text`);
  const directory = info.isDirectory;
  if (rules !== null && isIgnored(rules, path, { directory })) return;
  if (info.isSymlink) return await copyLink(source, target);
  if (info.isFile) return await walk.gate(() => copyFile(walk, source, { path: target, info }));
  if (!directory) return options.note(`Skipped ${source}: not a regular file`);
  if (walk.avoid.has(`${info.dev}:${info.ino}`)) {
    return options.note(`Skipped ${source}: it is where sky keeps its nodes`);
  }
  await guarded(target, () => openDirectory(target));
  await copyDirectory(walk, path, rules === null ? null : await rulesBelow(rules, walk.source, path));
  await guarded(target, () => finish(target, info));
}

/** The directory itself may be reached by a link; true if it had to be made. */
async function openTop(path: string): Promise<boolean> {
  if ((await statOrNull(path))?.isDirectory) return false;
  await guarded(path, async () => {
    if (await lstatOrNull(path) !== null) await Deno.remove(path);
    await Deno.mkdir(path, { recursive: true });
  });
  return true;
}

/** Make or open a directory for writing; a link or file in its place is replaced, never followed. */
async function openDirectory(path: string): Promise<void> {
  const old = await lstatOrNull(path);
  if (old?.isDirectory) {
    const mode = old.mode ?? 0o700;
    if ((mode & 0o700) !== 0o700) await Deno.chmod(path, (mode & 0o7777) | 0o700);
    return;
  }
  if (old !== null) await Deno.remove(path);
  await Deno.mkdir(path, { mode: 0o700 });
}

/** Mode and times, once nothing more is written below. */
async function finish(path: string, info: Deno.FileInfo): Promise<void> {
  if (info.mode !== null) await Deno.chmod(path, info.mode & 0o7777);
  const time = info.mtime ?? new Date(0);
  await Deno.utime(path, time, time);
}

async function copyLink(source: string, target: string): Promise<void> {
  await guarded(target, async () => {
    const points = await Deno.readLink(source);
    const old = await lstatOrNull(target);
    if (old?.isSymlink && await Deno.readLink(target) === points) return;
    await replace(target, old, (path) => Deno.symlink(points, path));
  });
}

async function copyFile(
  walk: Walk,
  source: string,
  { path, info }: { path: string; info: Deno.FileInfo },
): Promise<void> {
  const { signal, note } = walk.options;
  signal.throwIfAborted();
  const old = await lstatOrNull(path);
  const same = old?.isFile && old.size === info.size && old.mtime?.getTime() === info.mtime?.getTime();
  await guarded(path, async () => {
    if (same) {
      if (info.mode !== null && old.mode !== info.mode) await Deno.chmod(path, info.mode & 0o7777);
      return;
    }
    await replace(path, old, async (fresh) => {
      await transfer(source, fresh, { signal, size: info.size });
      await finish(fresh, info);
    });
  }, () => note(`Skipped ${source}: it vanished while it was being copied`));
}

/** Make something beside `path` and put it in its place. A directory with content is not replaced. */
async function replace(path: string, old: Deno.FileInfo | null, make: (path: string) => Promise<void>) {
  const fresh = join(dirname(path), `.sky-${crypto.randomUUID()}`);
  try {
    await make(fresh);
    if (old?.isDirectory) await Deno.remove(path);
    await Deno.rename(fresh, path);
  } catch (error) {
    await Deno.remove(fresh).catch(() => {}); // Perhaps never made; the first error is the one to tell.
    throw error;
  }
}

async function transfer(from: string, to: string, { signal, size }: { signal: AbortSignal; size: number }) {
  if (size <= WHOLE_FILE) return await Deno.copyFile(from, to);
  using input = await Deno.open(from);
  const output = await Deno.open(to, { write: true, createNew: true, mode: 0o600 });
  using _closing = output;
  const piece = new Uint8Array(PIECE);
  while (true) {
    signal.throwIfAborted();
    const length = await input.read(piece);
    if (length === null) return;
    for (let at = 0; at < length;) at += await output.write(piece.subarray(at, length));
  }
}

/** Says what went wrong and where, in our words. `vanished` is told instead of throwing if a file is gone. */
async function guarded<T>(path: string, work: () => Promise<T>, vanished?: () => void): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isSkyError(error) || !(error instanceof Error)) throw error;
    if (error instanceof Deno.errors.NotFound) {
      if (vanished !== undefined) return vanished() as T;
      throw new SkyError("file_not_found", `Cannot copy '${path}': there is no such file`, { cause: error });
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new SkyError("permission_denied", `Cannot copy '${path}': permission denied`, { cause: error });
    }
    const code = (error as { code?: unknown }).code;
    if (code === "ENOSPC" || code === "EDQUOT") {
      throw new SkyError("disk_full", `Cannot copy '${path}': no space left on the disk`, { cause: error });
    }
    if (typeof code !== "string") throw error; // Not of the file system, e.g. the reason of an abort.
    throw new SkyError("command_failed", `Cannot copy '${path}': ${describe(error)}`, { cause: error });
  }
}

async function statOrNull(path: string): Promise<Deno.FileInfo | null> {
  return await Deno.stat(path).catch(nullIfMissing);
}

async function lstatOrNull(path: string): Promise<Deno.FileInfo | null> {
  return await Deno.lstat(path).catch(nullIfMissing);
}

function nullIfMissing(error: unknown): null {
  if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
  throw error;
}

async function fingerprint(path: string): Promise<string | null> {
  const info = await statOrNull(path);
  return info === null ? null : `${info.dev}:${info.ino}`;
}

function makeGate(width: number): Walk["gate"] {
  let busy = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (busy >= width) await new Promise<void>((resolve) => waiting.push(resolve));
    else busy++;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) busy--;
      else next();
    }
  };
}
