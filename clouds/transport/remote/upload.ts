/**
 * Files to a node: the first time as a tar stream of ours, later by rsync where both ends have it, which sends
 * what has changed alone. Owns that choice; what is copied is walk.ts's, where to is mount_target.ts's.
 */
import { basename } from "@std/path";
import { SkyError } from "../../../core/errors.ts";
import { type Place, placeOf } from "../mount_target.ts";
import { EXISTS, MAKE_LINK, NO_LINK, OPEN_TARGET, UNPACK } from "../node/copy.ts";
import { runProcess } from "../process.ts";
import type { RemoteNode } from "./runner.ts";
import type { RemoteClient } from "./shell.ts";
import { tarEnd, tarHeader, tarPadding } from "./tar_write.ts";
import { nullIfMissing, unreadable, walk, type WalkEntry } from "./walk.ts";

export interface Copy {
  readonly source: string;
  readonly target: string;
  readonly signal: AbortSignal;
}

const PIECE = 1 << 17;

/** Copy as CommandRunner.upload says. */
export async function uploadTo(node: RemoteNode, copy: Copy): Promise<void> {
  copy.signal.throwIfAborted();
  const info = await Deno.stat(copy.source).catch((error) => {
    throw unreadable(copy.source, error);
  });
  if (!info.isDirectory && !info.isFile) {
    return node.note(`Skipped ${copy.source}: not a regular file`);
  }
  const place = placeOf(copy.target, node.home);
  const room = await openTarget(node, place, { ...copy, directory: info.isDirectory });
  if (info.isFile) {
    await sendFile(node, { place, room, info, copy });
  } else if (room.state === "old" && room.rsync && await sendByRsync(node, room, copy)) {
    // Done.
  } else {
    const entries = walk(copy.source, walkOptions(node, copy));
    await unpack(node, [room.path], { content: archive(entries, node, copy), copy });
  }
  if (place.link !== null) await makeLink(node, { ...place, link: place.link }, copy);
}

function walkOptions(node: RemoteNode, copy: Copy) {
  return { signal: copy.signal, note: (text: string) => node.note(text), avoid: node.avoid ?? [] };
}

interface Room {
  /** Directory to unpack in. */
  readonly path: string;
  readonly state: string;
  readonly rsync: boolean;
}

async function openTarget(
  node: RemoteNode,
  place: Place,
  { source, target, signal, directory }: Copy & { directory: boolean },
): Promise<Room> {
  const { code, stdout, stderr } = await node.files.exec(OPEN_TARGET, {
    args: [
      place.path,
      place.link ?? "",
      node.cluster ?? node.home,
      node.home,
      directory ? "directory" : "file",
      basename(source),
    ],
    signal,
    processes: node.processes ?? null,
  });
  if (code === EXISTS) {
    throw new SkyError(
      "command_failed",
      `Cannot mount at '${place.link}': the target destination may already exist`,
    );
  }
  if (code !== 0) throw copyFailure(target, stderr);
  const [path, state, rsync] = stdout.split("\n").slice(-4);
  return { path: path!, state: state!, rsync: rsync === "rsync" };
}

async function sendFile(
  node: RemoteNode,
  { place, room, info, copy }: { place: Place; room: Room; info: Deno.FileInfo; copy: Copy },
): Promise<void> {
  const inside = room.path === place.path;
  const name = inside ? basename(copy.source) : basename(place.path);
  // Under another name first, so that it appears whole.
  const fresh = `.sky-${crypto.randomUUID()}`;
  const one = async function* (): AsyncGenerator<WalkEntry> {
    yield { path: fresh, source: copy.source, info, kind: "file" };
    await Promise.resolve();
  };
  const content = archive(one(), node, copy);
  await unpack(node, [room.path, fresh, name], { content, copy });
}

async function unpack(
  node: RemoteNode,
  args: readonly string[],
  { content, copy }: { content: AsyncGenerator<Uint8Array>; copy: Copy },
): Promise<void> {
  let failure: { error: unknown } | null = null;
  const told = async function* () {
    try {
      yield* content;
    } catch (error) {
      failure = { error };
      // The archive is cut short here, which ends the unpacking.
    }
  };
  const stdin = ReadableStream.from(told());
  let result;
  try {
    const opened = await node.files.open(UNPACK, {
      args,
      stdin,
      signal: copy.signal,
      processes: node.processes ?? null,
    });
    for await (const _ of opened.stdout) continue; // It prints nothing.
    result = await opened.ended;
  } catch (error) {
    // Why the sending ended is the reason; that the connection broke follows from it.
    copy.signal.throwIfAborted();
    throw failure === null ? error : (failure as { error: unknown }).error;
  } finally {
    // Never begun, or left unread.
    await content.return(undefined);
    if (!stdin.locked) await stdin.cancel();
  }
  if (failure !== null) throw (failure as { error: unknown }).error;
  if (result.code !== 0) throw copyFailure(copy.target, result.stderr);
}

async function* archive(
  entries: AsyncIterable<WalkEntry>,
  node: RemoteNode,
  { signal }: Copy,
): AsyncGenerator<Uint8Array> {
  for await (const entry of entries) {
    const { path, source, info, kind } = entry;
    const mode = info.mode ?? (kind === "file" ? 0o644 : 0o755);
    const mtime = (info.mtime?.getTime() ?? 0) / 1000;
    if (kind === "link") {
      const target = await Deno.readLink(source).catch(nullIfMissing);
      if (target !== null) yield tarHeader({ path, type: "link", mode: 0o777, mtime, size: 0, target });
    } else if (kind === "file") {
      yield* fileIn(entry, { node, signal, mode, mtime });
    } else if (kind === "directory") {
      yield tarHeader({ path, type: "directory", mode: mode | 0o700, mtime, size: 0 });
    } else if ((mode & 0o700) !== 0o700) {
      // What its content could not have been put into is closed at the end.
      yield tarHeader({ path, type: "directory", mode, mtime, size: 0 });
    }
  }
  yield tarEnd();
}

async function* fileIn(
  { path, source }: WalkEntry,
  { node, signal, mode, mtime }: { node: RemoteNode; signal: AbortSignal; mode: number; mtime: number },
): AsyncGenerator<Uint8Array> {
  let opened: Deno.FsFile;
  try {
    opened = await Deno.open(source);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw unreadable(source, error);
    return node.note(`Skipped ${source}: it vanished while it was being copied`);
  }
  using file = opened;
  const { size } = await file.stat();
  yield tarHeader({ path, type: "file", mode, mtime, size });
  let left = size;
  while (left > 0) {
    signal.throwIfAborted();
    const piece = new Uint8Array(Math.min(PIECE, left));
    const count = await file.read(piece);
    if (count === null) {
      // It was cut while being read: what is promised is sent, and said.
      node.note(`${source} became shorter while it was being copied`);
      for (; left > 0; left -= Math.min(PIECE, left)) yield new Uint8Array(Math.min(PIECE, left));
      break;
    }
    left -= count;
    yield piece.subarray(0, count);
  }
  yield tarPadding(size);
}

let rsyncHere: boolean | null = null;

/** False if it can't be done so. */
async function sendByRsync(node: RemoteNode, room: Room, copy: Copy): Promise<boolean> {
  const { rsh } = node.files;
  if (rsh === undefined || rsyncHere === false) return false;
  const paths: string[] = [];
  for await (const { path, kind } of walk(copy.source, walkOptions(node, copy))) {
    if (kind !== "after") paths.push(path);
  }
  if (paths.length === 0) return true;
  let done = false;
  await rsh.call(node.files, async (client: RemoteClient) => {
    // Its own splitting knows quotes, but no escapes.
    if (client.argv.some((word) => word.includes("'"))) return;
    const { code, stderr } = await runProcess([
      "rsync",
      "-lpt",
      "-s",
      "--from0",
      "--files-from=-",
      "-e",
      client.argv.map((word) => `'${word}'`).join(" "),
      "--",
      `${await Deno.realPath(copy.source)}/`,
      `sky:${room.path}/`,
    ], {
      env: client.env,
      cwd: "/",
      stdin: `${paths.join("\0")}\0`,
      processes: node.processes ?? null,
      graceMs: 500,
      signal: copy.signal,
    });
    if (code === 127) rsyncHere = false;
    if (code === 24) node.note(`Files vanished while '${copy.source}' was being copied`);
    if (/No space left|Disk quota/.test(stderr)) throw copyFailure(copy.target, stderr);
    done = code === 0 || code === 24;
  }, { signal: copy.signal });
  return done;
}

async function makeLink(node: RemoteNode, place: Place & { link: string }, copy: Copy): Promise<void> {
  const { code, stderr } = await node.files.exec(MAKE_LINK, {
    args: [place.path, place.link, `${node.home}/.sky/links`, JSON.stringify(place.link)],
    signal: copy.signal,
    processes: node.processes ?? null,
  });
  if (code === NO_LINK) {
    throw new SkyError("command_failed", `Cannot mount at '${place.link}': permission denied`, {
      hint: "Use a path below ~ or /tmp, or make a link there yourself",
    });
  }
  if (code !== 0) throw copyFailure(copy.target, stderr);
}

function copyFailure(target: string, stderr: string): SkyError {
  const lines = stderr.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  if (/No space left|Disk quota|Wrote only \d+ of \d+ bytes/i.test(stderr)) {
    return new SkyError("disk_full", `Cannot copy to '${target}': no space left on the disk`);
  }
  const denied = /Permission denied|Read-only file system/i.test(stderr);
  const why = lines[0] ?? "the node gave no reason";
  return new SkyError(
    denied ? "permission_denied" : "command_failed",
    `Cannot copy to '${target}': ${why.slice(0, 300)}`,
  );
}
