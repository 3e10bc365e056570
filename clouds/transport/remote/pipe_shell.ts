/**
 * A NodeShell over any program that carries one command's input and outputs to a machine and back (ssh, srun).
 * Owns the conversation: begin and end marks, feeding, heartbeats, ending it on abort and the proof of that. How
 * to reach the machine, and what a failure of the program means, is the carrier's.
 */
import { describe, SkyError } from "../../../core/errors.ts";
import type { RunResult } from "../../cloud.ts";
import { quote } from "../job_files.ts";
import { END_MARKED } from "../node/end_processes.ts";
import { detached, EXEC_KEY, onLeash, withWholeInput } from "../node/leash.ts";
import { openProcess } from "../process.ts";
import { commandLine, setArguments } from "./command_line.ts";
import { Conversation } from "./conversation.ts";
import type { DetachOptions, NodeShell, OpenOptions, OpenShell, ShellOptions } from "./shell.ts";

/** How one command's program ended, if not by a received exit code. */
export interface Failure {
  readonly code: number;
  /** What it, or the machine, wrote to standard error before the script began. */
  readonly stderr: string;
  /** Whether the script was seen to begin. */
  readonly begun: boolean;
}

/** One command's place on the connection. */
export interface Turn {
  readonly argv: readonly string[];
  /** The whole environment of the program. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** `again` if the command provably never began and another try makes sense; else the error to throw. */
  judge(failure: Failure): Promise<SkyError | "again">;
  /** It has not begun for a long time: see whether the connection is alive; if not, make the program end. */
  doubt(): Promise<void>;
  /** May be called more than once. */
  release(): void;
}

export interface Carrier {
  readonly name: string;
  /** Waits for its turn and for a live connection. `line` is one command for whatever login shell is there. */
  begin(line: string, options: { signal: AbortSignal }): Promise<Turn>;
  /** Of the log of whoever asks. */
  note(text: string): void;
  readonly rsh?: NodeShell["rsh"];
}

const MAX_OUTPUT = 1 << 20;
/** Commands that never began are tried again for this long. */
const TRY_MS = 30_000;
/** An aborted command's remote end is ended and proven dead within this. */
const PROOF_MS = 8_000;

export function pipeShell(carrier: Carrier): NodeShell {
  const shell = new PipeShell(carrier);
  return carrier.rsh === undefined ? shell : Object.assign(shell, { rsh: carrier.rsh });
}

class PipeShell implements NodeShell {
  readonly name: string;
  readonly #carrier: Carrier;

  constructor(carrier: Carrier) {
    this.name = carrier.name;
    this.#carrier = carrier;
  }

  async exec(script: string, options: ShellOptions): Promise<RunResult> {
    const body = `${setArguments(options.args ?? [])}\n${script}`;
    return await this.#whole((token, size) => onLeash(body, { token, size }), options);
  }

  async detach(script: string, options: DetachOptions): Promise<RunResult> {
    const parts = {
      first: options.first ?? ":",
      quotedScript: quote(script),
      setArguments: setArguments(options.args ?? []),
    };
    return await this.#whole((token, size) => detached(parts, { token, size }), options, { detached: true });
  }

  async open(script: string, options: OpenOptions): Promise<OpenShell> {
    const body = `${setArguments(options.args ?? [])}\n${script}`;
    const withInput = options.stdin !== undefined;
    const text = (token: string) =>
      withInput ? withWholeInput(body, { token }) : onLeash(body, { token, size: 0 });
    const limits = deadline(options);
    let handed = false;
    try {
      const { conversation, turn, token } = await this.#talk(text, { ...options, signal: limits.signal }, {
        input: options.stdin ?? null,
        streamed: true,
        limit: MAX_OUTPUT,
      });
      const finish = this.#finish(conversation, { turn, token, signal: limits.signal, options })
        .finally(() => {
          turn.release();
          limits.clear();
        });
      // Who reads only the output need not look at the end.
      finish.catch(() => {});
      handed = true;
      return { stdout: conversation.stdout, ended: finish };
    } finally {
      if (!handed) limits.clear();
    }
  }

  async #whole(
    text: (token: string, size: number) => string,
    options: ShellOptions,
    { detached = false }: { detached?: boolean } = {},
  ): Promise<RunResult> {
    const input = typeof options.stdin === "string" ? new TextEncoder().encode(options.stdin) : options.stdin;
    const limits = deadline(options);
    try {
      const { conversation, turn, token } = await this.#talk(
        (token) => text(token, input?.length ?? 0),
        { ...options, signal: limits.signal },
        {
          input: input ?? null,
          streamed: false,
          detached,
          limit: options.maxOutput ?? MAX_OUTPUT,
        },
      );
      try {
        return await this.#finish(conversation, { turn, token, signal: limits.signal, options });
      } finally {
        turn.release();
      }
    } finally {
      limits.clear();
    }
  }

  /** Starts a command, as often as it takes for it to begin. */
  async #talk(
    text: (token: string) => string,
    options: { signal: AbortSignal; processes?: string | null },
    talk: {
      input: Uint8Array | ReadableStream<Uint8Array> | null;
      streamed: boolean;
      detached?: boolean;
      limit: number;
    },
  ): Promise<{ conversation: Conversation; turn: Turn; token: string }> {
    const giveUpAt = performance.now() + TRY_MS;
    for (let pause = 50;; pause = Math.min(pause * 2, 1_000)) {
      const token = crypto.randomUUID();
      const turn = await this.#carrier.begin(commandLine(text(token)), options);
      let kept = false;
      try {
        const child = await openProcess(turn.argv, {
          env: turn.env,
          cwd: turn.cwd,
          processes: options.processes ?? null,
          signal: options.signal,
        });
        const conversation = new Conversation(child, {
          token,
          ...talk,
          doubt: () => turn.doubt(),
          broken: () => this.#broken(),
        });
        const first = await conversation.begun(options.signal);
        if (first !== "failed") {
          kept = true;
          return { conversation, turn, token };
        }
        const failure = await conversation.failure();
        const verdict = await turn.judge(failure);
        if (verdict !== "again") throw verdict;
        if (performance.now() > giveUpAt) throw this.#busy();
      } finally {
        if (!kept) turn.release();
      }
      await rest(pause, options.signal);
    }
  }

  async #finish(
    conversation: Conversation,
    { turn, token, signal, options }: {
      turn: Turn;
      token: string;
      signal: AbortSignal;
      options: { processes?: string | null; harmless?: boolean };
    },
  ): Promise<RunResult> {
    const end = await conversation.end(signal);
    if (end === "aborted" || end === "cancelled") {
      // The proof needs a place of its own; many who wait for one with theirs in hand would wait for ever.
      turn.release();
      if (options.harmless !== true) {
        await this.#prove(token, conversation.age(), options.processes ?? null);
      }
      if (end === "cancelled") return { code: 143, stdout: "", stderr: "" };
      signal.throwIfAborted();
      throw this.#broken();
    }
    if (end !== "failed") return end;
    const verdict = await turn.judge(await conversation.failure());
    throw verdict === "again" ? this.#broken() : verdict;
  }

  /** End what is left of an aborted command on the node; says so if that can't be done or proven. */
  async #prove(token: string, ageMs: number, processes: string | null): Promise<void> {
    const signal = AbortSignal.timeout(PROOF_MS);
    const args = [`${EXEC_KEY}=${token}`, "0", String(Math.ceil(ageMs / 1000) + 2)];
    try {
      const body = `${setArguments(args)}\n${END_MARKED}`;
      const { conversation, turn } = await this.#talk(
        (own) => onLeash(body, { token: own, size: 0 }),
        { signal, processes },
        { input: null, streamed: false, limit: 4096 },
      );
      try {
        const end = await conversation.end(signal);
        if (typeof end === "object" && end.code === 0) return;
        if (end === "failed") await conversation.failure();
        const why = typeof end === "object" ? end.stderr.trim() : "the connection broke";
        this.#carrier.note(`A command that was ended may still run on ${this.name}: ${why}`);
      } finally {
        turn.release();
      }
    } catch (error) {
      const why = signal.aborted ? "it did not answer in time" : describe(error);
      this.#carrier.note(`A command that was ended may still run on ${this.name}: ${why}`);
    }
  }

  #broken(): SkyError {
    return new SkyError("network", `The connection to ${this.name} broke`);
  }

  #busy(): SkyError {
    return new SkyError("network", `Cannot run a command on ${this.name}: it takes no more sessions`);
  }
}

function deadline(options: { signal: AbortSignal; timeoutMs?: number }) {
  if (options.timeoutMs === undefined) return { signal: options.signal, clear: () => {} };
  const clock = new AbortController();
  const timer = setTimeout(() => {
    clock.abort(new SkyError("timeout", `A command took longer than ${options.timeoutMs} ms`));
  }, options.timeoutMs);
  return { signal: AbortSignal.any([options.signal, clock.signal]), clear: () => clearTimeout(timer) };
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
  signal.throwIfAborted();
}
