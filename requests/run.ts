/**
 * One request from PENDING to its end. Owns the Context, what an outcome means, and that the end is written once,
 * after its processes are proven dead; leaves turns and cancelling to schedule.ts.
 */
import type { Context } from "../core/context.ts";
import type { SkyConfig } from "../core/config.ts";
import { isSkyError, SkyError } from "../core/errors.ts";
import type { LogFile } from "../state/log_file.ts";
import type { Ending, RequestSeed, RequestStore } from "../state/requests.ts";
import type { StepStore } from "../state/steps.ts";
import type { Entry } from "./entry.ts";
import { interrupted, keep, stackOf } from "./failure.ts";
import { Journal } from "./journal.ts";
import { RequestLog, requestLogPath } from "./log.ts";
import { pause } from "./pause.ts";
import type { EngineOptions } from "./submission.ts";

/** What running takes, shared by all requests. */
export interface Surroundings {
  readonly options: EngineOptions;
  readonly store: RequestStore;
  readonly steps: StepStore;
  readonly failpoint: (name: string) => void;
  readonly proveDead: (requestId: string) => Promise<void>;
  /** Aborted when the engine is gone: whatever is still retried is left to the next start. */
  readonly gone: AbortSignal;
  report(error: unknown, entry: Entry): void;
}

type Outcome =
  | { readonly kind: "done"; readonly result: string }
  | { readonly kind: "failed"; readonly error: unknown };

const RETRY_MS = 1000;

/** Run the entry, whose turn it is, until it is closed. */
export async function run(entry: Entry, around: Surroundings): Promise<void> {
  entry.phase = "starting";
  around.failpoint("before_start");
  const started = await insist(entry, around, () => around.store.start(entry.id));
  around.failpoint("after_start");
  if (started !== true) {
    // Nobody else changes rows of this engine; if somebody did, that state stands.
    entry.close(started === null ? null : (await around.store.get(entry.id))?.status ?? null);
    return;
  }
  entry.phase = "running";
  // With its seed at hand it was submitted to this process and never ran: it can have no log yet.
  const isNew = entry.seed !== null;
  const file = around.options.logs.open(requestLogPath(around.options.folder, entry.id), {
    ended: false,
    isNew,
  });
  const outcome = await attempt(entry, around, file);
  entry.phase = "settling";
  await settle(entry, around, { outcome, file });
}

/** Write the end of an entry that never ran, or whose run is known to be over, and close it. */
export async function conclude(
  entry: Entry,
  around: Surroundings,
  ending: Omit<Ending, "logBytes">,
): Promise<void> {
  const file = around.options.logs.open(requestLogPath(around.options.folder, entry.id));
  await file.flush().catch(() => undefined); // a full disk keeps no request from ending
  around.failpoint("before_result");
  const written = await insist(
    entry,
    around,
    () => around.store.finish(entry.id, { ...ending, logBytes: file.size() }),
  );
  around.failpoint("after_result");
  if (written === true) entry.close(ending.status);
  else entry.close(written === null ? null : (await around.store.get(entry.id))?.status ?? null);
  // After closing: whoever asks for the log from here on is given one that has ended.
  await file.end();
}

/** Resolves once the entry's processes are proven dead; false if the engine went first. Says so while it can't. */
export async function untilDead(entry: Entry, around: Surroundings): Promise<boolean> {
  for (let told = false; !around.gone.aborted;) {
    try {
      await around.proveDead(entry.id);
      entry.trouble = null;
      return true;
    } catch (error) {
      entry.trouble = "Its processes cannot be proven dead yet; trying again";
      if (!told) around.report(error, entry);
      told = true;
      await pause(RETRY_MS, around.gone);
    }
  }
  return false;
}

async function attempt(entry: Entry, around: Surroundings, file: LogFile): Promise<Outcome> {
  const log = new RequestLog(file, () => entry.check());
  const lines = around.options.makeLog((bytes) => log.append(bytes));
  try {
    const seed = entry.seed ?? await around.store.seed(entry.id);
    entry.seed = null;
    if (seed === null) throw new SkyError("internal", `The body of request ${entry.id} is gone`);
    entry.attempts = seed.attempts;
    const finished = seed.attempts > 1 ? await around.steps.list(entry.id) : [];
    if (seed.attempts > 1) {
      const from = finished.reduce((end, step) => Math.max(end, step.logEnd), 0);
      await log.resume({ from, steps: finished.length > 0 });
    }
    const { failpoint, steps: store } = around;
    const journal = new Journal({ entry, store, log, finished, failpoint });
    entry.signal.throwIfAborted();
    const ctx: Context = {
      ...contextOf(entry, seed),
      log: lines,
      step: (name, work) => journal.step(name, work),
      now: around.options.now,
    };
    const value = await around.options.work(entry.name)(JSON.parse(seed.body), ctx);
    return { kind: "done", result: JSON.stringify(value ?? null) ?? "null" };
  } catch (error) {
    if (entry.stopped === null && (!isSkyError(error) || error.code === "internal")) {
      around.report(error, entry);
      log.caughtUp();
      for (const line of stackOf(error).split("\n")) lines.line(line);
    }
    return { kind: "failed", error };
  }
}

async function settle(
  entry: Entry,
  around: Surroundings,
  parts: { outcome: Outcome; file: LogFile },
): Promise<void> {
  const ending = endingOf(entry, parts.outcome);
  const dead = ending?.status === "SUCCEEDED" || await untilDead(entry, around);
  if (ending !== null && dead) return await conclude(entry, around, ending);
  // Drained: the row stays RUNNING and the next start resumes it. Followers must go, they ask again.
  entry.close(null);
  await parts.file.end();
}

/** What the row will say; null to leave it to the next start. */
function endingOf(entry: Entry, outcome: Outcome): Omit<Ending, "logBytes"> | null {
  const from = "RUNNING" as const;
  // A result that came before its work noticed the cancel stands, unless the work had been given up by then.
  if (outcome.kind === "done" && !entry.fenced) {
    return { from, status: "SUCCEEDED", result: outcome.result, error: null };
  }
  if (entry.stopped === "cancel" || (entry.stopped === "drain" && entry.streaming)) {
    return { from, status: "CANCELLED", result: null, error: null };
  }
  if (entry.stopped === "drain") {
    return entry.resumable
      ? null
      : { from, status: "FAILED", result: null, error: keep(interrupted(entry.name)) };
  }
  const error = outcome.kind === "failed" ? outcome.error : entry.signal.reason;
  return { from, status: "FAILED", result: null, error: keep(error) };
}

/**
 * Do a write until it is done: a request's state does not get lost because the disk is full for a while. Null if
 * the engine is gone first, or for a start that is no longer wanted.
 */
async function insist(
  entry: Entry,
  around: Surroundings,
  write: () => Promise<boolean>,
): Promise<boolean | null> {
  for (let told = false; !around.gone.aborted;) {
    try {
      const written = await write();
      entry.trouble = null;
      return written;
    } catch (error) {
      entry.trouble = isSkyError(error, "disk_full")
        ? "Waiting for space on the server's disk"
        : "The server's database fails; trying again";
      if (!told) around.report(error, entry);
      told = true;
      await pause(RETRY_MS, around.gone);
    }
  }
  return null;
}

function contextOf(entry: Entry, seed: RequestSeed): Omit<Context, "log" | "step" | "now"> {
  return {
    requestId: entry.id,
    user: seed.user,
    workspace: seed.workspace,
    env: JSON.parse(seed.env) as Record<string, string>,
    config: JSON.parse(seed.config) as SkyConfig,
    command: seed.command,
    signal: entry.signal,
  };
}
