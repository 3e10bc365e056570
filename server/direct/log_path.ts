/** Which files of the server may be read as logs, and reading them (wire.md §4.3, `log_path`). */
import { isAbsolute, join, normalize } from "@std/path";
import { userHome } from "../../core/paths.ts";
import type { Deps } from "../deps.ts";
import { Refused } from "../refusal.ts";
import { readDirectory, readLog, upTo } from "../streams/file.ts";
import type { LogSource } from "../streams/pump.ts";
import { tailOffset } from "../streams/tail.ts";
import type { Ask, Subject } from "./subject.ts";

/** What official clients call the server's own log, wherever it lies. */
const SERVER_LOG = "~/.sky/api_server/server.log";
/** A file has no status: it is what it is. */
const END = { status: "SUCCEEDED", exitCode: null, notice: null };

/** Throws Refused 400 for paths outside of the log folder, 404 for missing ones. */
export async function fileSource(logPath: string, ask: Ask, deps: Deps): Promise<Subject> {
  const path = logPath === SERVER_LOG ? deps.home.serverLog : await inLogFolder(logPath, deps);
  const info = await statOf(path);
  if (info === null) {
    throw new Refused(
      404,
      logPath === SERVER_LOG
        ? "Server log file does not exist. The API server may have been started with `--foreground` or another " +
          "program keeps its output."
        : `Log path '${logPath}' does not exist`,
    );
  }
  if (info.isDirectory) {
    const { offset } = ask;
    return subject((signal) => readDirectory(path, { shown: logPath, offset, signal }), offset, 0);
  }
  const offset = ask.tail === null
    ? ask.offset
    : await tailOffset(path, { lines: ask.tail, size: info.size });
  const history = ask.tail === null ? 0 : Math.max(0, info.size - offset);
  const { filePollMs: pollMs } = deps.timing;
  return subject(
    (signal) => {
      const log = readLog(path, { offset, follow: ask.follow, pollMs, signal });
      return ask.follow ? log : upTo(log, Math.max(0, info.size - offset));
    },
    offset,
    history,
  );
}

function subject(
  open: (signal: AbortSignal) => ReadableStream<Uint8Array>,
  offset: number,
  history: number,
): Subject {
  const source: LogSource = {
    open: (signal) => Promise.resolve({ log: open(signal), offset }),
    end: () => Promise.resolve(END),
  };
  return { source, offset, history };
}

async function inLogFolder(logPath: string, deps: Deps): Promise<string> {
  const folder = join(userHome(deps.env), "sky_logs");
  const refused = new Refused(400, `Unauthorized log path: '${logPath}'`);
  const below = normalize(logPath);
  if (isAbsolute(below) || below.startsWith("..") || below.startsWith("~") || logPath.includes("\0")) {
    throw refused;
  }
  const path = join(folder, below);
  const [real, root] = await Promise.all([realPath(path), realPath(folder)]);
  // Links may point anywhere: what counts is where they lead.
  if (real !== null && root !== null && real !== root && !real.startsWith(`${root}/`)) throw refused;
  return path;
}

async function realPath(path: string): Promise<string | null> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function statOf(path: string): Promise<Deno.FileInfo | null> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    throw error;
  }
}
