/**
 * The eyes on one host: what its job directories and outputs look like, now or once they change. Owns the
 * standing connection (look_channel.ts) and the rhythm of looking; one a host, shared by all nodes there.
 */
import { SkyError } from "../../../core/errors.ts";
import { parseExit } from "../job_files.ts";
import { parseIdentity, parseStat, type ProcessId } from "../process_table.ts";
import { LookChannel } from "./look_channel.ts";
import type { NodeShell } from "./shell.ts";

/** A job directory in full. */
export interface JobLook {
  readonly there: boolean;
  readonly identity: ProcessId | null;
  readonly identityText: string;
  /** Whether exactly the recorded process lives, by /proc of the machine that is looked at. */
  readonly alive: boolean;
  readonly exitCode: number | null;
}

/** What a look in passing tells. */
export interface Glance {
  readonly there: boolean;
  readonly alive: boolean;
  readonly exitCode: number | null;
  /** Bytes of the output, 0 while there is none. */
  readonly size: number;
}

interface Waiter {
  readonly job: string;
  /** Whose life is of interest. */
  readonly identity: ProcessId | null;
  see(glance: Glance): void;
}

/** Milliseconds between looks, while something happens and while nothing has for CALM_AFTER_MS. */
const BUSY_MS = 80;
const CALM_MS = 180;
const CALM_AFTER_MS = 10_000;
/** Between attempts to reach a host again. */
const FIRST_RETRY_MS = 300;
const LAST_RETRY_MS = 5_000;
/** An unused connection is kept for this long. */
const IDLE_MS = 20_000;
const SMALL = 1 << 16;
const AT_ONCE = 64;

export class HomeWatch {
  readonly #shell: NodeShell;
  readonly #waiters = new Set<Waiter>();
  readonly #life = new AbortController();
  #channel: LookChannel | null = null;
  #closing: Promise<void>[] = [];
  #loop: Promise<void> | null = null;
  #bell: (() => void) | null = null;
  #busyUntil = 0;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor(shell: NodeShell) {
    this.#shell = shell;
  }

  /** One job directory as it is now. Throws as a NodeShell does. */
  async look(job: string, { signal }: { signal: AbortSignal }): Promise<JobLook> {
    const text = decode(await this.#ask("S", [job], { limit: SMALL, signal }));
    const [flags, exit, ...identity] = text.split("\n");
    const identityText = identity.join("\n");
    return {
      there: flags?.startsWith("1") === true,
      alive: flags?.endsWith("1") === true,
      exitCode: parseExit(exit ?? ""),
      identity: parseIdentity(`${identityText}\n`),
      identityText,
    };
  }

  /** At most `limit` bytes of a regular file from `offset`; none if it isn't there. */
  async read(
    file: string,
    { offset, limit, signal }: { offset: number; limit: number; signal: AbortSignal },
  ): Promise<Uint8Array> {
    if (limit <= 0) return new Uint8Array();
    return await this.#ask("R", [file, String(offset), String(limit)], { limit: limit + 1, signal });
  }

  /** Resolves once a glance at the job satisfies `changed`, or after `timeoutMs`. A host out of reach is waited for. */
  async until(
    job: string,
    changed: (glance: Glance) => boolean,
    options: { identity: ProcessId | null; timeoutMs: number; signal: AbortSignal },
  ): Promise<void> {
    options.signal.throwIfAborted();
    this.#life.signal.throwIfAborted();
    checkWords([job]);
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiter: Waiter = {
      job,
      identity: options.identity,
      see: (glance) => {
        if (changed(glance)) resolve();
      },
    };
    const timer = setTimeout(resolve, options.timeoutMs);
    const onAbort = () => resolve();
    options.signal.addEventListener("abort", onAbort, { once: true });
    this.#life.signal.addEventListener("abort", onAbort, { once: true });
    this.#waiters.add(waiter);
    this.#busyUntil = performance.now() + CALM_AFTER_MS;
    this.#bell?.();
    this.#loop ??= this.#watch();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      options.signal.removeEventListener("abort", onAbort);
      this.#life.signal.removeEventListener("abort", onAbort);
      this.#waiters.delete(waiter);
      if (this.#waiters.size === 0) this.#bell?.();
    }
    options.signal.throwIfAborted();
  }

  async close(): Promise<void> {
    this.#life.abort(new SkyError("network", `The watch of ${this.#shell.name} was closed`));
    clearTimeout(this.#idle);
    this.#bell?.();
    await this.#loop;
    this.#dropChannel();
    await Promise.all(this.#closing);
  }

  async #ask(
    what: "S" | "T" | "R",
    words: readonly string[],
    { limit, signal }: { limit: number; signal: AbortSignal },
  ): Promise<Uint8Array> {
    signal.throwIfAborted();
    this.#life.signal.throwIfAborted();
    checkWords(words);
    if (this.#channel !== null && this.#channel.failure !== null) this.#dropChannel();
    this.#channel ??= new LookChannel(this.#shell);
    this.#armIdle();
    const answer = this.#channel.ask(what, words, limit);
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([answer, aborted.promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
      answer.catch(() => {}); // The channel goes on without who asked.
    }
  }

  #armIdle(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      if (this.#waiters.size > 0) return this.#armIdle();
      this.#dropChannel();
    }, IDLE_MS);
  }

  #dropChannel(): void {
    const channel = this.#channel;
    this.#channel = null;
    if (channel === null) return;
    const closing = channel.close().finally(() =>
      this.#closing = this.#closing.filter((one) => one !== closing)
    );
    this.#closing.push(closing);
  }

  async #watch(): Promise<void> {
    let retry = FIRST_RETRY_MS;
    while (this.#waiters.size > 0 && !this.#life.signal.aborted) {
      try {
        await this.#glance();
        retry = FIRST_RETRY_MS;
        await this.#pause(performance.now() < this.#busyUntil ? BUSY_MS : CALM_MS);
      } catch {
        // Those who wait are told nothing: what they look at next says what is wrong.
        await this.#pause(retry, { wakeable: false });
        retry = Math.min(retry * 2, LAST_RETRY_MS);
      }
    }
    // In the same turn as the look at the waiters: who comes later starts another loop.
    this.#loop = null;
  }

  async #glance(): Promise<void> {
    const waiters = [...this.#waiters];
    const jobs = [...Map.groupBy(waiters, (one) => `${one.identity?.pid} ${one.job}`).values()];
    for (let at = 0; at < jobs.length; at += AT_ONCE) {
      const some = jobs.slice(at, at + AT_ONCE);
      const words = some.flatMap(([one]) => [
        String(one!.identity?.pid ?? "-"),
        one!.job,
      ]);
      const answer = await this.#ask("T", words, { limit: SMALL * AT_ONCE, signal: this.#life.signal });
      const lines = decode(answer).split("\n");
      const rest = lines.slice(some.length);
      const [living, sizes] = [livingIn(rest), sizesIn(rest)];
      for (const [i, group] of some.entries()) {
        const { identity, job } = group[0]!;
        const [there, exit] = (lines[i] ?? "").split(" ");
        const glance = {
          there: there === "1",
          alive: identity !== null && living.get(identity.pid) === identity.start,
          exitCode: parseExit(exit ?? ""),
          size: sizes.get(`${job}/log`) ?? 0,
        };
        for (const waiter of group) waiter.see(glance);
      }
    }
  }

  async #pause(ms: number, { wakeable = true }: { wakeable?: boolean } = {}): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#bell = () => {
      if (wakeable || this.#waiters.size === 0 || this.#life.signal.aborted) resolve();
    };
    await promise;
    this.#bell = null;
    clearTimeout(timer);
  }
}

/** Pid → start time of those that live, from lines of stat files. */
function livingIn(lines: readonly string[]): Map<number, string> {
  const rows = lines.map(parseStat).filter((row) => row !== null && !row.dead);
  return new Map(rows.map((row) => [row!.pid, row!.start]));
}

/** Path → size, from lines of `ls -Lln`: mode, links, two ids, size, three words of a date, path. */
function sizesIn(lines: readonly string[]): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const line of lines) {
    const match = /^\S+\s+\d+\s+\S+\s+\S+\s+(\d+)\s+.*?\s(\/.*)$/.exec(line);
    if (match !== null) sizes.set(match[2]!, Number(match[1]));
  }
  return sizes;
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function checkWords(words: readonly string[]): void {
  // deno-lint-ignore no-control-regex
  if (!words.some((word) => word === "" || /[\x00-\x1f]/.test(word))) return;
  throw new SkyError("invalid_argument", "Cannot look at a path with control characters");
}
