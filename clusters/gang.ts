/**
 * One phase (setup or run) of a job on all its nodes: start at most once, watch, merge the output, and when one
 * member fails end the others (domain.md §5.5, §5.8). Can be called again after a crash: it picks up what runs.
 * Leaves the order of phases and the job's status to drive.ts.
 */
import { delay } from "@std/async/delay";
import type { CommandRunner, JobPhase, JobStart, JobState } from "../clouds/cloud.ts";
import type { SkyError } from "../core/errors.ts";
import { joinBytes } from "./disk.ts";
import type { JobLog } from "./merge.ts";
import type { Reread } from "./merge_recover.ts";
import { type Patience, patiently } from "./waiting.ts";

/** What a member gets that was ended because another one failed. */
export const KILLED_BY_GANG = 137;

export interface Member {
  /** Key of its output in the merged log. */
  readonly key: string;
  readonly runner: CommandRunner;
  readonly start: JobStart;
  prefix(pid: number): string;
}

export interface PhaseOptions {
  readonly log: JobLog;
  /** The server's life: aborting leaves the processes running. */
  readonly signal: AbortSignal;
  /** Codes settled by an earlier attempt, in member order. */
  readonly settled: readonly (number | null)[];
  /** Keeps the codes on disk before anything is killed, so that a restart tells the same story. */
  settle(codes: readonly (number | null)[]): Promise<void>;
  /** Told why a node is waited for: it can't be reached, or does not let us in. */
  onFailure(error: SkyError): void;
  failpoint(name: string): void;
}

export interface PhaseOutcome {
  /** In member order; null for a process that vanished without an exit code. */
  readonly codes: readonly (number | null)[];
  readonly pids: readonly (number | null)[];
}

const WAKE_MS = 5000;
const CHUNK = 256 * 1024;
/** How long others may clean up after the first failure. */
const GANG_GRACE_MS = 1000;
const UNCLAIMED_MS = 5000;
const FIRST_RETRY_MS = 500;

export async function runPhase(members: readonly Member[], options: PhaseOptions): Promise<PhaseOutcome> {
  const codes: (number | null)[] = members.map((_, i) => options.settled[i] ?? null);
  const pids: (number | null)[] = members.map(() => null);
  const over = members.map(() => false);
  let killing: Promise<void> | null = null;
  // Ends the waiting of everybody when one member breaks, so that no loop outlives this call.
  const broken = new AbortController();
  const signal = AbortSignal.any([options.signal, broken.signal]);
  // Whatever is between us and a node says nothing about what runs there.
  const patience: Patience = { signal, denied: true, onFailure: (error) => options.onFailure(error) };

  const killOthers = async () => {
    for (const [i, ended] of over.entries()) {
      if (!ended) codes[i] ??= KILLED_BY_GANG;
    }
    await options.settle(codes);
    await Promise.all(members.map((member, i) => over[i] ? undefined : kill(member, { ...patience })));
  };
  const breaking = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error) => {
      broken.abort(error);
      throw error;
    });
  const follow = async (member: Member, i: number) => {
    options.failpoint("before_job_start");
    await patiently(() => member.runner.startJob(member.start, { signal }), patience);
    options.failpoint("after_job_start");
    const ended = new AbortController();
    const pid = Promise.withResolvers<number | null>();
    const watching = watch(member, { ...patience, onPid: pid.resolve })
      .catch((error) => {
        pid.reject(error);
        throw error;
      })
      .finally(() => ended.abort())
      .then(async (code) => {
        over[i] = true;
        codes[i] ??= code;
        if (code !== 0) killing ??= killOthers();
        await killing;
      });
    const draining = pid.promise.then(async (value) => {
      pids[i] = value;
      // Without a pid nothing ever ran.
      if (value !== null) {
        await drain(member, { ...patience, pid: value, log: options.log, ended: ended.signal });
      }
    });
    await Promise.all([breaking(watching), breaking(draining)]);
  };

  if (codes.some((code) => code !== null && code !== 0)) killing = killOthers();
  const work = [...members.map((member, i) => breaking(follow(member, i))), killing];
  try {
    await Promise.all(work);
  } catch (error) {
    broken.abort(error);
    await Promise.allSettled(work);
    throw error;
  }
  return { codes, pids };
}

/** End a phase of a member with its whole session; returns when that is proven. */
export async function kill(
  member: { runner: CommandRunner; start: Pick<JobStart, "logDir" | "phase"> },
  options: Patience & { graceMs?: number },
): Promise<void> {
  const { logDir, phase } = member.start;
  const graceMs = options.graceMs ?? GANG_GRACE_MS;
  await patiently(
    () => member.runner.killJob(logDir, phase, { graceMs, signal: options.signal }),
    options,
  );
}

/** Resolves with the exit code when the member has ended, null if it vanished without one. */
async function watch(
  member: Member,
  options: Patience & { onPid: (pid: number | null) => void },
): Promise<number | null> {
  const { runner, start } = member;
  const read = () => patiently(() => runner.jobState(start.logDir, start.phase, options), options);
  const wait = (signal: AbortSignal) =>
    runner.waitJobChange(start.logDir, start.phase, { timeoutMs: WAKE_MS, signal });
  let unclaimedSince: number | null = null;
  for (;;) {
    const { value: state, wake } = await readThenWait(read, { wait, signal: options.signal });
    if (state.pid !== null) options.onPid(state.pid);
    let end = await endOf(state, read);
    if (!state.claimed) {
      // It was started, so its directory was there: somebody took it away.
      unclaimedSince ??= performance.now();
      if (performance.now() - unclaimedSince > UNCLAIMED_MS) end = null;
    }
    if (end !== undefined) {
      options.onPid(state.pid);
      await wake.stop();
      return end;
    }
    await wake.wait(state.claimed ? null : FIRST_RETRY_MS);
  }
}

/** The exit code, null if there will never be one, undefined while it runs or is not claimed yet. */
async function endOf(state: JobState, read: () => Promise<JobState>): Promise<number | null | undefined> {
  if (state.exitCode !== null) return state.exitCode;
  if (!state.claimed || state.alive) return undefined;
  // A transport that looks at several things in turn may have missed the code by a moment.
  return (await read()).exitCode;
}

/** Move the output into the merged log until the process has ended and everything is read. */
async function drain(
  member: Member,
  options: Patience & { pid: number; log: JobLog; ended: AbortSignal },
): Promise<void> {
  const { runner, start, key } = member;
  let offset = await options.log.source(key, member.prefix(options.pid));
  const read = () =>
    patiently(
      () => runner.readOutput(start.logDir, start.phase, { offset, limit: CHUNK, signal: options.signal }),
      options,
    );
  const wait = (signal: AbortSignal) =>
    runner.waitOutput(start.logDir, start.phase, { offset, timeoutMs: WAKE_MS, signal });
  for (;;) {
    const last = options.ended.aborted;
    const waking = AbortSignal.any([options.signal, options.ended]);
    const { value: chunk, wake } = await readThenWait(read, { wait, signal: waking });
    if (chunk.length > 0) {
      await wake.stop();
      offset += chunk.length;
      await options.log.add(key, chunk);
      continue;
    }
    if (last) {
      await wake.stop();
      break;
    }
    await wake.wait(null);
  }
  await options.log.finish(key);
}

interface Wake {
  /** Until something may have changed, at most `capMs` if given. */
  wait(capMs: number | null): Promise<void>;
  stop(): Promise<void>;
}

/** Begin waiting before looking: what happens between the look and the wait is not missed. */
async function readThenWait<T>(
  read: () => Promise<T>,
  options: { wait: (signal: AbortSignal) => Promise<void>; signal: AbortSignal },
): Promise<{ value: T; wake: Wake }> {
  const turn = new AbortController();
  const signal = AbortSignal.any([options.signal, turn.signal]);
  // A wake-up carries no news: a failed wait is only a short one, the next look tells what is wrong.
  const waiting = signal.aborted ? Promise.resolve() : options.wait(signal).catch(() => pause(signal));
  const stop = async () => {
    turn.abort();
    await waiting;
  };
  try {
    const value = await read();
    const wait = async (capMs: number | null) => {
      const cap = capMs === null ? undefined : setTimeout(() => turn.abort(), capMs);
      await waiting;
      clearTimeout(cap);
    };
    return { value, wake: { wait, stop } };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function pause(signal: AbortSignal): Promise<void> {
  await delay(FIRST_RETRY_MS, { signal }).catch(() => {});
}

/** Key of a node's output in the merged log. */
export function sourceKey(phase: JobPhase, node: number): string {
  return `${phase}:${node}`;
}
function sourceOf(key: string): { phase: JobPhase; node: number } {
  const [phase, node] = key.split(":");
  return { phase: phase === "setup" ? "setup" : "run", node: Number(node) };
}

/** Raw bytes of a job's outputs once more, for a log that a crash cut short. Waits for nodes out of reach. */
export function rereadFrom(
  runners: readonly CommandRunner[],
  options: { logDir: string; signal: AbortSignal },
): Reread {
  const { logDir, signal } = options;
  return async (key, { from, to }) => {
    const { phase, node } = sourceOf(key);
    const runner = runners[node];
    const pieces: Uint8Array[] = [];
    for (let offset = from; runner !== undefined && offset < to;) {
      const range = { offset, limit: Math.min(CHUNK, to - offset), signal };
      const piece = await patiently(() => runner.readOutput(logDir, phase, range), { signal });
      if (piece.length === 0) break;
      pieces.push(piece);
      offset += piece.length;
    }
    return joinBytes(pieces);
  };
}
