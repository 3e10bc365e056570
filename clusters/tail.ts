/** Where the last lines of a file begin. Reads backwards, a block at a time, whatever the file's size. */

const BLOCK = 16 * 1024;
const LF = 0x0a;

/** Offset of the first byte of the last `count` lines; 0 when there are fewer, or no file. */
export async function lastLines(path: string, count: number): Promise<number> {
  let file: Deno.FsFile;
  try {
    // deno-lint-ignore no-sync-fn-in-async-fn -- opening takes microseconds, a trip to a thread a hundred times that
    file = Deno.openSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
  using _closing = file;
  const { size } = file.statSync();
  const block = new Uint8Array(Math.min(BLOCK, size));
  let left = count;
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - BLOCK);
    const bytes = await readAt(file, block.subarray(0, end - start), { position: start, size });
    for (let i = bytes.length - 1; i >= 0; i--) {
      // The line end that closes the file begins no line.
      if (bytes[i] !== LF || start + i === size - 1) continue;
      if (--left === 0) return start + i + 1;
    }
    end = start;
  }
  return 0;
}

async function readAt(
  file: Deno.FsFile,
  into: Uint8Array,
  { position, size }: { position: number; size: number },
): Promise<Uint8Array> {
  file.seekSync(position, Deno.SeekMode.Start);
  let at = 0;
  while (at < into.length) {
    // Most want the last few lines: that is read before a thread would have been asked to.
    const last = position + into.length === size;
    const count = last ? file.readSync(into.subarray(at)) : await file.read(into.subarray(at));
    if (count === null) break;
    at += count;
  }
  return into.subarray(0, at);
}
