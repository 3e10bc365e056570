/** A zip on disk for yauzl to read, through a file of ours: its own file handling closes whenever it likes. */
import { Buffer } from "node:buffer";
import { Readable } from "node:stream";
import yauzl from "yauzl";

/** The part of yauzl that is used; the package carries no types. */
export interface ZipEntry {
  readonly fileNameRaw: Uint8Array;
  readonly externalFileAttributes: number;
  readonly uncompressedSize: number;
  readonly crc32: number;
  isEncrypted(): boolean;
}

export interface Zip {
  readonly entryCount: number;
  eachEntry(): AsyncIterable<ZipEntry>;
  openReadStreamPromise(entry: ZipEntry): Promise<AsyncIterable<Uint8Array>>;
  close(): void;
}

type Callback = (error: unknown) => void;
const { RandomAccessReader, fromRandomAccessReaderPromise } = yauzl as unknown as {
  RandomAccessReader: new () => object;
  fromRandomAccessReaderPromise(reader: object, size: number, options: object): Promise<Zip>;
};

const BLOCK = 64 * 1024;

/** Rejects with a plain Error when the file is no zip. The file stays the caller's and must outlive the Zip. */
export async function openZip(file: Deno.FsFile): Promise<Zip> {
  const { size } = await file.stat();
  const options = { decodeStrings: false, autoClose: false, lazyEntries: true };
  return await fromRandomAccessReaderPromise(new FileReader(file), size, options);
}

class FileReader extends RandomAccessReader {
  readonly #file: Deno.FsFile;
  /** One at a time: a file has one position. */
  #last: Promise<unknown> = Promise.resolve();
  /** What was read last: the directory is asked for in crumbs. */
  #block: { from: number; bytes: Buffer } = { from: 0, bytes: Buffer.alloc(0) };

  constructor(file: Deno.FsFile) {
    super();
    this.#file = file;
  }

  /** Called by yauzl: bytes [start, end) as a stream. */
  _readStreamForRange(start: number, end: number): Readable {
    const stream = Readable.from(this.#blocks(start, end));
    stream.on("error", () => {}); // yauzl passes it on; after it has let go of the stream it is nobody's
    return stream;
  }

  /** Called by yauzl: fill a part of a buffer. */
  read(buffer: Uint8Array, offset: number, length: number, position: number, callback: Callback): void {
    this.#fill(buffer.subarray(offset, offset + length), position).then(() => callback(null), callback);
  }

  /** Called by yauzl when the zip is closed. */
  close(callback: Callback): void {
    callback(null);
  }

  async #fill(target: Uint8Array, position: number): Promise<void> {
    const inside = () => position - this.#block.from;
    if (inside() < 0 || inside() + target.length > this.#block.bytes.length) {
      this.#block = { from: position, bytes: await this.#readAt(position, Math.max(target.length, BLOCK)) };
    }
    const bytes = this.#block.bytes.subarray(inside(), inside() + target.length);
    if (bytes.length < target.length) throw new Error("unexpected end of file");
    target.set(bytes);
  }

  async *#blocks(start: number, end: number): AsyncGenerator<Uint8Array> {
    for (let at = start; at < end;) {
      const bytes = await this.#readAt(at, Math.min(BLOCK, end - at));
      if (bytes.length === 0) throw new Error("unexpected end of file");
      yield bytes;
      at += bytes.length;
    }
  }

  #readAt(position: number, length: number): Promise<Buffer> {
    const read = this.#last.then(async () => {
      await this.#file.seek(position, Deno.SeekMode.Start);
      const buffer = Buffer.alloc(length);
      let done = 0;
      while (done < length) {
        const count = await this.#file.read(buffer.subarray(done));
        if (count === null) break;
        done += count;
      }
      return buffer.subarray(0, done);
    });
    this.#last = read.catch(() => {}); // whoever asked for it is told; the next read begins anew
    return read;
  }
}
