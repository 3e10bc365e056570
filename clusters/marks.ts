/**
 * A few names that a job's folder remembers, e.g. that it is to be cancelled. Their place on the disk is taken when
 * the file is made, so that remembering one works on a disk that is full.
 */
import { isDiskFull } from "../state/faults.ts";

const SIZE = 64;
const encoder = new TextEncoder();

export class Marks {
  readonly #path: string;
  readonly #names: Set<string>;

  private constructor(path: string, names: Set<string>) {
    this.#path = path;
    this.#names = names;
  }

  static async open(path: string): Promise<Marks> {
    try {
      const text = await Deno.readTextFile(path);
      return new Marks(path, new Set(text.split(/\s+/).filter((name) => name !== "")));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    const marks = new Marks(path, new Set());
    await marks.#write();
    return marks;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** Durable over a kill of this process when it resolves, unless the disk was full when the file was made. */
  async add(name: string): Promise<void> {
    this.#names.add(name);
    await this.#write();
  }

  /** All of it in one write into bytes that are there: a page is seen whole or not at all. */
  async #write(): Promise<void> {
    const text = [...this.#names].join("\n").padEnd(SIZE);
    const file = await Deno.open(this.#path, { write: true, create: true, mode: 0o600 });
    using _closing = file;
    try {
      await file.write(encoder.encode(text));
    } catch (error) {
      // Only where even the empty file had no room: then memory has to do, so that jobs can be ended at all.
      if (!isDiskFull(error)) throw error;
    }
  }
}
