/**
 * Ends processes and proves it: TERM, after a grace KILL, and not back before nobody is left. Owns all signals
 * this room sends. A process is signalled only if it is known to be ours; a pid that was given away never is.
 */
import { SkyError } from "../../core/errors.ts";
import {
  bootId,
  isMarked,
  type Mark,
  type ProcessId,
  type ProcessRow,
  type ProcessTable,
  readProcess,
  scanProcesses,
  writesBelow,
} from "./process_table.ts";

/** Whom to end. */
export interface Quarry {
  /** Session leaders: they and everybody in their sessions. */
  readonly leaders: readonly ProcessId[];
  /** What our processes carry in their environment. Evidence where the leader is gone. */
  readonly mark: Mark | null;
  /** Also end marked processes that left for sessions of their own. */
  readonly hunt: boolean;
  /** Writing below this folder is evidence too. */
  readonly folder: string | null;
}

export interface EndOptions {
  /** Milliseconds between TERM and KILL. */
  readonly graceMs: number;
  /** Milliseconds after KILL in which everybody must be gone. Default 10 s. */
  readonly proofMs?: number;
  readonly signal?: AbortSignal;
}

/** Waiting for deaths: looked at this often at first, and a whole scan at the latest after SCAN_MS. */
const LOOK_MS = 2;
const SCAN_MS = 250;
/** Environments read before the event loop gets a turn. */
const LOOKS_AT_ONCE = 64;

/**
 * End them all. Throws timeout, naming the pids, if somebody is still there `proofMs` after KILL (a process in
 * the kernel's hands, or another user's), and the signal's reason when aborted: then nothing is proven.
 */
export async function endProcesses(quarry: Quarry, options: EndOptions): Promise<void> {
  const killAt = performance.now() + options.graceMs;
  const giveUpAt = killAt + (options.proofMs ?? 10_000);
  const chase: Chase = {
    quarry,
    verified: new Map(),
    sessions: new Set(),
    warned: new Set(),
    groups: new Set(),
    refused: new Set(),
  };
  let clean = 0;
  // Twice nobody: a scan is no photograph, so one that ran along a fork could miss somebody.
  while (clean < 2) {
    options.signal?.throwIfAborted();
    const found = await members(chase, await scanProcesses());
    if (found.length === 0) {
      clean++;
      continue;
    }
    clean = 0;
    const now = performance.now();
    if (now >= giveUpAt) throw stillThere(found, chase);
    if (now >= killAt) kill(found, chase);
    else terminate(found, chase);
    const until = Math.min(now + SCAN_MS, now < killAt ? killAt : giveUpAt);
    await untilGone(found, { until, signal: options.signal });
  }
}

interface Chase {
  readonly quarry: Quarry;
  /** pid → start of those known to be ours. */
  readonly verified: Map<number, string>;
  /** Sessions that are wholly ours, by the last scan. */
  readonly sessions: Set<number>;
  /** `pid:start` of those that got their TERM, and groups that got one as a whole. */
  readonly warned: Set<string>;
  readonly groups: Set<number>;
  /** Pids that we may not signal. */
  readonly refused: Set<number>;
}

/**
 * The living of this scan that are ours. Why the leader's start time guards a whole session: the kernel does not
 * give a number away while it names a session or group somebody is in. So as long as the leader, or anybody we
 * already knew to be in it, is there, all of the session is ours; if the number belongs to a process with
 * another start time, our session is empty. When we arrive after the leader's death, each one has to show
 * evidence of its own.
 */
async function members(chase: Chase, table: ProcessTable): Promise<ProcessRow[]> {
  const { quarry, verified } = chase;
  const found = new Map<number, ProcessRow>();
  chase.sessions.clear();
  const sessions = bySession(table);
  for (const leader of quarry.leaders) {
    if (leader.boot !== bootId()) continue;
    const row = table.get(leader.pid);
    if (row !== undefined && row.start !== leader.start) continue;
    const inside = sessions.get(leader.pid) ?? [];
    const known = row !== undefined || inside.some((one) => verified.get(one.pid) === one.start);
    if (known) chase.sessions.add(leader.pid);
    for (const one of inside) {
      if (!one.dead && (known || isOurs(one, quarry))) found.set(one.pid, one);
    }
  }
  let looked = 0;
  for (const row of table.values()) {
    if (row.dead || found.has(row.pid)) continue;
    if (quarry.hunt && ++looked % LOOKS_AT_ONCE === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    const marked = quarry.hunt && quarry.mark !== null && isMarked(row, quarry.mark);
    if (marked || verified.get(row.pid) === row.start) found.set(row.pid, row);
  }
  found.delete(Deno.pid);
  for (const row of found.values()) verified.set(row.pid, row.start);
  return [...found.values()];
}

function bySession(table: ProcessTable): Map<number, ProcessRow[]> {
  const sessions = new Map<number, ProcessRow[]>();
  for (const row of table.values()) {
    const inside = sessions.get(row.session);
    if (inside === undefined) sessions.set(row.session, [row]);
    else inside.push(row);
  }
  return sessions;
}

function isOurs(row: ProcessRow, quarry: Quarry): boolean {
  return (quarry.mark !== null && isMarked(row, quarry.mark)) ||
    (quarry.folder !== null && writesBelow(row, quarry.folder));
}

/** TERM, once for each: by group where the whole group is ours, so that nobody slips out by forking. */
function terminate(found: readonly ProcessRow[], chase: Chase): void {
  const groups = ownGroups(found, chase);
  const now = new Set<number>();
  for (const row of found) {
    const name = `${row.pid}:${row.start}`;
    if (chase.warned.has(name)) continue;
    chase.warned.add(name);
    if (now.has(row.group)) continue;
    if (!groups.has(row.group) || chase.groups.has(row.group)) {
      send(row.pid, "SIGTERM", chase);
      continue;
    }
    chase.groups.add(row.group);
    now.add(row.group);
    send(-row.group, "SIGTERM", chase);
  }
}

function kill(found: readonly ProcessRow[], chase: Chase): void {
  for (const group of ownGroups(found, chase)) send(-group, "SIGKILL", chase);
  for (const row of found) send(row.pid, "SIGKILL", chase);
}

/** Groups that lie within a session of ours. A stray's group, found by its mark, may hold strangers. */
function ownGroups(found: readonly ProcessRow[], chase: Chase): Set<number> {
  return new Set(found.filter((row) => chase.sessions.has(row.session)).map((row) => row.group));
}

function send(target: number, signal: Deno.Signal, chase: Chase): void {
  try {
    Deno.kill(target, signal);
  } catch (error) {
    // Gone already is what we want; refused shows in the proof.
    if (error instanceof Deno.errors.NotFound) return;
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    chase.refused.add(Math.abs(target));
  }
}

async function untilGone(
  rows: readonly ProcessRow[],
  { until, signal }: { until: number; signal: AbortSignal | undefined },
): Promise<void> {
  let pause = LOOK_MS;
  while (performance.now() < until && !signal?.aborted) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    const alive = rows.some((row) => {
      const now = readProcess(row.pid);
      return now !== null && now.start === row.start && !now.dead;
    });
    if (!alive) return;
    pause = Math.min(pause * 1.5, 40);
  }
}

function stillThere(found: readonly ProcessRow[], chase: Chase): SkyError {
  const pids = found.map((row) => row.pid).sort((a, b) => a - b);
  const reason = pids.some((pid) => chase.refused.has(pid))
    ? "they belong to another user"
    : "they are still there after SIGKILL";
  return new SkyError("timeout", `Cannot end processes ${pids.join(", ")}: ${reason}`, { details: { pids } });
}
