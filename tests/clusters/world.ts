/** A server's world for one test of clusters/: temp home, real database, fake clouds, contexts that keep their lines. */
import { delay } from "@std/async/delay";
import { join } from "@std/path";
import { openClouds } from "../../clouds/registry.ts";
import type { LaunchOptions } from "../../clusters/launch.ts";
import { openRoom, type Room } from "../../clusters/room.ts";
import { stripAnsi } from "../../core/ansi.ts";
import type { Cloud } from "../../clouds/cloud.ts";
import type { Context } from "../../core/context.ts";
import { homePaths } from "../../core/paths.ts";
import type { Task } from "../../core/task.ts";
import { parseDag } from "../../core/task_yaml.ts";
import { Database } from "../../state/database.ts";
import { LogFiles } from "../../state/log_file.ts";
import { FakeCloud, type FakeCloudOptions } from "../support/fake_cloud.ts";

export interface TestContext extends Context {
  /** What was logged, without colours. */
  readonly lines: string[];
  readonly statuses: (string | null)[];
  cancel(reason?: unknown): void;
}

export interface Server extends AsyncDisposable {
  readonly room: Room;
  /** Faults that nobody waited for. */
  readonly faults: string[];
  context(options?: Partial<ContextOptions>): TestContext;
}

export interface ContextOptions {
  readonly requestId: string;
  readonly userId: string;
  readonly command: string;
  /** Finished steps of an earlier run of the same request. */
  readonly steps: Map<string, unknown>;
  /** Called before and after each step; may throw, as a crash would. */
  readonly onStep: (name: string, when: "before" | "after") => void;
}

export class World {
  readonly folder: string;
  readonly clouds: Map<string, Cloud>;
  /** The clock: advance it by hand. */
  clock = 1_795_500_000_000;
  readonly #env = new Map([["HOME", ""], ["PATH", Deno.env.get("PATH") ?? "/usr/bin:/bin"]]);

  constructor(folder: string, clouds: Cloud[]) {
    this.folder = folder;
    this.clouds = new Map(clouds.map((cloud) => [cloud.name, cloud]));
    this.#env.set("HOME", folder);
  }

  get home() {
    return homePaths(join(this.folder, "home"));
  }

  /** Start a server on this home. Disposing it is a clean stop; jobs run on. */
  async serve(): Promise<Server> {
    const home = this.home;
    await Deno.mkdir(home.root, { recursive: true });
    const now = () => this.clock++;
    const database = await Database.open({ path: home.database, now });
    const logs = new LogFiles();
    const faults: string[] = [];
    // Only the clouds of this test: `local` is there when the test names it.
    const all = openClouds(
      Object.fromEntries([...this.clouds].map(([name, cloud]) => [name, () => Promise.resolve(cloud)])),
    );
    const room = await openRoom({
      database,
      clouds: { names: [...this.clouds.keys()], load: (name) => all.load(name), loaded: all.loaded },
      logs,
      home,
      config: {},
      env: (name) => this.#env.get(name),
      now,
      onFault: (error, what) => faults.push(`${what}: ${error instanceof Error ? error.stack : error}`),
    });
    return {
      room,
      faults,
      context: (options = {}) => makeContext(now, options),
      async [Symbol.asyncDispose]() {
        await room[Symbol.asyncDispose]();
        await logs.close();
        await database.close();
      },
    };
  }
}

function makeContext(now: () => number, options: Partial<ContextOptions>): TestContext {
  const controller = new AbortController();
  const lines: string[] = [];
  const statuses: (string | null)[] = [];
  const steps = options.steps ?? new Map<string, unknown>();
  return {
    requestId: options.requestId ?? crypto.randomUUID(),
    user: { id: options.userId ?? "abcdef12", name: "alice" },
    workspace: "default",
    env: {},
    config: {},
    command: options.command ?? "sky test",
    signal: controller.signal,
    log: {
      line: (text) => lines.push(...stripAnsi(text).split("\n")),
      status: (text) => statuses.push(text),
    },
    async step<T>(name: string, work: () => Promise<T>): Promise<T> {
      controller.signal.throwIfAborted();
      if (steps.has(name)) return steps.get(name) as T;
      options.onStep?.(name, "before");
      const result = await work();
      const kept: unknown = result === undefined ? undefined : JSON.parse(JSON.stringify(result));
      options.onStep?.(name, "after");
      steps.set(name, kept);
      return kept as T;
    },
    now,
    lines,
    statuses,
    cancel: (reason = new Error("cancelled by the test")) => controller.abort(reason),
  };
}

/** A world with one fake cloud in a temp folder, gone afterwards. */
export async function inWorld(
  work: (world: World, cloud: FakeCloud) => Promise<void>,
  options: Omit<FakeCloudOptions, "folder"> & { more?: (folder: string) => Cloud[] } = {},
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "sky-clusters-" });
  try {
    const cloud = new FakeCloud({ ...options, folder: join(folder, "fake") });
    await work(new World(folder, [cloud, ...options.more?.(folder) ?? []]), cloud);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A task from YAML text. */
export function task(yaml: string): Task {
  const [first] = parseDag(yaml).tasks;
  if (first === undefined) throw new Error("no task in the text");
  return first;
}

/** Wait until it is so; the value it then has. */
export async function until<T>(
  look: () => T | Promise<T>,
  what: string,
  limitMs = 10_000,
): Promise<NonNullable<Exclude<T, false>>> {
  const end = performance.now() + limitMs;
  for (;;) {
    const value = await look();
    if (value !== null && value !== undefined && value !== false) {
      return value as NonNullable<Exclude<T, false>>;
    }
    if (performance.now() > end) throw new Error(`gave up waiting until ${what}`);
    await delay(10);
  }
}

/** The whole text of a stream. */
export async function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) text += decoder.decode(bytes, { stream: true });
  return stripAnsi(text + decoder.decode());
}

/** Flags of a plain `sky launch -c c1`. */
export function launchOptions(options: Partial<LaunchOptions> = {}): LaunchOptions {
  return {
    clusterName: "c1",
    retryUntilUp: false,
    idleMinutes: null,
    waitFor: null,
    down: false,
    dryrun: false,
    noSetup: false,
    fast: false,
    quietOptimizer: false,
    ...options,
  };
}

/** Follow a whole log to its end. */
export const ALL = { offset: null, tail: 0, follow: true };
/** A plain stop or down. */
export const NO_END = { purge: false, graceful: false, gracefulTimeout: null };
