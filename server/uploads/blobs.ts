/**
 * Uploaded files on disk: parts as they arrive, then one directory per blob (wire.md §12.2). Owns the folder
 * `clients/`; leaves HTTP to direct/upload.ts and what is inside an archive to extract.ts.
 */
import { join } from "@std/path";
import { SkyError } from "../../core/errors.ts";
import { type ExtractLimits, extractZip } from "./extract.ts";
import { mergeTree } from "./merge.ts";

export interface BlobLimits extends ExtractLimits {
  readonly maxParts: number;
  /** Bytes of one part. */
  readonly maxPartBytes: number;
  /** Bytes of all parts of one upload. */
  readonly maxUploadBytes: number;
}

export const DEFAULT_LIMITS: BlobLimits = {
  maxParts: 2000,
  maxPartBytes: 128 * 1024 * 1024, // SkyPilot's clients cut at 95,000,000
  maxUploadBytes: 50 * 1024 ** 3,
  maxEntries: 1_000_000,
  maxBytes: 200 * 1024 ** 3,
};

export interface Part {
  readonly user: string;
  /** `v2`: the id names content and a directory of its own. `v1`: unpacked over the user's earlier v1 uploads. */
  readonly version: "v1" | "v2";
  readonly upload: string;
  readonly index: number;
  readonly total: number;
}

export type PartAnswer =
  | { readonly status: "uploading"; readonly missing_chunks: string[] }
  | { readonly status: "completed"; readonly missing_chunks: null };

const DAY_MS = 86_400_000;
const COMPLETED: PartAnswer = { status: "completed", missing_chunks: null };
const USER = /^[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}$/;
const BLOB = /^[0-9a-f]{64}$/;
const V1 = /^sky-\d{4}(-\d{2}){5}-\d{6}-[0-9a-f]{8}$/;

export class Blobs {
  readonly #folder: string;
  readonly #limits: BlobLimits;
  /** Uploads being joined and unpacked, by directory: whoever comes meanwhile waits for the same end. */
  readonly #finishing = new Map<string, Promise<void>>();

  constructor(folder: string, limits: Partial<BlobLimits> = {}) {
    this.#folder = folder;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
  }

  /** Where the files of a request's blob lie; of v1 uploads for null. */
  base(user: string, blob: string | null): string {
    const mounts = join(this.#userFolder(user), "file_mounts");
    return blob === null ? join(mounts, "v1") : join(mounts, "blobs", checkBlobId(blob));
  }

  /** Whether a blob is there, whole. Its age for the sweep begins anew. */
  async exists(user: string, blob: string): Promise<boolean> {
    try {
      const now = new Date();
      await Deno.utime(this.base(user, blob), now, now);
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  /**
   * Store one part; the one that makes an upload whole (in any order) joins and unpacks it before it is answered.
   * Throws invalid_argument (bad id, bad archive), payload_too_large, disk_full.
   */
  async addPart(part: Part, body: ReadableStream<Uint8Array>): Promise<PartAnswer> {
    this.#checkPart(part);
    if (part.version === "v2" && await this.exists(part.user, part.upload)) {
      await body.cancel();
      return COMPLETED;
    }
    const folder = this.#partsFolder(part);
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    const temporary = join(folder, `${crypto.randomUUID()}.tmp`);
    try {
      await this.#store(body, temporary);
      await Deno.rename(temporary, join(folder, `part${part.index}`));
    } catch (error) {
      await removeIfThere(temporary);
      // The upload was completed by others meanwhile and its parts were swept with this one.
      const gone = error instanceof Deno.errors.NotFound;
      if (gone && part.version === "v2" && await this.exists(part.user, part.upload)) return COMPLETED;
      throw diskError(error);
    }
    const missing = await missingParts(folder, part.total);
    if (missing.length > 0) {
      if (part.version === "v2" && await this.exists(part.user, part.upload)) return COMPLETED;
      return { status: "uploading", missing_chunks: missing };
    }
    await this.#finish(part, folder);
    return COMPLETED;
  }

  /**
   * Remove what nobody needs: blobs and half uploads not touched for `maxAgeMs`, except those in use; logs put together
   * for a download after a day, v1 uploads, of which nobody can say whether they are in use, after a week.
   */
  async sweep(options: { inUse: ReadonlySet<string>; now: number; maxAgeMs: number }): Promise<void> {
    const before = options.now - options.maxAgeMs;
    for (const user of await list(this.#folder)) {
      const mounts = join(this.#folder, user, "file_mounts");
      for (const blob of await list(join(mounts, "blobs"))) {
        const place = join(mounts, "blobs", blob);
        if (!options.inUse.has(blob) && await modifiedAt(place) < before) await removeTree(place);
      }
      for (const upload of await list(join(this.#folder, user, "uploads"))) {
        const place = join(this.#folder, user, "uploads", upload);
        if (!this.#finishing.has(place) && await modifiedAt(place) < before) await removeTree(place);
      }
      const v1 = join(mounts, "v1");
      if (await modifiedAt(v1) < options.now - 7 * DAY_MS) await removeTree(v1);
      await this.#sweepLogs(join(this.#folder, user, "sky_logs"), options.now - DAY_MS);
    }
  }

  async #sweepLogs(folder: string, before: number): Promise<void> {
    for (const cluster of await list(folder)) {
      const jobs = await list(join(folder, cluster));
      for (const job of jobs) {
        const place = join(folder, cluster, job);
        if (await modifiedAt(place) < before) await removeTree(place);
      }
      if (jobs.length === 0 && await modifiedAt(join(folder, cluster)) < before) {
        await removeTree(join(folder, cluster));
      }
    }
  }

  #userFolder(user: string): string {
    if (!USER.test(user)) throw new SkyError("invalid_argument", `Invalid user hash: '${user}'`);
    return join(this.#folder, user);
  }

  #partsFolder(part: Part): string {
    return join(this.#userFolder(part.user), "uploads", part.upload);
  }

  #checkPart(part: Part): void {
    if (part.version === "v2") checkBlobId(part.upload);
    else if (!V1.test(part.upload)) {
      throw new SkyError("invalid_argument", `Invalid upload ID: '${part.upload}'`);
    }
    const { index, total } = part;
    const whole = Number.isInteger(index) && Number.isInteger(total);
    if (!whole || total < 1 || total > this.#limits.maxParts || index < 0 || index >= total) {
      throw new SkyError("invalid_argument", `Invalid chunk index: ${index} of ${total}`);
    }
  }

  async #store(body: ReadableStream<Uint8Array>, path: string): Promise<void> {
    const file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
    using _closing = file;
    let size = 0;
    for await (const chunk of body) {
      size += chunk.length;
      if (size > this.#limits.maxPartBytes) {
        throw new SkyError("payload_too_large", `A chunk exceeds ${this.#limits.maxPartBytes} bytes`);
      }
      for (let done = 0; done < chunk.length;) done += await file.write(chunk.subarray(done));
    }
  }

  #finish(part: Part, folder: string): Promise<void> {
    const running = this.#finishing.get(folder);
    if (running !== undefined) return running;
    const work = this.#joinAndExtract(part, folder).finally(() => this.#finishing.delete(folder));
    this.#finishing.set(folder, work);
    return work;
  }

  async #joinAndExtract(part: Part, folder: string): Promise<void> {
    const target = this.base(part.user, part.version === "v2" ? part.upload : null);
    const staging = join(folder, "tree");
    try {
      await removeTree(staging);
      await Deno.mkdir(staging, { mode: 0o700 });
      const archive = part.total === 1 ? join(folder, "part0") : await this.#join(folder, part.total);
      await extractZip(archive, staging, { limits: this.#limits });
      await Deno.mkdir(join(target, ".."), { recursive: true, mode: 0o700 });
      if (part.version === "v1") await mergeTree(staging, target);
      else await placeWhole(staging, target);
    } catch (error) {
      throw diskError(error);
    } finally {
      // Good or bad, the parts have served: a repeated upload begins anew.
      await removeTree(folder);
    }
  }

  async #join(folder: string, total: number): Promise<string> {
    const path = join(folder, "archive.zip");
    using archive = await Deno.open(path, { write: true, create: true, truncate: true, mode: 0o600 });
    let size = 0;
    for (let index = 0; index < total; index++) {
      const part = join(folder, `part${index}`);
      size += (await Deno.stat(part)).size;
      if (size > this.#limits.maxUploadBytes) {
        throw new SkyError("payload_too_large", `The upload exceeds ${this.#limits.maxUploadBytes} bytes`);
      }
      using source = await Deno.open(part);
      await copy(source, archive);
      await Deno.remove(part);
    }
    return path;
  }
}

/** Throws invalid_argument unless the id is 64 lower-case hex digits. */
export function checkBlobId(id: string): string {
  if (!BLOB.test(id)) throw new SkyError("invalid_argument", `Invalid blob ID: '${id}'`);
  return id;
}

async function copy(source: Deno.FsFile, target: Deno.FsFile): Promise<void> {
  const block = new Uint8Array(256 * 1024);
  for (let count = await source.read(block); count !== null; count = await source.read(block)) {
    for (let done = 0; done < count;) done += await target.write(block.subarray(done, count));
  }
}

async function missingParts(folder: string, total: number): Promise<string[]> {
  const there = new Set(await list(folder));
  return Array.from({ length: total }, (_, index) => `part${index}`).filter((name) => !there.has(name));
}

/** The blob appears under its name whole or not at all. */
async function placeWhole(staging: string, target: string): Promise<void> {
  try {
    await Deno.rename(staging, target);
  } catch (error) {
    // Same content under the same id came first.
    const there = error instanceof Error && "code" in error &&
      ["ENOTEMPTY", "EEXIST"].includes(String(error.code));
    if (!there) throw error;
  }
}

async function list(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map((entry) => entry.name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return [];
    throw error;
  }
}

/** Unix ms; for what is not there, never. */
async function modifiedAt(path: string): Promise<number> {
  try {
    return (await Deno.lstat(path)).mtime?.getTime() ?? 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return Infinity;
    throw error;
  }
}

async function removeTree(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

const removeIfThere = removeTree;

function diskError(error: unknown): unknown {
  if (!(error instanceof Error) || !("code" in error)) return error;
  if (error.code !== "ENOSPC" && error.code !== "EDQUOT") return error;
  return new SkyError("disk_full", "The disk of the API server is full", { cause: error });
}
