/**
 * Looks at the processes of this machine: who lives, in which session, since when. Owns every read of /proc and
 * of `ps` (where there is no /proc); it signals nothing (end_processes.ts does).
 */
import { Buffer } from "node:buffer";

/** One process for ever: a pid may be given away again, but not with the same start time in the same boot. */
export interface ProcessId {
  readonly pid: number;
  /** Clock ticks since boot, or the date `ps` prints; only ever compared. */
  readonly start: string;
  /** Boot id, `-` where there is none. */
  readonly boot: string;
}

export interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  readonly start: string;
  /** A zombie without living threads: it runs no more, whoever forgot to wait for it. */
  readonly dead: boolean;
  /** Where /proc is missing: command and environment as `ps` shows them. */
  readonly text: string | null;
}

/** An environment entry `NAME=value` that a process may carry; with `prefix`, any value that begins so. */
export interface Mark {
  readonly entry: string;
  readonly prefix: boolean;
}

export type ProcessTable = ReadonlyMap<number, ProcessRow>;

/** Rows read in one go, well below a millisecond of blocked event loop. */
const BATCH = 32;
const HAS_PROC = Deno.build.os === "linux";

const decoder = new TextDecoder();
const scratch = new Uint8Array(4096);

/** Parse one `/proc/<pid>/stat` line; null if it is none. The program's name may hold spaces and brackets. */
export function parseStat(line: string): ProcessRow | null {
  const open = line.indexOf(" (");
  const close = line.lastIndexOf(") ");
  if (open < 0 || close < open) return null;
  const fields = line.slice(close + 2).trim().split(" ");
  const start = fields[19];
  if (start === undefined) return null;
  const gone = fields[0] === "Z" || fields[0] === "X";
  return {
    pid: Number(line.slice(0, open)),
    parent: Number(fields[1]),
    group: Number(fields[2]),
    session: Number(fields[3]),
    start,
    // A main thread that ended before its siblings is a zombie too, but the process lives on in them.
    dead: gone && Number(fields[17]) <= 1,
    text: null,
  };
}

/** Parse `pid ppid pgid stat lstart command` of ps. Sessions aren't told everywhere: the group stands for them. */
export function parsePsLine(line: string): ProcessRow | null {
  const match = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\w+\s+\w+\s+\d+\s+[\d:]+\s+\d+)(?:\s(.*))?$/s.exec(
    line,
  );
  if (match === null) return null;
  return {
    pid: Number(match[1]),
    parent: Number(match[2]),
    group: Number(match[3]),
    session: Number(match[3]),
    start: match[5]!.replace(/\s+/g, " "),
    dead: match[4]!.startsWith("Z"),
    text: match[6] ?? "",
  };
}

/** Parse an identity file (node/record_child.ts); null for one that was cut short. */
export function parseIdentity(text: string): ProcessId | null {
  const [line, boot] = text.split("\n");
  if (line === undefined || !boot) return null;
  const row = parseStat(line);
  if (row !== null) return { pid: row.pid, start: row.start, boot };
  const match = /^(\d+)\s+([A-Za-z].*)$/.exec(line.trim());
  if (match === null) return null;
  return { pid: Number(match[1]), start: match[2]!.trim().replace(/\s+/g, " "), boot };
}

let boot: string | undefined;

/** The id of this boot of the machine, `-` where there is none. */
export function bootId(): string {
  if (boot !== undefined) return boot;
  try {
    boot = Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim() || "-";
  } catch {
    boot = "-"; // No such file outside Linux and in some sandboxes: the shell on the node found none either.
  }
  return boot;
}

function readProc(pid: string, name: string): string | null {
  try {
    const file = Deno.openSync(`/proc/${pid}/${name}`);
    try {
      const length = file.readSync(scratch);
      return length === null ? null : decoder.decode(scratch.subarray(0, length));
    } finally {
      file.close();
    }
  } catch {
    return null; // It ended between the listing and the reading (ENOENT, ESRCH), which is an answer.
  }
}

/** One `-o` each: in a list, BSD takes everything after the first `=` for a heading. */
const PS_COLUMNS = ["pid=", "ppid=", "pgid=", "stat=", "lstart="].flatMap((column) => ["-o", column]);

/** Arguments that make ps list everything, with environments. */
function psArguments(): string[] {
  return Deno.build.os === "darwin"
    ? ["-A", "-E", "-ww", ...PS_COLUMNS, "-o", "command="]
    : ["axeww", ...PS_COLUMNS, "-o", "args="];
}

/** The same list by `ps`, for systems without /proc. Throws if there is no ps. */
export async function listByPs(): Promise<Map<number, ProcessRow>> {
  const output = await new Deno.Command("ps", {
    args: psArguments(),
    env: { LC_ALL: "C", TZ: "UTC" },
    stdin: "null",
    stderr: "null",
  }).output();
  const rows = new Map<number, ProcessRow>();
  for (const line of decoder.decode(output.stdout).split("\n")) {
    const row = parsePsLine(line);
    if (row !== null) rows.set(row.pid, row);
  }
  return rows;
}

function listPids(): string[] {
  const pids: string[] = [];
  for (const entry of Deno.readDirSync("/proc")) {
    const first = entry.name.charCodeAt(0);
    if (first >= 48 && first <= 57) pids.push(entry.name);
  }
  return pids;
}

function addRows(rows: Map<number, ProcessRow>, pids: readonly string[]): void {
  for (const pid of pids) {
    const line = readProc(pid, "stat");
    const row = line === null ? null : parseStat(line);
    if (row !== null) rows.set(row.pid, row);
  }
}

async function list(): Promise<ProcessTable> {
  if (!HAS_PROC) return await listByPs();
  const rows = new Map<number, ProcessRow>();
  const seen = new Set<string>();
  // Listed again until nobody new shows up, so that a child forked while its parent was being read is found.
  for (let round = 0; round < 8; round++) {
    const fresh = listPids().filter((pid) => !seen.has(pid));
    if (fresh.length === 0) break;
    for (let at = 0; at < fresh.length; at += BATCH) {
      if (at > 0) await new Promise((resolve) => setTimeout(resolve, 0));
      addRows(rows, fresh.slice(at, at + BATCH));
    }
    for (const pid of fresh) seen.add(pid);
  }
  return rows;
}

let running: Promise<ProcessTable> | null = null;
let queued: Promise<ProcessTable> | null = null;

/** Every process, read after this call was made. Callers that come while a scan runs share the next one. */
export function scanProcesses(): Promise<ProcessTable> {
  if (running === null) return running = scanOnce();
  return queued ??= running.then(next, next);
}

function next(): Promise<ProcessTable> {
  queued = null;
  return running = scanOnce();
}

async function scanOnce(): Promise<ProcessTable> {
  try {
    return await list();
  } finally {
    running = null;
  }
}

/** One process as it is now, null if there is none with this pid. */
export function readProcess(pid: number): ProcessRow | null {
  if (HAS_PROC) {
    const line = readProc(String(pid), "stat");
    return line === null ? null : parseStat(line);
  }
  const { stdout } = new Deno.Command("ps", {
    args: [...PS_COLUMNS, "-p", String(pid)],
    env: { LC_ALL: "C", TZ: "UTC" },
    stdin: "null",
    stderr: "null",
  }).outputSync();
  return parsePsLine(decoder.decode(stdout).trimEnd());
}

/** True while exactly this process runs; a zombie doesn't. */
export function isAlive(id: ProcessId): boolean {
  if (id.boot !== bootId()) return false;
  const row = readProcess(id.pid);
  return row !== null && row.start === id.start && !row.dead;
}

/** The identity of a process we know to be alive, e.g. a child just spawned; null if it is gone already. */
export function identify(pid: number): ProcessId | null {
  const row = readProcess(pid);
  return row === null ? null : { pid, start: row.start, boot: bootId() };
}

/** Whether a process carries the mark. False when its environment can't be read, e.g. another user's. */
export function isMarked(row: ProcessRow, mark: Mark): boolean {
  if (row.text !== null) return row.text.includes(mark.entry);
  let environment: Buffer;
  try {
    environment = Buffer.from(Deno.readFileSync(`/proc/${row.pid}/environ`));
  } catch {
    return false; // Gone meanwhile (ENOENT, ESRCH) or not ours to read (EACCES).
  }
  const entry = Buffer.from(mark.entry);
  for (let at = environment.indexOf(entry); at >= 0; at = environment.indexOf(entry, at + 1)) {
    const begins = at === 0 || environment[at - 1] === 0;
    const end = environment[at + entry.length];
    if (begins && (mark.prefix || end === 0 || end === undefined)) return true;
  }
  return false;
}

/** Whether a process writes its output or errors to a file below `folder`. False when it can't be told. */
export function writesBelow(row: ProcessRow, folder: string): boolean {
  if (row.text !== null) return false;
  for (const fd of [1, 2]) {
    try {
      if (Deno.readLinkSync(`/proc/${row.pid}/fd/${fd}`).startsWith(`${folder}/`)) return true;
    } catch {
      continue; // Gone, closed or not ours to read.
    }
  }
  return false;
}
