/**
 * Unpacks an uploaded zip (wire.md §12.2) below one directory, and nowhere else: no entry, link or chain of links
 * may reach out of it. Leaves storing, naming and sweeping of uploads to blobs.ts.
 */
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import { dirname, join } from "@std/path";
import { isSkyError, SkyError } from "../../core/errors.ts";
import { linksOutside } from "./links.ts";
import type { Zip, ZipEntry } from "./zip_file.ts";

export interface ExtractLimits {
  readonly maxEntries: number;
  /** Bytes of all files together, unpacked. */
  readonly maxBytes: number;
}

interface Item {
  /** Below the target, no leading `/`, no `.` or `..` segments. */
  readonly path: string;
  readonly entry: ZipEntry;
}

const WRITERS = 8;
const MAX_LINK_TARGET = 4096;
const SYMLINK = 0xA;

/**
 * Unpack into `target`, which must exist and be empty. Throws invalid_argument (`Invalid zip file: …`) for anything
 * wrong with the archive; the caller then removes the target. Files get 0600 or, when marked executable, 0700.
 */
export async function extractZip(source: string, target: string, options: {
  limits: ExtractLimits;
  signal?: AbortSignal;
}): Promise<void> {
  using file = await Deno.open(source);
  try {
    const { openZip } = await import("./zip_file.ts");
    const zip = await openZip(file);
    try {
      await extract(zip, target, options);
    } finally {
      zip.close();
    }
  } catch (error) {
    throw isOurs(error, options.signal) ? error : invalidZip(error);
  }
}

async function extract(
  zip: Zip,
  target: string,
  { limits, signal }: { limits: ExtractLimits; signal?: AbortSignal },
): Promise<void> {
  if (zip.entryCount > limits.maxEntries) {
    throw tooLarge(`it holds ${zip.entryCount} entries, at most ${limits.maxEntries} are allowed`);
  }
  const directories: string[] = [];
  const files: Item[] = [];
  const links: Item[] = [];
  let bytes = 0;
  for await (const entry of zip.eachEntry()) {
    signal?.throwIfAborted();
    const name = entryName(entry.fileNameRaw);
    const path = safePath(name);
    bytes += entry.uncompressedSize;
    if (bytes > limits.maxBytes) throw tooLarge(`unpacked it exceeds ${limits.maxBytes} bytes`);
    if (entry.isEncrypted()) throw invalidZip(`entry '${name}' is encrypted`);
    // The link test comes first: a link to a directory has a name that ends in `/`.
    if (entry.externalFileAttributes >>> 28 === SYMLINK) links.push({ path, entry });
    else if (name.endsWith("/")) directories.push(path);
    else files.push({ path, entry });
  }
  for (const path of directories) await Deno.mkdir(join(target, path), { recursive: true, mode: 0o700 });
  await writeFiles(zip, files, { target, signal });
  // Links come last and are judged together: until then no path below the target leads through one.
  for (const item of links) await writeLink(zip, item, target);
  const outside = await linksOutside(target, links.map((item) => item.path));
  if (outside.length > 0) throw invalidZip(`symbolic link '${outside[0]}' leaves the archive`);
}

/** A few at a time: most of a small file's cost is waiting for the disk. */
async function writeFiles(
  zip: Zip,
  files: readonly Item[],
  { target, signal }: { target: string; signal: AbortSignal | undefined },
): Promise<void> {
  const parents = new Set(files.map((item) => dirname(item.path)));
  for (const path of parents) await Deno.mkdir(join(target, path), { recursive: true, mode: 0o700 });
  const rest = files.values();
  let failed = false;
  const writer = async () => {
    for (const item of rest) {
      signal?.throwIfAborted();
      if (failed) return;
      try {
        await writeFile(zip, item, target);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  // All of them end before anything is cleaned up.
  const ends = await Promise.allSettled(Array.from({ length: WRITERS }, writer));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

async function writeFile(zip: Zip, { path, entry }: Item, target: string): Promise<void> {
  const place = join(target, path);
  const executable = (entry.externalFileAttributes >>> 16 & 0o111) !== 0;
  using file = await Deno.open(place, { write: true, createNew: true, mode: executable ? 0o700 : 0o600 });
  let sum = 0;
  for await (const chunk of await zip.openReadStreamPromise(entry)) {
    sum = crc32(chunk, sum);
    for (let done = 0; done < chunk.length;) done += await file.write(chunk.subarray(done));
  }
  if (sum !== entry.crc32) throw invalidZip(`entry '${path}' is damaged`);
}

async function writeLink(zip: Zip, { path, entry }: Item, target: string): Promise<void> {
  if (entry.uncompressedSize > MAX_LINK_TARGET) throw invalidZip(`the target of link '${path}' is too long`);
  const parts: Uint8Array[] = [];
  for await (const chunk of await zip.openReadStreamPromise(entry)) parts.push(chunk);
  const to = decode(Buffer.concat(parts));
  if (to === "" || to.startsWith("/") || to.includes("\0")) {
    throw invalidZip(`symbolic link '${path}' has the target '${to}', which is not a relative path`);
  }
  const place = join(target, path);
  await Deno.mkdir(dirname(place), { recursive: true, mode: 0o700 });
  await Deno.symlink(to, place);
}

/** Strip leading slashes (links keep theirs, wire.md §12.2); refuse what climbs. */
function safePath(name: string): string {
  const segments = name.split("/").filter((segment) => segment !== "" && segment !== ".");
  if (segments.length === 0 || segments.includes("..") || name.includes("\0")) {
    throw invalidZip(`entry '${name.replaceAll("\0", "\\0")}' is outside of the archive`);
  }
  return segments.join("/");
}

function entryName(raw: Uint8Array): string {
  return decode(raw);
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalidZip("a name is not UTF-8");
  }
}

/** The machine's faults, not the archive's. */
const OUR_CODES = ["ENOSPC", "EDQUOT", "EIO", "EROFS", "EMFILE", "ENFILE", "EACCES", "EPERM", "ENOMEM"];

function isOurs(error: unknown, signal: AbortSignal | undefined): boolean {
  if (isSkyError(error) || signal?.aborted === true) return true;
  return error instanceof Error && "code" in error && OUR_CODES.includes(String(error.code));
}

function invalidZip(reason: unknown): SkyError {
  const text = reason instanceof Error ? reason.message : String(reason);
  return new SkyError("invalid_argument", `Invalid zip file: ${text}`, { cause: reason });
}

function tooLarge(reason: string): SkyError {
  return new SkyError("payload_too_large", `The uploaded archive is too large: ${reason}`);
}
