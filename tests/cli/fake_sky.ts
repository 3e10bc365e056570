/** A server in this process: answers what a test's script says, and remembers what was asked. */
import type { ClusterView, LaunchResult } from "../../api/clusters.ts";
import type { Env } from "../../core/paths.ts";
import type { LogSink, Sky } from "../../sdk/client.ts";
import { run } from "../../cli/run.ts";
import { testTerminal, type TestTerminalOptions } from "../support/test_terminal.ts";

export interface Script {
  readonly clusters?: readonly Partial<ClusterView>[];
  /** Lines of each request's log by operation; a line `status: TEXT` drives the spinner, `error:` ends it so. */
  readonly logs?: Readonly<Record<string, string>>;
  readonly launch?: Partial<LaunchResult>;
  readonly jobLog?: string;
  readonly jobExit?: number;
  readonly errors?: Readonly<Record<string, Error>>;
  readonly remote?: boolean;
  /** Called while the log of a request (`launch`, `optimize`, …, `job`) is streamed. */
  readonly onStream?: (what: string) => void;
}

export const REQUEST_ID = "f01d0f9e-04e7-4a6d-aead-8936e7a35edb";
export const ENDPOINT = "http://127.0.0.1:46580";

export interface FakeSky {
  readonly sky: Sky;
  /** What was asked, in order: operation and input. */
  readonly calls: [string, Record<string, unknown>][];
}

export function fakeSky(script: Script = {}): FakeSky {
  const calls: FakeSky["calls"] = [];
  const handle = { launched_resources: { infra: "aws/us-east-1" } };
  const results: Record<string, unknown> = {
    launch: { job_id: 1, handle, ...script.launch },
    exec: { job_id: 3, handle: null, ...script.launch },
    optimize: null,
    status: script.clusters ?? [],
  };
  const fail = (what: string) => {
    const error = script.errors?.[what];
    if (error !== undefined) throw error;
  };
  const ask = (what: string, input: unknown) => {
    calls.push([what, input as Record<string, unknown>]);
    fail(what);
  };
  let latest = "";
  const submit = (what: string) => (input: unknown) => {
    ask(what, input);
    latest = what;
    return Promise.resolve(REQUEST_ID);
  };
  const play = (what: string, text: string, { sink, signal }: { sink: LogSink; signal?: AbortSignal }) => {
    for (const line of text.split("\n")) {
      if (line.startsWith("status: ")) sink.status(line.slice("status: ".length));
      else if (line !== "" || text !== "") sink.data(new TextEncoder().encode(line + "\n"));
    }
    script.onStream?.(what);
    signal?.throwIfAborted();
  };
  const fake = {
    endpoint: ENDPOINT,
    remote: script.remote ?? false,
    user: { id: "fcd1e5cf", name: "root" },
    launch: submit("launch"),
    exec: submit("exec"),
    optimize: submit("optimize"),
    status: submit("status"),
    call: (what: string, input: unknown) => {
      ask(what, input);
      return Promise.resolve(results[what]);
    },
    get: () => {
      fail(`${latest}:end`);
      return Promise.resolve(results[latest]);
    },
    streamAndGet: async (_id: string, sink: LogSink, options: { signal?: AbortSignal }) => {
      const text = script.logs?.[latest];
      if (text !== undefined) play(latest, text, { sink, ...options });
      await Promise.resolve();
      fail(`${latest}:end`);
      return results[latest];
    },
    tailLogs: (input: unknown, sink: LogSink, options: { signal?: AbortSignal }) => {
      ask("logs", input);
      return new Promise((resolve) => {
        play("job", script.jobLog ?? "", { sink, ...options });
        resolve(script.jobExit ?? 0);
      });
    },
    validate: (dag: string, options: unknown) => {
      ask("validate", { dag, options });
      return Promise.resolve();
    },
    uploadMounts: (dag: unknown) => Promise.resolve({ dag, blobId: null }),
  };
  return { sky: fake as unknown as Sky, calls };
}

export interface SkyRun {
  readonly code: number;
  /** Without ANSI. */
  readonly out: string;
  readonly err: string;
  readonly calls: FakeSky["calls"];
  /** The input of the last such call. */
  call(what: string): Record<string, unknown>;
}

export interface SkyRunOptions {
  readonly script?: Script;
  readonly terminal?: TestTerminalOptions;
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  readonly interrupt?: AbortController;
}

/** Run a whole command line against a fake server. */
export async function sky(argv: readonly string[], options: SkyRunOptions = {}): Promise<SkyRun> {
  const interrupt = options.interrupt ?? new AbortController();
  const test = testTerminal({ ...options.terminal, signal: interrupt.signal });
  const fake = fakeSky(options.script);
  const env: Env = (name) => ({ HOME: "/home/me", ...options.env } as Record<string, string>)[name];
  const code = await run(argv, {
    out: test.terminal,
    env,
    cwd: options.cwd ?? "/",
    signal: interrupt.signal,
    now: () => Date.UTC(2026, 10, 24),
    connect: () => Promise.resolve(fake.sky),
    openConfig: () => Promise.resolve(() => ({})),
  });
  return {
    code,
    out: test.text(),
    err: test.err(),
    calls: fake.calls,
    call: (what) => fake.calls.findLast(([name]) => name === what)?.[1] ?? {},
  };
}
