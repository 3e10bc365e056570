/** The local server's own log file, where its output goes: opened for the child, read for its last words. */
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, statSync } from "node:fs";
import type { HomePaths } from "../core/paths.ts";

const TAIL_BYTES = 8 * 1024;
/** Beyond this an old log is put aside at the next start. */
const MAX_BYTES = 16 * 1024 * 1024;

export interface OpenLog {
  /** For the child's stdio: Deno's own files have no number. */
  readonly fd: number;
  /** Bytes that earlier servers wrote. */
  readonly size: number;
  close(): void;
}

/** Open for appending, mode 0600. */
export function openServerLog(home: HomePaths): OpenLog {
  mkdirSync(home.root, { recursive: true, mode: 0o700 });
  if ((statSync(home.serverLog, { throwIfNoEntry: false })?.size ?? 0) > MAX_BYTES) {
    renameSync(home.serverLog, `${home.serverLog}.old`);
  }
  const fd = openSync(home.serverLog, "a", 0o600);
  return { fd, size: fstatSync(fd).size, close: () => closeSync(fd) };
}

/** The last 8 KiB written after `from`. */
export async function tailOfLog(home: HomePaths, from: number): Promise<string> {
  using file = await Deno.open(home.serverLog);
  const { size } = await file.stat();
  await file.seek(Math.max(from, size - TAIL_BYTES), Deno.SeekMode.Start);
  const bytes = new Uint8Array(TAIL_BYTES);
  let read = 0;
  while (read < bytes.length) {
    const more = await file.read(bytes.subarray(read));
    if (more === null) break;
    read += more;
  }
  return new TextDecoder().decode(bytes.subarray(0, read));
}
