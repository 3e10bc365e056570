/** An engine over a real database in a temp home, with handlers under a test's control. */
import { join } from "@std/path";
import type { Context, User } from "../../core/context.ts";
import { Engine } from "../../requests/engine.ts";
import type { EngineOptions, Submission, Work } from "../../requests/submission.ts";
import { Database } from "../../state/database.ts";
import { LogFiles } from "../../state/log_file.ts";

export const ann: User = { id: "a0000001", name: "ann" };
export const bob: User = { id: "b0000002", name: "bob" };

export interface Bench extends AsyncDisposable {
  readonly home: string;
  readonly folder: string;
  readonly database: Database;
  readonly engine: Engine;
  readonly logs: LogFiles;
  readonly errors: unknown[];
  /** Stop as `kill -9` would not: drain, close, and open again on the same home. */
  restart(deadlineMs?: number): Promise<Bench>;
}

export interface BenchOptions {
  readonly works: Record<string, Work>;
  readonly home?: string;
  readonly limits?: Partial<EngineOptions["limits"]>;
  readonly proveDead?: (id: string) => Promise<void>;
  readonly failpoint?: (name: string) => void;
  readonly now?: () => number;
}

const encoder = new TextEncoder();

export function makeLog(append: (bytes: Uint8Array) => void) {
  return {
    line: (text: string) => append(encoder.encode(`${text}\n`)),
    status: (message: string | null) => append(encoder.encode(`<status ${message ?? "-"}>\n`)),
  };
}

export async function bench(options: BenchOptions): Promise<Bench> {
  const home = options.home ?? await Deno.makeTempDir({ prefix: "sky-engine-" });
  const folder = join(home, "requests");
  const now = options.now ?? Date.now;
  const database = await Database.open({ path: join(home, "sky.db"), now });
  const logs = new LogFiles({ onDiskFull: () => database.space?.report() });
  const errors: unknown[] = [];
  const engine = await Engine.start({
    database,
    logs,
    folder,
    now,
    makeLog,
    work: (name) => {
      const work = options.works[name];
      if (work === undefined) throw new Error(`no work for ${name}`);
      return work;
    },
    limits: { long: 1024, short: 64, ...options.limits },
    ...options.proveDead && { proveDead: options.proveDead },
    ...options.failpoint && { failpoint: options.failpoint },
    onInternalError: (error) => errors.push(error),
  });
  const stop = async (deadlineMs: number) => {
    await engine.drain({ deadlineMs });
    await logs.close();
    await database.close();
  };
  return {
    home,
    folder,
    database,
    engine,
    logs,
    errors,
    restart: async (deadlineMs = 500) => {
      await stop(deadlineMs);
      return await bench({ ...options, home });
    },
    [Symbol.asyncDispose]: async () => {
      await stop(500);
      await Deno.remove(home, { recursive: true }).catch(() => undefined); // a restarted bench shares it
    },
  };
}

export function submission(name: string, over: Partial<Submission> = {}): Submission {
  return {
    name,
    lane: "long",
    body: {},
    clusterName: null,
    lock: false,
    preempts: false,
    resumable: true,
    streaming: false,
    user: ann,
    workspace: "default",
    env: {},
    config: {},
    command: `sky ${name}`,
    idempotencyKey: null,
    redact: (body) => body,
    ...over,
  };
}

/** Work that the test holds: `started` and `finish` per request id. */
export class Held {
  readonly ids: string[] = [];
  readonly #gates = new Map<string, PromiseWithResolvers<unknown>>();
  readonly #starts = new Map<string, PromiseWithResolvers<Context>>();

  /** Obeys its signal unless told otherwise. */
  work(options: { obeys?: boolean } = {}): Work {
    return async (_body, ctx) => {
      this.ids.push(ctx.requestId);
      this.#start(ctx.requestId).resolve(ctx);
      const gate = this.gate(ctx.requestId);
      if (options.obeys !== false) {
        const abort = () => gate.reject(ctx.signal.reason);
        if (ctx.signal.aborted) abort();
        ctx.signal.addEventListener("abort", abort);
      }
      return await gate.promise;
    };
  }

  started(id: string): Promise<Context> {
    return this.#start(id).promise;
  }

  gate(id: string): PromiseWithResolvers<unknown> {
    const gate = this.#gates.get(id) ?? Promise.withResolvers<unknown>();
    this.#gates.set(id, gate);
    gate.promise.catch(() => undefined);
    return gate;
  }

  finish(id: string, result: unknown = null): void {
    this.gate(id).resolve(result);
  }

  #start(id: string): PromiseWithResolvers<Context> {
    const start = this.#starts.get(id) ?? Promise.withResolvers<Context>();
    this.#starts.set(id, start);
    return start;
  }
}

/** Poll until the predicate holds; fails after `ms`. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, ms = 5000): Promise<void> {
  const end = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const never = new AbortController().signal;

export async function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  return await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).text();
}
