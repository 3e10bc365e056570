/**
 * The local server as a process: find it, start exactly one however many ask, replace an old one, stop it
 * (house: runtime.md §2). What it is asked is client.ts's. Files of its home: registration, start lock, log.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "@std/path";
import { type Registration, VERSION } from "../api/wire.ts";
import { SkyError } from "../core/errors.ts";
import type { HomePaths } from "../core/paths.ts";
import { isAlive, signalServer } from "./alive.ts";
import { answersHealth, compareVersions, isIdle } from "./local_server.ts";
import { pause } from "./pause.ts";
import { readRegistration, serverInfo } from "./registration.ts";
import { openServerLog, tailOfLog } from "./server_log.ts";

export { serverInfo } from "./registration.ts";

const POLL_MS = 4;
/** While a server starts, a person waits for it. */
const START_POLL_MS = 1;
/** While it starts it is asked again and again. */
const HEALTH_LIMIT_MS = 1_000;
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 15_000;
const KILL_LIMIT_MS = 5_000;

export interface ServiceOptions {
  readonly home: HomePaths;
  /** More arguments of the hidden server command, e.g. `["--port", "4000", "--deploy"]`. */
  readonly args?: readonly string[];
  /** The program and its first arguments. Default: this program, or main.ts under `deno run`. */
  readonly program?: readonly string[];
  /** Its whole environment. Default: ours. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Do not trust a registration: ask. */
  readonly verify?: boolean;
  /** Done by this otherwise idle process while a server starts, given its home. What goes wrong is the server's to tell. */
  readonly whileStarting?: (home: string) => Promise<void>;
  /** Told before a server is started or replaced. */
  readonly onStart?: (message: string) => void;
  readonly onStarted?: (server: Registration) => void;
  /** Milliseconds until a start has failed. */
  readonly limit?: number;
  readonly version?: string;
}

/**
 * The server of this home, started if need be. An older one is replaced when it says that nothing runs on it.
 * Throws server_start_failed with the last words of its log.
 */
export async function ensureServer(options: ServiceOptions): Promise<Registration> {
  const { home, verify = false, version = VERSION } = options;
  const found = serverInfo(home);
  const usable = found !== null && compareVersions(found.version, version) >= 0;
  if (usable && (!verify || await answersHealth(found))) return found;
  return await withStartLock(home, async () => {
    const current = serverInfo(home);
    if (current !== null && await keep(current, { ...options, version })) return current;
    return await start(options);
  });
}

/** Whether to use the running server as it is. One that is to be replaced is stopped here. */
async function keep(server: Registration, options: ServiceOptions & { version: string }): Promise<boolean> {
  const { home, version, limit = START_LIMIT_MS } = options;
  const deadline = performance.now() + limit;
  // registered and alive but silent: it may just be starting, or busy
  while (!await answersHealth(server)) {
    if (!isAlive(server)) return false;
    if (performance.now() > deadline) {
      throw new SkyError(
        "server_unreachable",
        `SkyPilot API server (pid ${server.pid}) runs but does not answer at ${server.socket ?? server.url}`,
        { hint: "sky api stop; sky api start" },
      );
    }
    await pause(POLL_MS * 5);
  }
  if (compareVersions(server.version, version) >= 0) return true;
  if (!await isIdle(server)) {
    options.onStart?.(
      `The SkyPilot API server (${server.version}) is older than this client (${version}) and has requests running. ` +
        `Restart it when they are done: sky api stop; sky api start`,
    );
    return true;
  }
  options.onStart?.(`Replacing the SkyPilot API server (${server.version}) by version ${version}.`);
  await end(home, server);
  return false;
}

async function start(options: ServiceOptions): Promise<Registration> {
  const { home, limit = START_LIMIT_MS } = options;
  options.onStart?.("Starting a local server.");
  await removeIfThere(stoppedMarker(home));
  const log = openServerLog(home);
  const child = launch(options, ["ignore", log.fd, log.fd]);
  log.close();
  let over: string | null = null;
  const ended = new Promise<void>((resolve) => {
    child.once("error", (error: Error) => {
      over = error.message;
      resolve();
    });
    child.once("exit", (code, signal) => {
      over ??= signal === null ? `exit code ${code}` : `signal ${signal}`;
      resolve();
    });
  });
  options.whileStarting?.(home.root).catch(() => {}); // the server will meet the same, and says it in its log
  const deadline = performance.now() + limit;
  for (;;) {
    const server = existsSync(home.registration) ? serverInfo(home) : null;
    if (server !== null && await answersHealth(server, { limit: HEALTH_LIMIT_MS })) {
      child.removeAllListeners();
      child.unref();
      options.onStarted?.(server);
      return server;
    }
    // the home may be another server's, which is about to register
    if (over !== null && server === null && !await isLocked(home.serverLock)) {
      throw startFailed(`it ended at once (${over})`, await tailOfLog(home, log.size), home);
    }
    if (performance.now() > deadline) {
      child.kill("SIGKILL");
      await ended;
      throw startFailed(`it did not answer within ${limit / 1000} s`, await tailOfLog(home, log.size), home);
    }
    await pause(START_POLL_MS);
  }
}

function startFailed(reason: string, tail: string, home: HomePaths): SkyError {
  const words = tail.trim();
  return new SkyError(
    "server_start_failed",
    `Failed to start the SkyPilot API server: ${reason}.${words === "" ? "" : `\n${words}`}`,
    { hint: `View logs at: ${home.serverLog}`, details: { log: tail } },
  );
}

/** Start the server in this terminal and wait for its end; its exit code. */
export async function runForeground(options: ServiceOptions): Promise<number> {
  await Deno.mkdir(options.home.root, { recursive: true, mode: 0o700 });
  await removeIfThere(stoppedMarker(options.home));
  const child = launch(options, "inherit");
  return await new Promise((resolve, reject) => {
    child.once("error", reject);
    // the terminal sends Ctrl+C to both of us: it decides when it is over
    child.once("exit", (code, signal) => resolve(code ?? (signal === "SIGINT" ? 130 : 1)));
  });
}

function launch(options: ServiceOptions, stdio: "inherit" | ["ignore", number, number]): ChildProcess {
  const [program = "", ...first] = options.program ?? ownProgram();
  // SkyPilot's client looks for the text `-m sky.server.server` in command lines (wire.md §1.6)
  const args = [...first, "__server", "-m", "sky.server.server", "--home", resolve(options.home.root)];
  return spawn(program, [...args, ...options.args ?? []], {
    detached: stdio !== "inherit",
    stdio,
    ...(stdio === "inherit" ? {} : { cwd: "/" }),
    ...(options.variables === undefined ? {} : { env: { ...options.variables } }),
  });
}

/** This executable; from source, deno with the main.ts beside the sdk, or whatever was run. */
function ownProgram(): string[] {
  // after an upgrade in place the old file is gone and the new one has its name
  const executable = Deno.execPath().replace(/ \(deleted\)$/, "");
  if (Deno.build.standalone) return [executable];
  const main = new URL("../main.ts", import.meta.url);
  const source = main.protocol === "file:" && isFile(main) ? main.href : Deno.mainModule;
  return [executable, "run", "-A", source];
}

function isFile(url: URL): boolean {
  try {
    return Deno.statSync(url).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Stop the server of this home; false when none runs. Requests under way are resumed at the next start. */
export async function stopServer(home: HomePaths): Promise<boolean> {
  if (serverInfo(home) === null) return false;
  return await withStartLock(home, async () => {
    const server = serverInfo(home);
    if (server === null) return false;
    // whoever follows a log must not start it again
    // (empty: it can be made on a full disk, too)
    await Deno.writeFile(stoppedMarker(home), new Uint8Array(), { mode: 0o600 });
    await end(home, server);
    return true;
  });
}

/** True when the last server was stopped on purpose. */
export async function wasStopped(home: HomePaths): Promise<boolean> {
  try {
    await Deno.lstat(stoppedMarker(home));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function end(home: HomePaths, server: Registration): Promise<void> {
  signalServer(server, "SIGTERM");
  if (!await gone(server, STOP_LIMIT_MS)) {
    signalServer(server, "SIGKILL");
    if (!await gone(server, KILL_LIMIT_MS)) {
      throw new SkyError(
        "timeout",
        `Cannot stop the SkyPilot API server (pid ${server.pid}): it does not end`,
      );
    }
  }
  const left = readRegistration(home);
  if (left?.id === server.id) await removeIfThere(home.registration);
}

async function gone(server: Registration, limit: number): Promise<boolean> {
  const deadline = performance.now() + limit;
  while (isAlive(server)) {
    if (performance.now() > deadline) return false;
    await pause(POLL_MS);
  }
  return true;
}

async function withStartLock<T>(home: HomePaths, work: () => Promise<T>): Promise<T> {
  await Deno.mkdir(home.root, { recursive: true, mode: 0o700 });
  const file = await Deno.open(home.startLock, { read: true, write: true, create: true, mode: 0o600 });
  using _closing = file;
  await file.lock(true);
  return await work();
}

async function isLocked(path: string): Promise<boolean> {
  try {
    const file = await Deno.open(path, { read: true, write: true });
    using _closing = file;
    return !await file.tryLock(true);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function stoppedMarker(home: HomePaths): string {
  return join(home.root, "server.stopped");
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
