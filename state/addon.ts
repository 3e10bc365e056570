/**
 * The native part of libSQL inside the compiled binary. Owns: unpacking it once into the home and pointing the libSQL
 * package at it. Does nothing when run from source, where the package finds its own.
 *
 * Danger: left alone, the runtime would write the addon to a predictable name in $TMPDIR at every start: that
 * fails on a read-only or noexec /tmp and lets another user get in the way (runtime.md §1).
 */
import { Module } from "node:module";
import { zstdDecompressSync } from "node:zlib";
import { join } from "@std/path";

/** Written by scripts/compile.ts. */
const PACKED = "libsql.node.zst";
const FACTS = "libsql.json";

interface Facts {
  /** Holds a part of the content's hash: another build has another file. */
  readonly name: string;
  readonly bytes: number;
}

/** Hook the loader; the addon is in place when this resolves. `resources`: the folder of the bundled files. */
export async function useBundledAddon(cacheDir: string, resources: string): Promise<void> {
  redirect(await unpackAddon(cacheDir, resources));
}

/**
 * Unpack the addon below `cacheDir` (0700) unless it is there; its path. Several processes may do this at once, it
 * appears whole or not at all.
 */
export async function unpackAddon(cacheDir: string, resources: string): Promise<string> {
  const { name, bytes }: Facts = JSON.parse(await Deno.readTextFile(join(resources, FACTS)));
  const target = join(cacheDir, name);
  if (await isWhole(target, bytes)) return target;
  await Deno.mkdir(cacheDir, { recursive: true, mode: 0o700 });
  const packed = await Deno.readFile(join(resources, PACKED));
  const temporary = `${target}.${crypto.randomUUID()}`;
  await Deno.writeFile(temporary, unpacked(packed, bytes), { mode: 0o600 });
  await put(temporary, { target, bytes });
  return target;
}

/**
 * Never over a whole one that another process has put there meanwhile: it may be loaded already, and its space would
 * stay taken, unseen, for as long as that process lives.
 */
async function put(temporary: string, { target, bytes }: { target: string; bytes: number }): Promise<void> {
  try {
    await Deno.link(temporary, target);
  } catch {
    // Somebody else's, or a file system without links.
    if (!await isWhole(target, bytes)) return await Deno.rename(temporary, target);
  }
  await Deno.remove(temporary);
}

/** The archive carries a checksum: what comes out is what was packed. In one piece, which takes half the time. */
function unpacked(packed: Uint8Array, bytes: number): Uint8Array {
  return zstdDecompressSync(packed, { chunkSize: bytes + 1024 });
}

/** Every request for libSQL's platform package becomes one for our file. */
function redirect(target: string): void {
  type Loader = { _load(id: string, ...rest: unknown[]): unknown };
  const loader = Module as unknown as Loader;
  const original = loader._load;
  loader._load = function (id, ...rest) {
    return original.call(this, /^@libsql\/(linux|darwin|win32)-/.test(id) ? target : id, ...rest);
  };
}

/**
 * Whether our file is there, whole. It appears by a rename, in a folder that is ours alone; whoever could change it
 * could change this program. So its 10 MB are not read for a hash at every start.
 */
async function isWhole(path: string, bytes: number): Promise<boolean> {
  try {
    const { isFile, size, uid, mode } = await Deno.lstat(path);
    const ours = uid === null || uid === Deno.uid();
    return isFile && size === bytes && ours && ((mode ?? 0) & 0o022) === 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
