/**
 * The disk's last metres. Owns a reserve file that is given up so that final states can still be written on a
 * full disk, and the answer to "may new work be accepted?". Leaves deciding what is urgent to its callers.
 */
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
  #probedAt = Number.NEGATIVE_INFINITY;
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

  /** Throws disk_full while new work must be refused. Looks again at most once a second. */
  async check(): Promise<void> {
    if (!this.#full) return;
    if (Math.abs(this.#now() - this.#probedAt) >= 1000 || this.#probing !== null) {
      this.#probing ??= this.#probe().finally(() => this.#probing = null);
      await this.#probing;
    }
    if (this.#full) throw diskFull(dirname(this.#path));
  }

  /** Space is back when as much as the reserve can be written once more. */
  async #probe(): Promise<void> {
    this.#probedAt = this.#now();
    const target = this.#held ? `${this.#path}.probe` : this.#path;
    try {
      await this.#fill(target);
      if (this.#held) await Deno.remove(target);
      this.#held = true;
      this.#full = false;
    } catch (error) {
      await Deno.remove(target).catch(() => undefined); // nothing was written, or the next probe overwrites it
      if (!isDiskFull(error)) throw error;
      this.#full = true;
    }
  }

  async #fill(path: string): Promise<void> {
    // Random bytes: a compressing file system would hold zeros back in no space at all.
    const block = crypto.getRandomValues(new Uint8Array(BLOCK));
    const file = await Deno.open(path, { write: true, create: true, truncate: true, mode: 0o600 });
    try {
      for (let done = 0; done < this.#bytes;) done += await file.write(block);
    } finally {
      file.close();
    }
  }
}
