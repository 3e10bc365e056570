/**
 * Files from a node, which may mean ill: nothing is written outside of the target, no link is followed, links that
 * lead out of it are left away. Owns putting entries in their places; reading the archive is tar_read.ts's.
 */
import { basename, dirname, join } from "@std/path";
import { describe, isSkyError, SkyError } from "../../../core/errors.ts";
import { isBelow, placeOf } from "../mount_target.ts";
import { PACK } from "../node/copy.ts";
import type { RemoteNode } from "./runner.ts";
import { type ReadEntry, readTar } from "./tar_read.ts";
import type { Copy } from "./upload.ts";
import { nullIfMissing } from "./walk.ts";

/** Copy as CommandRunner.download says. */
export async function downloadFrom(node: RemoteNode, { source, target, signal }: Copy): Promise<void> {
  const { path } = placeOf(source, node.home);
  const opened = await node.files.open(PACK, { args: [path], signal, processes: node.processes ?? null });
  const pieces = opened.stdout[Symbol.asyncIterator]();
  let end;
  try {
    const { kind, rest } = await firstLine(pieces);
    if (kind === "N") {
      throw new SkyError("file_not_found", `Cannot copy '${source}': there is no such file`);
    }
    const content = withFirst(rest, pieces);
    if (kind === "F") {
      await receiveFile(content, { target, name: basename(path), ended: opened.ended });
    } else if (kind === "D") {
      await receiveTree(content, { path, target, node });
    }
    end = await opened.ended;
  } catch (error) {
    await pieces.return?.();
    await opened.ended.catch(() => {}); // The first error is the one to tell.
    signal.throwIfAborted();
    throw guarded(target, error);
  }
  // 1 is tar's word for a file that changed while it was read.
  if (end.code > 1) {
    const why = end.stderr.trim().split("\n")[0] ?? "";
    throw new SkyError(
      /Permission denied/.test(end.stderr) ? "permission_denied" : "command_failed",
      `Cannot copy '${source}': ${why.slice(0, 300)}`,
    );
  }
}

async function firstLine(pieces: AsyncIterator<Uint8Array>): Promise<{ kind: string; rest: Uint8Array }> {
  let text = new Uint8Array();
  for (;;) {
    const { done, value } = await pieces.next();
    if (done === true) return { kind: "", rest: new Uint8Array() };
    text = new Uint8Array([...text, ...value.subarray(0, 2)]);
    if (text.length < 2) continue;
    const used = 2 - (text.length - Math.min(2, value.length));
    return { kind: String.fromCharCode(text[0]!), rest: value.subarray(used) };
  }
}

async function* withFirst(first: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first;
  for (let one = await rest.next(); one.done !== true; one = await rest.next()) yield one.value;
}

async function receiveFile(
  content: AsyncIterable<Uint8Array>,
  { target, name, ended }: { target: string; name: string; ended: Promise<unknown> },
): Promise<void> {
  const inside = (await Deno.stat(target).catch(nullIfMissing))?.isDirectory === true;
  const path = inside ? join(target, name) : target;
  await Deno.mkdir(dirname(path), { recursive: true });
  await replace(path, async (fresh) => {
    await write(fresh, content);
    // It is whole only if the end was received.
    await ended;
  });
}

async function receiveTree(
  content: AsyncIterable<Uint8Array>,
  { path, target, node }: { path: string; target: string; node: RemoteNode },
): Promise<void> {
  if ((await Deno.stat(target).catch(nullIfMissing))?.isDirectory !== true) {
    await Deno.mkdir(target, { recursive: true });
  }
  const tree = { target, note: (text: string) => node.note(text), modes: new Map<string, ReadEntry>() };
  // Job directories hold the scripts and how we run them: not what a user asked for.
  const inLogs = isBelow(path, `${node.home}/sky_logs`);
  for await (const entry of readTar(content)) {
    if (entry.path === "" || (inLogs && `/${entry.path}/`.includes("/.job/"))) continue;
    await receiveEntry(entry, tree);
  }
  for (const [place, entry] of [...tree.modes].reverse()) await finish(place, entry);
}

interface Tree {
  readonly target: string;
  note(text: string): void;
  /** Directories, whose times and modes are set at the end. */
  readonly modes: Map<string, ReadEntry>;
}

async function receiveEntry(entry: ReadEntry, tree: Tree): Promise<void> {
  const path = join(tree.target, entry.path);
  await openFolders(tree.target, dirname(entry.path));
  if (entry.type === "directory") {
    await openFolders(tree.target, entry.path);
    tree.modes.set(path, entry);
  } else if (entry.type === "file") {
    await replace(path, async (fresh) => {
      await write(fresh, entry.content());
      await finish(fresh, entry);
    });
  } else if (entry.type === "link") {
    if (!staysBelow(entry)) return tree.note(`Skipped ${path}: a link out of what was copied`);
    await replace(path, (fresh) => Deno.symlink(entry.target, fresh));
  } else if (entry.type === "hard") {
    // The other name of a file that came before; it may have been replaced by a link since.
    await openFolders(tree.target, dirname(entry.target));
    const other = join(tree.target, entry.target);
    const info = await Deno.lstat(other).catch(nullIfMissing);
    if (info?.isFile !== true) return tree.note(`Skipped ${path}: it is another name of nothing`);
    if (other === path) return;
    await replace(path, (fresh) => Deno.copyFile(other, fresh));
  } else {
    tree.note(`Skipped ${path}: not a regular file`);
  }
}

/** Whether a link points below the top of the tree, by its words alone. */
function staysBelow({ path, target }: ReadEntry): boolean {
  if (target === "" || target.startsWith("/") || target.includes("\0")) return false;
  const parts = path.split("/").slice(0, -1);
  for (const part of target.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return false;
  }
  return true;
}

/** Make every directory of a path below `top`; a link or file in its place is replaced, never followed. */
async function openFolders(top: string, path: string): Promise<void> {
  let place = top;
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    place = join(place, part);
    const old = await Deno.lstat(place).catch(nullIfMissing);
    if (old?.isDirectory) continue;
    if (old !== null) await Deno.remove(place);
    await Deno.mkdir(place, { mode: 0o700 });
  }
}

async function write(path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  for await (const piece of content) {
    for (let at = 0; at < piece.length;) at += await file.write(piece.subarray(at));
  }
}

async function finish(path: string, { mode, mtime, type }: ReadEntry): Promise<void> {
  await Deno.chmod(path, mode | (type === "directory" ? 0o700 : 0o600));
  const time = new Date(mtime * 1000);
  if (!Number.isNaN(time.getTime())) await Deno.utime(path, time, time);
}

/** Make something beside `path` and put it in its place. A directory with content is not replaced. */
async function replace(path: string, make: (path: string) => Promise<void>): Promise<void> {
  const fresh = join(dirname(path), `.sky-${crypto.randomUUID()}`);
  try {
    await make(fresh);
    const old = await Deno.lstat(path).catch(nullIfMissing);
    if (old?.isDirectory) await Deno.remove(path);
    await Deno.rename(fresh, path);
  } catch (error) {
    await Deno.remove(fresh).catch(() => {}); // Perhaps never made; the first error is the one to tell.
    throw error;
  }
}

function guarded(target: string, error: unknown): unknown {
  if (isSkyError(error)) return error;
  const code = (error as { code?: unknown }).code;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new SkyError("disk_full", `Cannot copy to '${target}': no space left on the disk`, {
      cause: error,
    });
  }
  if (typeof code !== "string") return error;
  return new SkyError("command_failed", `Cannot copy to '${target}': ${describe(error)}`, { cause: error });
}
