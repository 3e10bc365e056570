/**
 * Writing a zip file of files, directories and symlinks, with the names and attributes that SkyPilot's servers read,
 * and the content hash of it all, the blob id (wire.md §12.2). Memory stays flat; sizes may pass 4 GiB (zip64).
 */
import { createHash } from "node:crypto";
import { crc32, deflateRawSync } from "node:zlib";
import { SkyError } from "../core/errors.ts";

const SMALL = 1 << 20;
const SYMLINK = 0xa1ed0000;
const MAX32 = 0xffffffff;
const UTF8_NAMES = 0x0800;
const utf8 = new TextEncoder();

interface Entry {
  readonly name: Uint8Array;
  readonly digest: Uint8Array;
  readonly method: 0 | 8;
  readonly attributes: number;
  readonly date: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  readonly at: number;
}

/** Writes one zip. Call `finish` once at the end. The file is the caller's to close. */
export class ZipWriter {
  readonly #file: Deno.FsFile;
  readonly #entries: Entry[] = [];
  readonly #names = new Set<string>();
  #at = 0;

  constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  get bytes(): number {
    return this.#at;
  }

  /** True when an entry of this name was added before. */
  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** `name` ends with `/`. */
  async addDirectory(name: string, options: { mode: number; modified: Date | null }): Promise<void> {
    const attributes = (((0o40000 | options.mode) << 16) | 0x10) >>> 0;
    await this.#addWhole(name, new Uint8Array(), {
      ...options,
      attributes,
      stored: true,
      hashed: new Uint8Array(),
    });
  }

  /** `name` keeps its leading `/`, and ends with `/` for a link to a directory. */
  async addSymlink(name: string, target: string): Promise<void> {
    const content = utf8.encode(target);
    await this.#addWhole(name, content, {
      attributes: SYMLINK,
      modified: null,
      stored: true,
      hashed: content,
    });
  }

  /** The file's content now. Throws file_not_found when it is gone. */
  async addFile(name: string, path: string): Promise<void> {
    let file: Deno.FsFile;
    try {
      file = await Deno.open(path);
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.PermissionDenied)) {
        throw cause;
      }
      throw new SkyError("file_not_found", `Cannot read '${path}' for the upload: ${cause.message}`, {
        cause,
      });
    }
    const info = await file.stat();
    const attributes = ((0o100000 | (info.mode ?? 0o644) & 0o7777) << 16) >>> 0;
    if (info.size <= SMALL) {
      const content = new Uint8Array(await new Response(file.readable).arrayBuffer());
      await this.#addWhole(name, content, {
        attributes,
        modified: info.mtime,
        stored: false,
        hashed: content,
      });
    } else await this.#addLarge(name, file, { attributes, info });
  }

  /** Write the directory of the zip; the blob id. */
  async finish(): Promise<string> {
    const start = this.#at;
    for (const entry of this.#entries) await this.#write(centralHeader(entry));
    const end = { count: this.#entries.length, start, size: this.#at - start };
    await this.#write(endOfDirectory(end, this.#at));
    return this.#blobId();
  }

  #blobId(): string {
    const sorted = this.#entries.toSorted((a, b) => compareBytes(a.name, b.name));
    const hash = createHash("sha256");
    for (const { name, digest } of sorted) hash.update(name).update(digest);
    return hash.digest("hex");
  }

  async #addWhole(
    name: string,
    content: Uint8Array,
    options: { attributes: number; modified: Date | null; stored: boolean; hashed: Uint8Array },
  ): Promise<void> {
    const packed = options.stored ? content : deflateRawSync(content);
    const entry = this.#begin(name, {
      digest: createHash("sha256").update(options.hashed).digest(),
      method: options.stored ? 0 : 8,
      attributes: options.attributes,
      date: dosDate(options.modified),
      crc: crc32(content),
      packed: packed.length,
      size: content.length,
    });
    await this.#write(localHeader(entry, false));
    await this.#write(packed);
  }

  async #addLarge(
    name: string,
    file: Deno.FsFile,
    { attributes, info }: { attributes: number; info: Deno.FileInfo },
  ): Promise<void> {
    // reserved before the packed size is known; deflate may grow what cannot be packed
    const wide = info.size * 1.01 > MAX32;
    const known = { method: 8 as const, attributes, date: dosDate(info.mtime) };
    const at = this.#at;
    await this.#write(localHeader({ ...known, ...BLANK, name: utf8.encode(name), at }, wide));
    const from = this.#at;
    const hash = createHash("sha256");
    let crc = 0;
    let size = 0;
    const meter = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(chunk, controller) {
        hash.update(chunk);
        crc = crc32(chunk, crc);
        size += chunk.length;
        controller.enqueue(chunk);
      },
    });
    const packed = file.readable.pipeThrough(meter).pipeThrough(new CompressionStream("deflate-raw"));
    for await (const chunk of packed) await this.#write(chunk);
    this.#at = at;
    const measured = { crc, size, packed: 0, digest: hash.digest() };
    const entry = this.#begin(name, { ...known, ...measured, packed: await this.#position() - from });
    if (!wide && Math.max(entry.size, entry.packed) > MAX32) {
      throw new SkyError("file_not_found", `Cannot upload '${name}': it grew while it was read`);
    }
    await this.#file.seek(at, Deno.SeekMode.Start);
    await this.#write(localHeader(entry, wide));
    this.#at = await this.#file.seek(0, Deno.SeekMode.End);
  }

  async #position(): Promise<number> {
    return await this.#file.seek(0, Deno.SeekMode.Current);
  }

  #begin(name: string, entry: Omit<Entry, "name" | "at">): Entry {
    const full: Entry = { ...entry, name: utf8.encode(name), at: this.#at };
    this.#entries.push(full);
    this.#names.add(name);
    return full;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) done += await this.#file.write(bytes.subarray(done));
    this.#at += bytes.length;
  }
}

const BLANK = { digest: new Uint8Array(), crc: 0, packed: 0, size: 0 };

function localHeader(entry: Entry, wide: boolean): Uint8Array {
  const extra = wide ? [u16(1), u16(16), u64(entry.size), u64(entry.packed)] : [];
  return bytesOf([
    u32(0x04034b50),
    u16(wide ? 45 : 20),
    u16(UTF8_NAMES),
    u16(entry.method),
    u32(entry.date),
    u32(entry.crc),
    u32(wide ? MAX32 : entry.packed),
    u32(wide ? MAX32 : entry.size),
    u16(entry.name.length),
    u16(wide ? 20 : 0),
    entry.name,
    ...extra,
  ]);
}

function centralHeader(entry: Entry): Uint8Array {
  const wide = [entry.size, entry.packed, entry.at].some((value) => value >= MAX32);
  const extra = wide
    ? bytesOf([u16(1), u16(24), u64(entry.size), u64(entry.packed), u64(entry.at)])
    : new Uint8Array();
  return bytesOf([
    u32(0x02014b50),
    u16((3 << 8) | 45), // made on unix: the attributes hold a mode
    u16(wide ? 45 : 20),
    u16(UTF8_NAMES),
    u16(entry.method),
    u32(entry.date),
    u32(entry.crc),
    u32(wide ? MAX32 : entry.packed),
    u32(wide ? MAX32 : entry.size),
    u16(entry.name.length),
    u16(extra.length),
    u16(0),
    u16(0),
    u16(0),
    u32(entry.attributes),
    u32(wide ? MAX32 : entry.at),
    entry.name,
    extra,
  ]);
}

function endOfDirectory(end: { count: number; start: number; size: number }, at: number): Uint8Array {
  const wide = end.count >= 0xffff || end.start >= MAX32 || end.size >= MAX32;
  const zip64 = [
    ...[
      u32(0x06064b50),
      u64(44),
      u16((3 << 8) | 45),
      u16(45),
      u32(0),
      u32(0),
      u64(end.count),
      u64(end.count),
    ],
    ...[u64(end.size), u64(end.start)],
    ...[u32(0x07064b50), u32(0), u64(at), u32(1)],
  ];
  return bytesOf([
    ...(wide ? zip64 : []),
    u32(0x06054b50),
    u16(0),
    u16(0),
    u16(Math.min(end.count, 0xffff)),
    u16(Math.min(end.count, 0xffff)),
    u32(Math.min(end.size, MAX32)),
    u32(Math.min(end.start, MAX32)),
    u16(0),
  ]);
}

function dosDate(date: Date | null): number {
  if (date === null || date.getFullYear() < 1980) return (1 << 21) | (1 << 16);
  const day = ((date.getFullYear() - 1980) << 9) | ((date.getMonth() + 1) << 5) | date.getDate();
  const time = (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1);
  return ((day << 16) | time) >>> 0;
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, (value >> 8) & 0xff);
}
function u32(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff);
}
function u64(value: number): Uint8Array {
  return bytesOf([u32(value % 2 ** 32), u32(Math.floor(value / 2 ** 32))]);
}

function bytesOf(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Order of UTF-8 bytes, which is the order of code points. */
function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
