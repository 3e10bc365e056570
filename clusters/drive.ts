/**
 * One placed job from its nodes to its final status (domain.md §5.3, §5.5, §5.8): setup everywhere, run where it
 * was placed, the lines around them, the codes. May be begun again at any point after a crash and comes to the
 * same end. Leaves placing to keeper.ts, one phase over all nodes to gang.ts.
 */
import { cyan, red } from "../core/ansi.ts";
import { isSkyError } from "../core/errors.ts";
import type { JobRecord, JobStatus } from "../core/job.ts";
import type { JobStore } from "../state/jobs.ts";
import { kill, KILLED_BY_GANG, type Member, type PhaseOutcome, runPhase } from "./gang.ts";
import { everyPhase, type JobPlace, type JobSpec, parseSpec, runMembers, setupMembers } from "./job_spec.ts";
import { noteFailure, noteStarted } from "./job_notes.ts";
import { finishing } from "./lines.ts";
import type { JobLog } from "./merge.ts";
import { within } from "./waiting.ts";

export interface DriveOptions {
  readonly place: JobPlace;
  readonly jobs: JobStore;
  readonly log: JobLog;
  /** Where the merged log lies on this machine. */
  readonly logPath: string;
  /** The server's life: aborting stops the watching, not the job. */
  readonly signal: AbortSignal;
  now(): number;
  failpoint(name: string): void;
  /** Its status is final: what it held is free, though we may still be tidying up. Called once. */
  onFinal(): void;
}

/** Why a job is ended from outside: by its user, or with its cluster. */
export type EndWish = "cancel" | "cluster";

export interface End {
  readonly status: JobStatus;
  readonly codes: readonly (number | null)[];
  /** Said before the last line; null for nothing. */
  readonly error: string | null;
}

/** Time for a job to clean up before it is killed. */
const END_GRACE_MS = 5000;
/** A log that has waited this long for space, on a full disk, no longer holds up the end of its job. */
const STUCK_MS = 1000;
const LOOK_MS = 200;
/** Marks in the log's index, not lines: from here on the job ends so, whatever its processes say. */
const MARKS: Readonly<Record<EndWish, string>> = { cancel: "cancel", cluster: "cluster" };
const SEGMENTATION_FAULT = 139;

export class Driver {
  #job: JobRecord;
  readonly #options: DriveOptions;
  readonly #spec: JobSpec;
  readonly #final = Promise.withResolvers<void>();
  #isFinal = false;

  constructor(job: JobRecord, options: DriveOptions) {
    this.#job = job;
    this.#options = options;
    this.#spec = parseSpec(job);
  }

  /** Until the job is over. Rejects when `signal` aborts. */
  async run(): Promise<void> {
    const { log, signal } = this.#options;
    if (this.#wish === null) await noteStarted(log);
    let end: End;
    try {
      end = await this.#phases();
    } catch (error) {
      signal.throwIfAborted();
      // Not a job's failure but ours (its machine or our disk broke): nothing may go on unwatched.
      await this.#killAll({ denied: true });
      end = {
        status: "FAILED_DRIVER",
        codes: [],
        error: `Job ${this.#job.id} lost its driver: ${reason(error)}`,
      };
    }
    if (this.#wish !== null) end = { ...endedBy(this.#job, this.#wish), codes: end.codes };
    this.#options.failpoint("before_job_end");
    const { jobs, now, failpoint } = this.#options;
    await finishJob(this.#job, {
      ...end,
      jobs,
      log,
      now,
      onFinal: () => {
        failpoint("after_job_end");
        this.#becomeFinal();
      },
    });
    await this.#leaveCopy();
  }

  /**
   * Kill a job that was marked. Resolves when all its processes are proven dead and its status is final. `run`
   * writes its end, unless the log has no space for what is left of the output: then its end is told before. Throws
   * permission_denied of a node that does not let us in.
   */
  async kill(): Promise<void> {
    await this.#killAll({ denied: false });
    const { jobs, log, now, signal } = this.#options;
    while (!this.#isFinal && log.stuckMs < STUCK_MS) {
      signal.throwIfAborted();
      await within(LOOK_MS, this.#final.promise);
    }
    if (this.#isFinal) return;
    await writeEnd(this.#job, { ...endedBy(this.#job, this.#wish ?? "cancel"), jobs, now });
    this.#becomeFinal();
  }

  #becomeFinal(): void {
    if (this.#isFinal) return;
    this.#isFinal = true;
    this.#final.resolve();
    this.#options.onFinal();
  }

  get #wish(): EndWish | null {
    return endWish(this.#options.log);
  }

  async #phases(): Promise<End> {
    const { setup, run } = this.#spec;
    if (this.#wish !== null) await this.#killAll({ denied: true });
    if (setup !== null && this.#job.status !== "RUNNING") {
      const members = setupMembers(this.#job, setup, this.#options.place);
      const outcome = await this.#phase(members, { settled: [], settle: () => Promise.resolve() });
      if (outcome.codes.some((code) => code !== 0)) return this.#setupEnd(outcome);
    }
    if (this.#wish !== null) return endedBy(this.#job, this.#wish);
    await this.#becomeRunning();
    if (run === null) return { status: "SUCCEEDED", codes: [], error: null };
    const members = runMembers(this.#job, run, this.#options.place);
    const outcome = await this.#phase(members, {
      settled: this.#job.exitCodes,
      settle: async (codes) => {
        await this.#options.jobs.update(this.#key, { exitCodes: codes });
      },
    });
    return this.#runEnd(outcome);
  }

  #phase(
    members: readonly Member[],
    options: Pick<Parameters<typeof runPhase>[1], "settled" | "settle">,
  ): Promise<PhaseOutcome> {
    const { log, signal, failpoint } = this.#options;
    return runPhase(members, {
      ...options,
      log,
      signal,
      failpoint,
      // A log that can't be written is heard of by those who write to it all the time.
      onFailure: (error) => void noteFailure(log, error).catch(() => {}),
    });
  }

  #setupEnd(outcome: PhaseOutcome): End {
    const failed = outcome.codes.flatMap((code, i) =>
      code === null || code === 0 || code === KILLED_BY_GANG
        ? []
        : [`(pid=${outcome.pids[i]}, returncode=${code})`]
    );
    if (failed.length === 0) {
      return { status: "FAILED_DRIVER", codes: [], error: this.#vanished("setup") };
    }
    const text = `Job ${this.#job.id}'s setup failed. Failed workers: ${failed.join(", ")}. ` +
      "See error logs above for more details.";
    return { status: "FAILED_SETUP", codes: [], error: red(text) };
  }

  #runEnd({ codes }: PhaseOutcome): End {
    if (codes.every((code) => code === 0)) return { status: "SUCCEEDED", codes, error: null };
    const list = codes.map((code) => String(code ?? "?")).join(", ");
    if (codes.includes(null)) {
      const others = codes.length > 1 ? ` Return code list: [${list}]` : "";
      return { status: "FAILED_DRIVER", codes, error: this.#vanished("run") + others };
    }
    const head = red(`Job ${this.#job.id} failed with return code list:`);
    return { status: "FAILED", codes, error: `${head} [${list}] ${failureReason(codes)}` };
  }

  #vanished(phase: string): string {
    return red(
      `Job ${this.#job.id}'s ${phase} process vanished without an exit code: killed, or its machine restarted.`,
    );
  }

  async #becomeRunning(): Promise<void> {
    if (this.#job.status === "RUNNING") return;
    const startedAt = this.#options.now();
    await this.#options.jobs.update(this.#key, { status: "RUNNING", startedAt });
    this.#job = { ...this.#job, status: "RUNNING", startedAt };
  }

  /** `denied`: waits for nodes that do not let us in. */
  async #killAll({ denied }: { denied: boolean }): Promise<void> {
    const { place, signal } = this.#options;
    await Promise.all(
      everyPhase(this.#job, place.nodes).map((member) =>
        kill(member, { signal, denied, graceMs: END_GRACE_MS })
      ),
    );
  }

  /** For those who look on the head node, as SkyPilot's users do. */
  async #leaveCopy(): Promise<void> {
    const head = this.#options.place.nodes[0];
    const target = `~/sky_logs/${this.#job.logDir}/run.log`;
    try {
      await head?.runner.upload(this.#options.logPath, target, { signal: this.#options.signal });
    } catch (error) {
      // Only a convenience: the log itself is here, and the node may be gone with its cluster by now.
      if (!isSkyError(error) && !this.#options.signal.aborted) throw error;
    }
  }

  get #key(): { clusterHash: string; id: number } {
    return { clusterHash: this.#job.clusterHash, id: this.#job.id };
  }
}

/**
 * The last lines of the log, then the final status, once; then the log's end. On a full disk the status comes first
 * and the lines when there is space. Secrets leave the row.
 */
export async function finishJob(
  job: JobRecord,
  options: End & { jobs: JobStore; log: JobLog; now(): number; onFinal(): void },
): Promise<void> {
  const { status, error, log } = options;
  const lines = (async () => {
    if (error !== null) await log.note("error", `ERROR: ${error}`);
    await log.note("finished", finishing(`Job finished (status: ${status}).`));
    await log.flush();
  })();
  let written = false;
  const over = lines.finally(() => written = true);
  over.catch(() => {}); // heard by who waits for the lines
  while (!written && log.stuckMs < STUCK_MS) await within(LOOK_MS, over);
  await writeEnd(job, options);
  options.onFinal();
  await lines;
  await log.end();
}

/** The final status, unless there is one. */
async function writeEnd(
  job: JobRecord,
  options: Pick<End, "status" | "codes"> & { jobs: JobStore; now(): number },
): Promise<void> {
  const { status, codes, jobs, now } = options;
  const spec: JobSpec = { ...parseSpec(job), env: {} };
  await jobs.update(job, { status, endedAt: now(), exitCodes: codes, spec: JSON.stringify(spec) });
}

/**
 * Durable before the first signal is sent, so that a crash in between does not make a failure of it. False if the job
 * is over.
 */
export async function markEnd(log: JobLog, wish: EndWish): Promise<boolean> {
  return await log.mark(MARKS[wish]);
}
export function endWish(log: JobLog): EndWish | null {
  if (log.has(MARKS.cancel)) return "cancel";
  return log.has(MARKS.cluster) ? "cluster" : null;
}

/** How a job ends that was ended from outside. */
export function endedBy(job: JobRecord, wish: EndWish): End {
  if (wish === "cancel") return { status: "CANCELLED", codes: [], error: null };
  return { status: "FAILED_DRIVER", codes: [], error: red(`Job ${job.id} was ended with its cluster.`) };
}

function failureReason(codes: readonly (number | null)[]): string {
  if (codes.includes(SEGMENTATION_FAULT)) return "(likely due to Segmentation Fault)";
  if (!codes.includes(KILLED_BY_GANG)) return "";
  const first = codes.find((code) => code !== 0 && code !== KILLED_BY_GANG);
  if (first === undefined) return "";
  return `(A Worker failed with return code ${first}, SkyPilot cleaned up the processes on other nodes with ` +
    `return code ${KILLED_BY_GANG})`;
}

function reason(error: unknown): string {
  return cyan(error instanceof Error ? error.message : String(error));
}
