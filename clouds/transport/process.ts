/**
 * Starts programs: argv only, each in a session of its own, so that it can be ended whole. Owns spawning and the
 * record of a request's children (`<processes>/<request id>/<n>`, written by the child itself before it becomes
 * the command, so there is no moment in which a crash of ours leaves an unknown child). Ending and proving is
 * end_processes.ts; jobs, which outlive requests, are local_jobs.ts.
 */
import { join } from "@std/path";
import process from "node:process";
import { SkyError } from "../../core/errors.ts";
import type { RunOptions, RunResult } from "../cloud.ts";
import { type EndOptions, endProcesses, type Quarry } from "./end_processes.ts";
import { RECORD_CHILD } from "./node/record_child.ts";
import { identify, parseIdentity, type ProcessId } from "./process_table.ts";

export interface ProcessOptions extends RunOptions {
  /** The whole environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Folder of the request this child belongs to; null for work that belongs to none. */
  readonly processes: string | null;
  /** Milliseconds between TERM and KILL on abort. Default 3 s. */
  readonly graceMs?: number;
}

const MAX_OUTPUT = 1 << 20;
const GRACE_MS = 3_000;
/** How long after its end a program's output may be held open by what it left behind (e.g. an ssh master). */
const DRAIN_MS = 500;

let setsid: string | null | undefined;

/** The setsid program: a third of the cost of Deno's `detached` (which forks this whole process). */
function setsidProgram(): string | null {
  if (setsid !== undefined) return setsid;
  setsid = null;
  for (const path of ["/usr/bin/setsid", "/bin/setsid", "/usr/local/bin/setsid"]) {
    try {
      if (Deno.statSync(path).isFile) setsid = path;
    } catch {
      continue; // Not there: optional, as on macOS.
    }
    if (setsid !== null) break;
  }
  return setsid;
}

export interface SessionOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly stdin: "null" | "piped";
  readonly stdout: "null" | "piped";
  readonly stderr: "null" | "piped";
  /** For tests: do without the setsid program. */
  readonly detached?: boolean;
}

/** Start `/bin/sh -c script sh …args` as the leader of a new session; its pid is the session's. */
export function spawnSession(
  script: string,
  args: readonly string[],
  options: SessionOptions,
): Deno.ChildProcess {
  const { detached, ...rest } = options;
  const program = detached === true ? null : setsidProgram();
  const shell = ["-c", script, "sh", ...args];
  const common = { ...rest, env: { ...options.env }, clearEnv: true };
  return program === null
    ? new Deno.Command("/bin/sh", { ...common, args: shell, detached: true }).spawn()
    : new Deno.Command(program, { ...common, args: ["/bin/sh", ...shell] }).spawn();
}

/**
 * Run a program and wait for it. Its exit code is a result, not an error; 127 means it doesn't exist, 125 that
 * it could not be recorded. Output beyond `maxOutput` bytes is read and dropped. On abort its whole session is
 * ended and proven gone before this rejects with the signal's reason (or timeout, if that can't be proven).
 */
export async function runProcess(argv: readonly string[], options: ProcessOptions): Promise<RunResult> {
  const { child, record } = await spawnRecorded(
    argv,
    options,
    options.stdin === undefined ? "null" : "piped",
  );
  // Still unwaited-for at this moment, so the pid can be no other's.
  const id = identify(child.pid);
  const limit = options.maxOutput ?? MAX_OUTPUT;
  const out = capture(child.stdout, limit);
  const err = capture(child.stderr, limit);
  const { promise: aborted, resolve: abort } = Promise.withResolvers<"aborted">();
  const onAbort = () => abort("aborted");
  options.signal.addEventListener("abort", onAbort, { once: true });
  const input = options.stdin === undefined ? null : feed(child.stdin, options.stdin);
  try {
    const first = await Promise.race([child.status, aborted]);
    if (first === "aborted") {
      await endProcesses(quarryOf(id === null ? [] : [id], record), {
        graceMs: options.graceMs ?? GRACE_MS,
      });
      await child.status;
      await forget(record);
      options.signal.throwIfAborted();
      throw new SkyError("internal", "A process was aborted by a signal that is not aborted");
    }
    await within(DRAIN_MS, Promise.all([out.done, err.done]));
    // Who stays behind in its group stays on record, to be ended with the request.
    if (!groupExists(child.pid)) await forget(record);
    return { code: first.code, stdout: out.text(), stderr: err.text() };
  } finally {
    options.signal.removeEventListener("abort", onAbort);
    await Promise.all([out.cancel(), err.cancel(), input?.cancel()]);
  }
}

async function spawnRecorded(
  argv: readonly string[],
  options: ProcessOptions,
  stdin: "null" | "piped",
): Promise<{ child: Deno.ChildProcess; record: string; id: ProcessId | null }> {
  options.signal.throwIfAborted();
  const record = options.processes === null ? "" : join(options.processes, crypto.randomUUID());
  if (options.processes !== null) await Deno.mkdir(options.processes, { recursive: true, mode: 0o700 });
  options.signal.throwIfAborted();
  const child = spawnSession(RECORD_CHILD, [record, String(Deno.pid), ...argv], {
    env: record === "" ? options.env : { ...options.env, [MARK]: record },
    cwd: options.cwd,
    stdin,
    stdout: "piped",
    stderr: "piped",
  });
  // Still unwaited-for at this moment, so the pid can be no other's.
  return { child, record, id: identify(child.pid) };
}

/** A program whose input and outputs are the caller's to carry. Every stream must be ended or cancelled by them. */
export interface OpenProcess {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  /** Its exit code; never rejects. */
  readonly ended: Promise<number>;
  /** End its session, at once, and prove it. Throws timeout like `endProcesses`. */
  end(): Promise<void>;
}

/** Start a program and leave it running. The signal counts only until it is started; `end` is for later. */
export async function openProcess(
  argv: readonly string[],
  options: Omit<ProcessOptions, "stdin" | "maxOutput" | "graceMs">,
): Promise<OpenProcess> {
  const { child, record, id } = await spawnRecorded(argv, options, "piped");
  const ended = child.status.then(async ({ code }) => {
    if (!groupExists(child.pid)) await forget(record);
    return code;
  });
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    ended,
    async end() {
      await endProcesses(quarryOf(id === null ? [] : [id], record), { graceMs: 0 });
      await ended;
      await forget(record);
    },
  };
}

/** In the environment of a request's children: whose they are, should their leader be gone. */
const MARK = "SKY_PROCESS";

function quarryOf(leaders: readonly ProcessId[], record: string): Quarry {
  const mark = record === "" ? null : { entry: `${MARK}=${record}`, prefix: true };
  return { leaders, mark, hunt: false, folder: null };
}

/**
 * End every process a request has on record, prove it, and drop the records. `folder` is the request's own. For
 * the engine: before CANCELLED is written, and at recovery. Throws like `endProcesses`; then the records stay.
 */
export async function proveDead(folder: string, options: Partial<EndOptions> = {}): Promise<void> {
  const leaders: ProcessId[] = [];
  for (const record of await recordsIn(folder)) {
    const id = parseIdentity(await Deno.readTextFile(record).catch(() => ""));
    // Empty or cut short: its child never became the command and won't, or has ended and was forgotten.
    if (id !== null) leaders.push(id);
  }
  if (leaders.length > 0) {
    await endProcesses(quarryOf(leaders, `${folder}/`), { graceMs: GRACE_MS, ...options });
  }
  await Deno.remove(folder, { recursive: true }).catch(ignoreMissing);
}

async function recordsIn(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map((entry) => join(folder, entry.name));
  } catch (error) {
    ignoreMissing(error);
    return [];
  }
}

/** End one session and prove it: TERM, after `graceMs` KILL. Never signals a pid with another start time. */
export function killGroup(leader: ProcessId, options: EndOptions): Promise<void> {
  return endProcesses(quarryOf([leader], ""), options);
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

async function forget(record: string): Promise<void> {
  if (record !== "") await Deno.remove(record).catch(ignoreMissing);
}

function groupExists(pid: number): boolean {
  try {
    process.kill(-pid, 0);
    return true;
  } catch (error) {
    // EPERM: somebody is there whom we may not signal.
    return (error as { code?: string }).code !== "ESRCH";
  }
}

/** Writes the whole input and closes it; `cancel` gives up on a reader that is gone or doesn't read. */
function feed(stream: WritableStream<Uint8Array>, input: string | Uint8Array): { cancel(): Promise<void> } {
  const writer = stream.getWriter();
  const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
  // A program that ends or closes its input without reading all of it does as it likes, as in a shell pipe.
  const done = writer.write(bytes).then(() => writer.close()).catch(() => {});
  return {
    async cancel() {
      await writer.abort().catch(() => {});
      await done;
    },
  };
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  try {
    await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

interface Capture {
  readonly done: Promise<void>;
  text(): string;
  cancel(): Promise<void>;
}

/** Keeps the first `limit` bytes of a stream and reads the rest away, so that the writer never blocks. */
function capture(stream: ReadableStream<Uint8Array>, limit: number): Capture {
  const reader = stream.getReader();
  const kept: Uint8Array[] = [];
  let size = 0;
  const done = (async () => {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      if (size >= limit) continue;
      const part = value.subarray(0, limit - size);
      kept.push(part);
      size += part.length;
    }
  })();
  return {
    done,
    text() {
      const decoder = new TextDecoder();
      return kept.map((part) => decoder.decode(part, { stream: true })).join("") + decoder.decode();
    },
    async cancel() {
      await reader.cancel();
      await done;
    },
  };
}
