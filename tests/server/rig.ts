/**
 * A whole server in the process, without listeners: real database, engine, room and application over a temporary home.
 * Works can be replaced by request name, so that a test holds the request in its hand.
 */
import type { Hono } from "hono";
import { join } from "@std/path";
import type { RequestPayload } from "../../api/requests.ts";
import { HEADERS } from "../../api/wire.ts";
import { openClouds } from "../../clouds/registry.ts";
import { openRoom, type Room } from "../../clusters/room.ts";
import { type HomePaths, homePaths } from "../../core/paths.ts";
import { Engine } from "../../requests/engine.ts";
import type { EngineLimits, Work } from "../../requests/submission.ts";
import { createApp } from "../../server/app.ts";
import { BODY_LIMITS, type BodyLimits } from "../../server/bodies.ts";
import { type AppEnv, type Deps, type Security, TIMING, type Timing } from "../../server/deps.ts";
import { Exchanges } from "../../server/exchanges.ts";
import { Addresses } from "../../server/handlers/addresses.ts";
import type { World } from "../../server/handlers/handler.ts";
import { handlers } from "../../server/handlers/mod.ts";
import { prepareHome } from "../../server/home.ts";
import { makeLog } from "../../server/request_log.ts";
import { tokenAuthority } from "../../server/security/tokens.ts";
import type { ServerLog } from "../../server/server_log.ts";
import type { OpenStream } from "../../server/streams/pump.ts";
import { type BlobLimits, Blobs } from "../../server/uploads/blobs.ts";
import { makeWork } from "../../server/work.ts";
import { Database } from "../../state/database.ts";
import { LogFiles } from "../../state/log_file.ts";
import { SettingStore } from "../../state/settings.ts";
import { TokenStore } from "../../state/tokens.ts";
import { UserStore } from "../../state/users.ts";

export interface RigOptions {
  readonly works?: Readonly<Record<string, Work>>;
  readonly security?: Partial<Security>;
  readonly timing?: Partial<Timing>;
  readonly limits?: Partial<BodyLimits>;
  readonly blobLimits?: Partial<BlobLimits>;
  readonly engineLimits?: Partial<EngineLimits>;
  readonly config?: Record<string, unknown>;
}

export interface Rig extends AsyncDisposable {
  readonly home: HomePaths;
  /** HOME of the server. */
  readonly userHome: string;
  readonly deps: Deps;
  readonly engine: Engine;
  readonly room: Room;
  /** Lines of the server's log. */
  readonly faults: string[];
  readonly draining: AbortController;
  readonly http: Hono<AppEnv>;
  app(
    path: string,
    init?: RequestInit,
    bindings?: { remote?: Deno.Addr; local?: Deno.NetAddr },
  ): Promise<Response>;
  /** POST JSON with the envelope of a user. */
  post(path: string, body?: Record<string, unknown>, init?: RequestInit): Promise<Response>;
  /** Submit and return the id. */
  submit(path: string, body?: Record<string, unknown>): Promise<string>;
  get(id: string): Promise<RequestPayload>;
}

export const ENV_VARS = { SKYPILOT_USER_ID: "abcd1234", SKYPILOT_USER: "alice" };

export async function makeRig(options: RigOptions = {}): Promise<Rig> {
  const userHome = await Deno.makeTempDir({ prefix: "sky-server-" });
  const home = homePaths(join(userHome, ".sky", "server"));
  await prepareHome(home);
  const now = () => Date.now();
  const env = (name: string) =>
    name === "HOME" ? userHome : name === "PATH" ? Deno.env.get("PATH") : undefined;
  const database = await Database.open({ path: home.database, now });
  const logs = new LogFiles();
  const faults: string[] = [];
  const log: ServerLog = {
    line: (text) => faults.push(text),
    fault: (what, error) => faults.push(`${what}: ${error instanceof Error ? error.stack : String(error)}`),
  };
  const config = options.config ?? {};
  const room = await openRoom({
    database,
    clouds: openClouds(),
    logs,
    home,
    config,
    env,
    now,
    onFault: (error, what) => log.fault(what, error),
  });
  const exchanges = new Exchanges();
  const blobs = new Blobs(home.clients, options.blobLimits);
  const made = Promise.withResolvers<Engine>();
  const world: World = {
    room,
    engine: made.promise,
    exchanges,
    blobs,
    home,
    addresses: new Addresses(),
    config: () => config,
  };
  const real = makeWork(handlers, world);
  const work = (name: string) => options.works?.[name] ?? real(name);
  const engine = await Engine.start({
    database,
    logs,
    folder: home.requests,
    work,
    makeLog,
    now,
    limits: { long: 16, short: 16, cancelMs: 1000, ...options.engineLimits },
    onInternalError: (error, about) => log.fault(about.name, error),
  });
  made.resolve(engine);
  const draining = new AbortController();
  const tokens = tokenAuthority({
    tokens: new TokenStore(database),
    users: new UserStore(database),
    settings: new SettingStore(database),
    now,
  });
  const deps: Deps = {
    engine,
    work,
    room,
    home,
    env,
    now,
    config: () => config,
    user: { id: "0wner000", name: "owner" },
    security: {
      origin: { hosts: [], beyondLoopback: false },
      peers: null,
      uid: Deno.uid(),
      tokensRequired: false,
      tokens,
      ...options.security,
    },
    blobs,
    exchanges,
    log,
    limits: { ...BODY_LIMITS, ...options.limits },
    timing: { ...TIMING, ...options.timing },
    streams: new Set<OpenStream>(),
    draining: draining.signal,
    serverId: "rig",
    commit: "test",
  };
  const http = createApp(deps);
  const rig: Rig = {
    home,
    userHome,
    deps,
    engine,
    room,
    faults,
    draining,
    http,
    app: async (path, init = {}, bindings = {}) =>
      await http.fetch(new Request(new URL(path, "http://localhost"), init), bindings),
    post: (path, body = {}, init = {}) =>
      rig.app(path, {
        method: "POST",
        body: JSON.stringify({ env_vars: ENV_VARS, ...body }),
        ...init,
        headers: { "content-type": "application/json", ...init.headers as Record<string, string> },
      }),
    async submit(path, body) {
      const response = await rig.post(path, body);
      const text = await response.text();
      const id = response.headers.get(HEADERS.requestId);
      if (response.status !== 200 || id === null) throw new Error(`${path}: ${response.status} ${text}`);
      return id;
    },
    async get(id) {
      const response = await rig.app(`/api/get?request_id=${id}`);
      return await response.json();
    },
    async [Symbol.asyncDispose]() {
      draining.abort();
      for (const stream of deps.streams) stream.interrupt();
      await engine.drain({ deadlineMs: 2000 });
      await room[Symbol.asyncDispose]();
      await logs.close();
      await database.close();
      await Deno.remove(userHome, { recursive: true });
    },
  };
  return rig;
}

/** A work that waits until the test lets it go, or its request is cancelled. */
export function held(): { work: Work; started: Promise<void>; release: (result: unknown) => void } {
  const started = Promise.withResolvers<void>();
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const work: Work = (_body, ctx) => {
    started.resolve();
    const aborted = new Promise<never>((_, reject) => {
      if (ctx.signal.aborted) reject(ctx.signal.reason);
      ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason), { once: true });
    });
    return Promise.race([promise, aborted]);
  };
  return { work, started: started.promise, release: resolve };
}
