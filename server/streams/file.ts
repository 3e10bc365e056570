/**
 * Plain files as logs: the server's own log and what lies in `~/sky_logs` (wire.md §4.3, `log_path`). They are written
 * by others, so following means looking again; request and job logs have better ways.
 */
import { delay } from "@std/async/delay";
import { join } from "@std/path";

export interface FileOptions {
  readonly offset: number;
  readonly follow: boolean;
  /** Milliseconds between looks at a file that has not grown. */
  readonly pollMs: number;
  readonly signal: AbortSignal;
}

const BLOCK = 64 * 1024;

/** The file's bytes from an offset; followed: without end, beginning anew when it was truncated. */
export function readLog(path: string, options: FileOptions): ReadableStream<Uint8Array> {
  return ReadableStream.from(blocks(path, options));
}

async function* blocks(
  path: string,
  { offset, follow, pollMs, signal }: FileOptions,
): AsyncGenerator<Uint8Array> {
  using file = await Deno.open(path);
  let at = offset;
  await file.seek(at, Deno.SeekMode.Start);
  while (!signal.aborted) {
    const block = new Uint8Array(BLOCK);
    const count = await file.read(block);
    if (count !== null) {
      at += count;
      yield block.subarray(0, count);
      continue;
    }
    if (!follow) return;
    await delay(pollMs, { signal }).catch(() => {}); // aborted: the loop's condition sees it
    if ((await file.stat()).size < at) at = await file.seek(0, Deno.SeekMode.Start);
  }
}

/** Every `*.log` of a directory in order of name, each under a header line; without the first `offset` bytes of it all. */
export function readDirectory(
  path: string,
  options: { shown: string; offset: number; signal: AbortSignal },
): ReadableStream<Uint8Array> {
  return ReadableStream.from(skipping(directory(path, options.shown, options.signal), options.offset));
}

async function* directory(path: string, shown: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const utf8 = new TextEncoder();
  const entries = await Array.fromAsync(Deno.readDir(path));
  const names = entries.filter((entry) => entry.isFile && entry.name.endsWith(".log")).map((entry) =>
    entry.name
  );
  for (const name of names.sort()) {
    yield utf8.encode(`\n==> ${shown}/${name} <==\n\n`);
    yield* blocks(join(path, name), { offset: 0, follow: false, pollMs: 0, signal });
  }
}

async function* skipping(chunks: AsyncGenerator<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  let left = bytes;
  for await (const chunk of chunks) {
    if (chunk.length > left) yield chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
  }
}

/** At most the first `bytes` of a stream. */
export function upTo(stream: ReadableStream<Uint8Array>, bytes: number): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  let left = bytes;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = left > 0 ? await reader.read() : { done: true, value: undefined };
      if (value !== undefined) {
        controller.enqueue(value.subarray(0, left));
        left -= Math.min(left, value.length);
      }
      if (!done && left > 0) return;
      controller.close();
      await reader.cancel();
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
