/**
 * Uploading workdirs and mounts to a remote server (wire.md §12): one zip, named by its content, in chunks; what the
 * server has already is not sent again. Packing is pack.ts's, the zip format zip.ts's.
 */
import { join } from "@std/path";
import type { User } from "../core/context.ts";
import { isSkyError, SkyError } from "../core/errors.ts";
import { dotSky, type Env, userHome } from "../core/paths.ts";
import type { Dag } from "../core/task.ts";
import type { Http } from "./http.ts";
import { uploadPaths, withMapping } from "./mounts.ts";
import { packInto } from "./pack.ts";
import { pause } from "./pause.ts";

const CHUNK_BYTES = 95_000_000;
const PARALLEL = 4;
const TRIES = 3;
const ROUNDS = 3;
const CHUNK_LIMIT_MS = 180_000;

export interface UploadOptions {
  /** `exec` uploads only workdirs. */
  workdirOnly?: boolean;
  /** Where relative paths begin. Default: the process's directory. */
  cwd?: string;
  /** Called when there is something to upload, and as it goes on. Bytes; `total` is null while packing. */
  progress?: (event: UploadProgress) => void;
  signal?: AbortSignal;
  /** For tests: other chunk sizes and pauses. Bytes, milliseconds. */
  chunkBytes?: number;
  retryMs?: number;
}

export interface UploadProgress {
  phase: "pack" | "upload" | "done";
  done: number;
  total: number | null;
}

interface Caller {
  readonly user: User;
  readonly env: Env;
}

/**
 * Upload what the tasks name; the returned DAG carries the mappings. Nothing to upload: blobId null and empty mappings.
 * Throws file_not_found for a missing path, and what the server answers after three rounds.
 */
export async function uploadMounts(
  http: Http,
  dag: Dag,
  options: UploadOptions & Caller,
): Promise<{ dag: Dag; blobId: string | null }> {
  const home = userHome(options.env);
  const base = { home, cwd: options.cwd ?? Deno.cwd(), workdirOnly: options.workdirOnly ?? false };
  const mappings = dag.tasks.map((task) => uploadPaths(task, base));
  const paths = [...new Set(mappings.flatMap((mapping) => Object.values(mapping)))].sort();
  const mapped = withMapping(dag, mappings);
  if (paths.length === 0) return { dag: mapped, blobId: null };
  const progress = options.progress ?? (() => {});
  const folder = await makeFolder(options.env);
  try {
    const zip = join(folder, "upload.zip");
    const packed = (done: number) => progress({ phase: "pack", done, total: null });
    packed(0);
    const blobId = await packInto(zip, paths, { signal: options.signal, progress: packed });
    await withLock(join(dotSky(options.env), "locks", "file_uploads", `${blobId}.lock`), async () => {
      await new Upload(http, zip, blobId, options).run();
    });
    const { size } = await Deno.stat(zip);
    progress({ phase: "done", done: size, total: size });
    return { dag: mapped, blobId };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** For the archive: where temporary files go, or at home where that is read-only or missing. */
async function makeFolder(env: Env): Promise<string> {
  const prefix = "sky-upload-";
  return await Deno.makeTempDir({ prefix }).catch(async () => {
    await Deno.mkdir(dotSky(env), { recursive: true, mode: 0o700 });
    return await Deno.makeTempDir({ dir: dotSky(env), prefix });
  });
}

/** One process at a time uploads the same content; the next one finds it there. */
async function withLock(path: string, work: () => Promise<void>): Promise<void> {
  await Deno.mkdir(join(path, ".."), { recursive: true, mode: 0o700 });
  const file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
  using _closing = file;
  await file.lock(true);
  await work();
}

class Upload {
  readonly #http: Http;
  readonly #path: string;
  readonly #blobId: string;
  readonly #options: UploadOptions & Caller;
  #size = 0;
  #chunkBytes = CHUNK_BYTES;
  #sent = 0;

  constructor(http: Http, path: string, blobId: string, options: UploadOptions & Caller) {
    this.#http = http;
    this.#path = path;
    this.#blobId = blobId;
    this.#options = options;
  }

  async run(): Promise<void> {
    if (await this.#exists()) return;
    this.#size = (await Deno.stat(this.#path)).size;
    this.#chunkBytes = this.#options.chunkBytes ?? CHUNK_BYTES;
    const total = Math.max(1, Math.ceil(this.#size / this.#chunkBytes));
    for (let round = 0; round < ROUNDS; round++) {
      this.#sent = 0;
      // the first answer tells what an earlier, cut upload left there
      const first = await this.#send(0, total);
      if (first === "completed" || await this.#sendAll(first.filter((index) => index < total), total)) return;
    }
    throw new SkyError("network", `Failed to upload files: the server did not put ${total} chunks together`);
  }

  async #exists(): Promise<boolean> {
    let value: unknown;
    try {
      value = await this.#http.json({
        method: "GET",
        path: "/upload_v2/blob",
        query: { user_hash: this.#options.user.id, blob_id: this.#blobId },
        signal: this.#options.signal,
      });
    } catch (error) {
      if (!isSkyError(error) || error.details["status"] !== 404) throw error;
      throw new SkyError(
        "version_mismatch",
        `The SkyPilot API server at ${this.#http.shown} is too old for uploads`,
      );
    }
    return (value as { exists?: unknown } | null)?.exists === true;
  }

  async #sendAll(indexes: readonly number[], total: number): Promise<boolean> {
    const queue = [...indexes];
    let completed = false;
    let failure: unknown = null;
    const lane = async () => {
      for (let next = queue.shift(); next !== undefined && failure === null; next = queue.shift()) {
        try {
          if (await this.#send(next, total) === "completed") completed = true;
        } catch (error) {
          failure ??= error;
        }
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, lane));
    if (failure !== null) throw failure;
    return completed;
  }

  /** Send one chunk; the indexes still missing, or that the blob is whole. */
  async #send(index: number, total: number): Promise<"completed" | number[]> {
    for (let tries = 1;; tries++) {
      try {
        const answer = await this.#attempt(index, total) as
          | { status?: unknown; missing_chunks?: unknown }
          | null;
        this.#sent += this.#range(index).length;
        this.#options.progress?.({
          phase: "upload",
          done: Math.min(this.#sent, this.#size),
          total: this.#size,
        });
        if (answer?.status === "completed") return "completed";
        return Array.isArray(answer?.missing_chunks)
          ? answer.missing_chunks.map((name) => Number(String(name).replace(/^part/, "")))
          : [];
      } catch (error) {
        this.#options.signal?.throwIfAborted();
        if (!isSkyError(error) || tries >= TRIES || refused(error)) throw chunkError(error, index, total);
        const busy = isSkyError(error, "server_busy");
        await pause(this.#options.retryMs ?? (busy ? 10_000 : 1_000), this.#options.signal);
      }
    }
  }

  #range(index: number): { from: number; length: number } {
    const from = index * this.#chunkBytes;
    return { from, length: Math.min(this.#chunkBytes, this.#size - from) };
  }

  #attempt(index: number, total: number): Promise<unknown> {
    const { user, signal } = this.#options;
    return this.#http.json({
      method: "POST",
      path: "/upload_v2",
      query: { user_hash: user.id, upload_id: this.#blobId, chunk_index: index, total_chunks: total },
      headers: { "Content-Type": "application/octet-stream" },
      body: () => slice(this.#path, this.#range(index)),
      bare: true,
      signal,
      limit: CHUNK_LIMIT_MS,
      waitBusy: false,
    });
  }
}

/** What repeating cannot mend. */
function refused(error: SkyError): boolean {
  const status = error.details["status"];
  if (typeof status === "number") return status < 500 && status !== 408 && status !== 429;
  return ["invalid_argument", "payload_too_large", "permission_denied", "auth_required", "disk_full"]
    .includes(error.code);
}

function chunkError(error: unknown, index: number, total: number): unknown {
  if (!isSkyError(error)) return error;
  const status = error.details["status"];
  const suffix = status === undefined ? "" : ` (Status code: ${status})`;
  return new SkyError(
    error.code,
    `Failed to upload chunk: ${index + 1} / ${total}: ${error.message}${suffix}`,
    {
      cause: error,
      hint: error.hint,
      details: error.details,
    },
  );
}

/** A part of a file as a stream, read as it is sent. */
async function slice(
  path: string,
  range: { from: number; length: number },
): Promise<ReadableStream<Uint8Array>> {
  const file = await Deno.open(path);
  await file.seek(range.from, Deno.SeekMode.Start);
  let left = range.length;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const buffer = new Uint8Array(Math.min(left, 1 << 18));
      const read = left === 0 ? null : await file.read(buffer);
      if (read === null) {
        file.close();
        controller.close();
        return;
      }
      left -= read;
      controller.enqueue(buffer.subarray(0, read));
    },
    cancel: () => file.close(),
  });
}
