/**
 * The disk's last metres. Owns a reserve file that is given up so that final states can still be written on a
 * full disk, and the answer to "may new work be accepted?". Leaves deciding what is urgent to its callers.
 */
import { statfs } from "node:fs/promises";
import { dirname } from "@std/path";
import { diskFull, isDiskFull } from "./faults.ts";

const BLOCK = 64 * 1024;

export interface SpaceOptions {
  readonly now: () => number;
  /** Bytes held back. Default 2 MiB: some hundred final states. */
  readonly reserveBytes?: number;
}

export class Space {
  readonly #path: string;
  readonly #now: () => number;
  readonly #bytes: number;
  #full = false;
  #held = false;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #probedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | null = null;
  #probing: Promise<void> | null = null;

  constructor(path: string, options: SpaceOptions) {
    this.#path = path;
    this.#now = options.now;
    this.#bytes = options.reserveBytes ?? 2 * 1024 * 1024;
  }

  /** Take the reserve if it is not there. A disk that is full already is noted, not an error. */
  async open(): Promise<void> {
    try {
      const { size } = await Deno.stat(this.#path);
      this.#held = size >= this.#bytes;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    if (!this.#held) await this.#probe();
  }

  /** Somebody met a full disk. */
  report(): void {
    this.#full = true;
  }

  /** Give the reserve up; true if there was one, so that a retry makes sense. */
  release(): boolean {
    this.#full = true;
    if (!this.#held) return false;
    this.#held = false;
    try {
      Deno.removeSync(this.#path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // gone already: its bytes are free
    }
    return true;
  }

  /** Throws disk_full while new work must be refused. Looks at most once a second. */
  async check(): Promise<void> {
    // Who comes while it is being looked at waits as well: requests keep the order in which they came.
    if (!this.#full && (this.#looking !== null || Math.abs(this.#now() - this.#lookedAt) >= 1000)) {
      this.#looking ??= this.#look().finally(() => this.#looking = null);
      await this.#looking;
    }
    if (!this.#full) return;
    if (Math.abs(this.#now() - this.#probedAt) >= 1000 || this.#probing !== null) {
      this.#probing ??= this.#probe().finally(() => this.#probing = null);
      await this.#probing;
    }
    if (this.#full) throw diskFull(dirname(this.#path));
  }

  /** Less left than the reserve: new work would only fail half-way. */
  async #look(): Promise<void> {
    this.#lookedAt = this.#now();
    try {
      const { bavail, bsize } = await statfs(dirname(this.#path));
      if (bavail * bsize < this.#bytes) this.#full = true;
    } catch {
      // Not every file system tells. A full one is met soon enough.
    }
  }

  /**
   * Take the reserve again. On a disk that was full, space is back when as much can be written once more beside it:
   * the reserve's own bytes, just given up, are no room for new work.
   */
  async #probe(): Promise<void> {
    this.#probedAt = this.#now();
    const beside = `${this.#path}.probe`;
    let target = this.#path;
    try {
      if (!this.#held) await this.#fill(target);
      this.#held = true;
      target = beside;
      if (this.#full) {
        await this.#fill(target);
        await Deno.remove(target);
      }
      this.#full = false;
    } catch (error) {
      await Deno.remove(target).catch(() => undefined); // nothing was written, or the next probe overwrites it
      if (!isDiskFull(error)) throw error;
      this.#full = true;
    }
  }

  async #fill(path: string): Promise<void> {
    // Random bytes: a compressing file system would hold zeros back in no space at all.
    const bytes = new Uint8Array(this.#bytes);
    for (let at = 0; at < bytes.length; at += BLOCK) crypto.getRandomValues(bytes.subarray(at, at + BLOCK));
    const file = await Deno.open(path, { write: true, create: true, truncate: true, mode: 0o600 });
    try {
      for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    } finally {
      file.close();
    }
  }
}
