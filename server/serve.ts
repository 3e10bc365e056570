/**
 * The composition root: claim the home, open what is kept there, build engine and application, listen, register; and
 * the way back (wire.md §16.9, house: runtime.md §6). The one place that sees the whole server.
 */
import { join } from "@std/path";
import { openClouds } from "../clouds/registry.ts";
import { proveDead } from "../clouds/transport/process.ts";
import { openRoom } from "../clusters/room.ts";
import { type Env, homePaths } from "../core/paths.ts";
import { lookup } from "../core/config.ts";
import { Daemons } from "../requests/daemons.ts";
import { Engine } from "../requests/engine.ts";
import { Database } from "../state/database.ts";
import { LogFiles } from "../state/log_file.ts";
import { SettingStore } from "../state/settings.ts";
import { TokenStore } from "../state/tokens.ts";
import { UserStore } from "../state/users.ts";
import { createApp } from "./app.ts";
import { background } from "./background.ts";
import { BODY_LIMITS } from "./bodies.ts";
import { type Deps, type Security, TIMING } from "./deps.ts";
import { Exchanges } from "./exchanges.ts";
import { failpointOf, holdOf } from "./failpoint.ts";
import { Addresses } from "./handlers/addresses.ts";
import { handlers } from "./handlers/mod.ts";
import type { World } from "./handlers/handler.ts";
import { lockHome, prepareHome, register, removeIfThere, removeStale } from "./home.ts";
import { canHaveSocket, isBeyondLoopback, listen } from "./listen.ts";
import { ownUser } from "./own_user.ts";
import { makeLog } from "./request_log.ts";
import { peerCheck } from "./security/peer.ts";
import { type TokenAuthority, tokenAuthority } from "./security/tokens.ts";
import { serverConfig } from "./server_config.ts";
import { type ServerLog, serverLog, writeStderr } from "./server_log.ts";
import type { OpenStream } from "./streams/pump.ts";
import { Blobs } from "./uploads/blobs.ts";
import { makeWork } from "./work.ts";

export interface ServeOptions {
  readonly home: string;
  /** `127.0.0.1` keeps it on this machine; beyond loopback every caller needs a token. */
  readonly host: string;
  /** Null: SKY_PORT, else 46580. 0: any. */
  readonly port: number;
  /** Serve callers beyond loopback without tokens. */
  readonly insecure: boolean;
  readonly env: Env;
  readonly now: () => number;
  /** Aborted: stop gracefully. */
  readonly stop: AbortSignal;
  readonly commit: string;
  /** Called before the database is opened. */
  readonly prepare?: () => Promise<void>;
  /** Told once it is registered and answers. `issued`: a token that nobody will be told again. */
  readonly onReady?: (server: Ready) => void;
  /** Where the server's log lines go; default standard error. */
  readonly write?: (bytes: Uint8Array) => void;
  /** Make a first token if there is none yet. */
  readonly wantsToken?: boolean;
}

export interface Ready {
  readonly url: string;
  readonly port: number;
  readonly socket: string | null;
  readonly token: string | null;
}

/** Milliseconds: for requests to end, then for answers to get through. */
const DRAIN_MS = 8_000;
const CLOSE_MS = 2_000;
const LONG_LANE = 1024;
const SHORT_LANE = 64;

/** Serve until `stop`. Throws server_start_failed (home or port taken), database_corrupt, and what state/ throws. */
export async function serve(options: ServeOptions): Promise<void> {
  const { env, now } = options;
  const home = homePaths(options.home);
  const log = serverLog(options.write ?? writeStderr, now);
  const failpoint = failpointOf(env("SKY_FAILPOINT"));
  await prepareHome(home);
  using _lock = await lockHome(home);
  await removeStale(home);
  await using stack = new AsyncDisposableStack();

  const config = await serverConfig(env, (error) => log.fault("config", error));
  await options.prepare?.();
  const database = await Database.open({
    path: databasePath(config.current(), home.database),
    now,
    failpoint,
  });
  stack.use(database);
  const logs = new LogFiles({
    onDiskFull() {
      database.space?.report();
      log.line("The disk is full: logs wait for space");
    },
  });
  stack.defer(() => logs.close());
  const onFault = (error: unknown, what: string) => log.fault(what, error);
  const clouds = openClouds();
  const room = await openRoom({
    database,
    clouds,
    logs,
    home,
    config: config.current(),
    env,
    now,
    onFault,
    failpoint,
  });
  stack.use(room);

  const exchanges = new Exchanges();
  const blobs = new Blobs(home.clients);
  const made = Promise.withResolvers<Engine>();
  const world: World = {
    room,
    engine: made.promise,
    exchanges,
    blobs,
    home,
    addresses: new Addresses(),
    config: config.current,
  };
  const work = makeWork(handlers, world, holdOf(env("SKY_FAILPOINT")));
  const engine = await Engine.start({
    database,
    logs,
    folder: home.requests,
    work,
    makeLog,
    now,
    limits: { long: LONG_LANE, short: SHORT_LANE },
    proveDead: (id) => proveDead(join(home.root, "processes", id)),
    failpoint,
    onInternalError: (error, about) => log.fault(`${about.name} ${about.requestId}`, error),
  });
  made.resolve(engine);
  stack.use(engine);

  const security = await secure(options, { database, config: config.current(), log });
  if (security.peers !== null) stack.use(security.peers);
  const draining = new AbortController();
  const streams = new Set<OpenStream>();
  const serverId = crypto.randomUUID();
  const deps: Deps = {
    engine,
    work,
    room,
    home,
    env,
    now,
    config: config.current,
    user: await ownUser(env),
    security,
    blobs,
    exchanges,
    log,
    limits: BODY_LIMITS,
    timing: TIMING,
    streams,
    draining: draining.signal,
    serverId,
    commit: options.commit,
  };
  const socket = canHaveSocket(home.socket) ? home.socket : null;
  if (socket === null) log.line(`No unix socket at ${home.socket}: clients use ${options.host} only`);
  const listening = listen(createApp(deps), {
    host: options.host,
    port: options.port,
    socket,
    onError: (error) => log.fault("http", error),
  });
  stack.defer(() => listening.close({ graceMs: 0 }));
  const daemons = new Daemons(background({ config, database, engine, room, logs, blobs, home, now }), {
    onError: (error, name) => log.fault(`daemon ${name}`, error),
  });
  stack.use(daemons);
  const { url, port } = listening;
  await register(home, { id: serverId, url, port, socket });
  log.line(`Listening on ${url}${socket === null ? "" : ` and ${socket}`} (pid ${Deno.pid})`);
  const token = options.wantsToken === true && security.tokensRequired
    ? await firstToken(security.tokens)
    : null;
  options.onReady?.({ url, port, socket, token });

  await aborted(options.stop);
  log.line("Stopping");
  // Nobody finds us any more, nothing new is taken, waiting callers are told to come back.
  await removeIfThere(home.registration);
  draining.abort();
  await daemons.stop();
  for (const stream of streams) stream.interrupt();
  await engine.drain({ deadlineMs: graceOf(env) });
  await listening.close({ graceMs: CLOSE_MS });
  await removeIfThere(home.socket);
  log.line("Stopped");
}

interface Kept {
  readonly database: Database;
  readonly config: Record<string, unknown>;
  readonly log: ServerLog;
}

async function secure(options: ServeOptions, { database, config, log }: Kept): Promise<Security> {
  const beyondLoopback = isBeyondLoopback(options.host);
  const tokensRequired = beyondLoopback && !options.insecure;
  const open = lookup(config, "api_server.allow_other_local_users") === true;
  const peers = tokensRequired || beyondLoopback || open ? null : await peerCheck();
  if (peers === null && !beyondLoopback && !open && Deno.build.os === "linux") {
    log.line("Warning: /proc/net/tcp cannot be read, so other users of this machine can reach the TCP port");
  }
  const hosts = lookup(config, "api_server.allowed_hosts");
  const configured = Array.isArray(hosts) ? hosts.map((host) => String(host).toLowerCase()) : [];
  return {
    // With tokens a rebound page has nothing to show, so any name of this machine will do.
    origin: {
      beyondLoopback,
      hosts: [...configured, ...(tokensRequired ? ["*"] : [Deno.hostname().toLowerCase()])],
    },
    peers,
    uid: Deno.uid(),
    tokensRequired,
    tokens: tokenAuthority({
      tokens: new TokenStore(database),
      users: new UserStore(database),
      settings: new SettingStore(database),
      now: options.now,
    }),
  };
}

/** A token for a server that has none; null when there are some. */
async function firstToken(tokens: TokenAuthority): Promise<string | null> {
  if ((await tokens.list()).length > 0) return null;
  return (await tokens.issue("admin", { creatorId: "deploy", expiresInDays: null })).token;
}

function databasePath(config: Record<string, unknown>, file: string): string {
  const url = lookup(config, "db");
  return typeof url === "string" && /^(libsql|https?|wss?):\/\//.test(url) ? url : file;
}

function graceOf(env: Env): number {
  const seconds = Number(env("SKYPILOT_GRACE_PERIOD_SECONDS"));
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : DRAIN_MS;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
