/** Packing local paths into one zip for an upload (wire.md §12.2): what goes in, under which names. */
import { dirname, isAbsolute, relative } from "@std/path";
import { SkyError } from "../core/errors.ts";
import { type Found, walk } from "./ignore_files.ts";
import { ZipWriter } from "./zip.ts";

export interface PackOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told the bytes written so far. */
  readonly progress?: (bytes: number) => void;
}

/**
 * Write a zip of files and directory trees (absolute paths); its blob id. Named files are always included, below
 * directories the ignore files count. Throws file_not_found for a path that is not there.
 */
export async function packInto(
  zipPath: string,
  paths: readonly string[],
  options: PackOptions = {},
): Promise<string> {
  using file = await Deno.open(zipPath, { write: true, read: true, createNew: true, mode: 0o600 });
  const zip = new ZipWriter(file);
  for (const path of paths) await addTree(zip, path, options);
  return await zip.finish();
}

async function addTree(zip: ZipWriter, path: string, options: PackOptions): Promise<void> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new SkyError("file_not_found", `Cannot upload '${path}': it does not exist`, { cause });
  }
  if (!info.isDirectory) {
    await add(zip, { path, kind: "file" });
    return;
  }
  await add(zip, { path, kind: "directory" });
  for await (const found of walk(path)) {
    options.signal?.throwIfAborted();
    await add(zip, found);
    options.progress?.(zip.bytes);
  }
}

/** Entry names are absolute paths; only symlinks keep the leading slash (wire.md §12.2). */
async function add(zip: ZipWriter, { path, kind }: Found): Promise<void> {
  const slashed = path.replaceAll("\\", "/");
  const name = slashed.replace(/^\/+/, "");
  if (kind === "directory") {
    if (zip.has(`${name}/`)) return;
    const info = await Deno.stat(path);
    await zip.addDirectory(`${name}/`, { mode: (info.mode ?? 0o755) & 0o7777, modified: info.mtime });
  } else if (kind === "file") {
    if (!zip.has(name)) await zip.addFile(name, path);
  } else {
    const link = await isDirectory(path) ? `${slashed}/` : slashed;
    if (!zip.has(link)) await zip.addSymlink(link, await targetOf(path));
  }
}

async function isDirectory(link: string): Promise<boolean> {
  try {
    return (await Deno.stat(link)).isDirectory;
  } catch (error) {
    // a dangling link, or a loop of links (ELOOP), is kept as it is
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.FilesystemLoop) return false;
    throw error;
  }
}

async function targetOf(link: string): Promise<string> {
  const target = await Deno.readLink(link);
  return isAbsolute(target) ? relative(dirname(link), target) : target;
}
