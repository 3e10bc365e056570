/** Where the last lines of a file begin. Reads backwards, a block at a time, whatever the file's size. */

const BLOCK = 64 * 1024;
const LF = 0x0a;

/** Offset of the first byte of the last `count` lines; 0 when there are fewer, or no file. */
export async function lastLines(path: string, count: number): Promise<number> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
  using _closing = file;
  const { size } = await file.stat();
  const block = new Uint8Array(BLOCK);
  let left = count;
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - BLOCK);
    const bytes = await readAt(file, block.subarray(0, end - start), start);
    for (let i = bytes.length - 1; i >= 0; i--) {
      // The line end that closes the file begins no line.
      if (bytes[i] !== LF || start + i === size - 1) continue;
      if (--left === 0) return start + i + 1;
    }
    end = start;
  }
  return 0;
}

async function readAt(file: Deno.FsFile, into: Uint8Array, position: number): Promise<Uint8Array> {
  await file.seek(position, Deno.SeekMode.Start);
  let at = 0;
  while (at < into.length) {
    const count = await file.read(into.subarray(at));
    if (count === null) break;
    at += count;
  }
  return into.subarray(0, at);
}
