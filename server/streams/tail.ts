/** Where the last lines of a log file begin. Reads backwards in blocks, so that a large log costs no more than its end. */
import { Buffer } from "node:buffer";
import { hasPayload } from "../../api/frames.ts";

const BLOCK = 64 * 1024;
const NEWLINE = 0x0a;
const MARK = Buffer.from("<sky-payload");
/** No line is looked at further back than this: one that long is not a control line. */
const MAX_LINE = 64 * 1024;

/**
 * Byte offset of the first of the last `lines` lines of the file's first `size` bytes. Control lines are not
 * counted; a last line without newline is. 0 when there are fewer, or no file.
 */
export async function tailOffset(path: string, options: { lines: number; size: number }): Promise<number> {
  if (options.lines <= 0) return options.size;
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
  using _closed = file;
  const last = options.size > 0 ? await readAt(file, options.size - 1, 1) : Buffer.alloc(0);
  let counted = 0;
  let carry: Buffer = Buffer.alloc(0); // the start, as far as it was read, of the line that is being walked back over
  for (let at = options.size - (last[0] === NEWLINE ? 1 : 0); at > 0;) {
    const from = Math.max(0, at - BLOCK);
    const block = await readAt(file, from, at - from);
    let end = block.length;
    for (let newline = lastNewline(block, end); newline >= 0; newline = lastNewline(block, end)) {
      if (isText(Buffer.concat([block.subarray(newline + 1, end), carry]))) counted += 1;
      if (counted === options.lines) return from + newline + 1;
      carry = Buffer.alloc(0);
      end = newline;
    }
    carry = Buffer.concat([block.subarray(0, end), carry]).subarray(0, MAX_LINE);
    at = from;
  }
  return 0;
}

function lastNewline(block: Buffer, before: number): number {
  return before === 0 ? -1 : block.lastIndexOf(NEWLINE, before - 1);
}

function isText(line: Buffer): boolean {
  return !line.includes(MARK) || !hasPayload(line.toString("utf8"));
}

async function readAt(file: Deno.FsFile, offset: number, length: number): Promise<Buffer> {
  await file.seek(offset, Deno.SeekMode.Start);
  const buffer = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const count = await file.read(buffer.subarray(done));
    if (count === null) break;
    done += count;
  }
  return buffer.subarray(0, done);
}
