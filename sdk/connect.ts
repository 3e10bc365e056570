/** Which server a command talks to, and a client for it (cli.md §1.9, wire.md §1.1). Starting it is service.ts's. */
import { VERSION } from "../api/wire.ts";
import { lookup, type SkyConfig } from "../core/config.ts";
import { SkyError } from "../core/errors.ts";
import { DEFAULT_ENDPOINT, type Env, homePaths, isLocalEndpoint, serverHome } from "../core/paths.ts";
import { createSky, type Sky } from "./client.ts";
import { openConfig } from "./config_paths.ts";
import { bearerToken, cookieReader } from "./credentials.ts";
import type { Revive, Target } from "./exchange.ts";
import { userIdentity } from "./identity.ts";
import { serverInfo } from "./registration.ts";
import type { ServiceOptions } from "./service.ts";

export { userIdentity } from "./identity.ts";

export interface ConnectOptions {
  readonly env: Env;
  readonly cwd: string;
  /** The command line for the records, secrets redacted. */
  readonly command: string;
  readonly config: SkyConfig;
  /** Start a local server that is not there. */
  readonly start: boolean;
  /** Told before a local server is started. */
  readonly onStart?: (message: string) => void;
  /** Done while it starts; given its home. */
  readonly whileStarting?: ServiceOptions["whileStarting"];
  /** Told when it answers. */
  readonly onStarted?: () => void;
  /** Told when the client waits for a busy server (null: no longer). */
  readonly notice?: (message: string | null) => void;
  /** The whole environment, so that every `SKYPILOT_*` variable travels. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Unix milliseconds. */
  readonly now?: () => number;
  /** For tests: how a server is started. */
  readonly service?: Pick<ServiceOptions, "program" | "args" | "variables" | "limit">;
}

export interface Endpoint {
  /** Without trailing slashes. */
  readonly endpoint: string;
  readonly source: "env" | "config" | "default";
  readonly local: boolean;
}

/** Variable, config, default, in this order. Throws invalid_config for something that is no http(s) URL. */
export function resolveEndpoint(env: Env, config: SkyConfig): Endpoint {
  const variable = env("SKYPILOT_API_SERVER_ENDPOINT");
  const configured = lookup(config, "api_server.endpoint");
  const source = variable
    ? "env"
    : typeof configured === "string" && configured !== ""
    ? "config"
    : "default";
  const text = source === "env" ? variable : source === "config" ? configured : DEFAULT_ENDPOINT;
  const endpoint = String(text).replace(/\/+$/, "");
  if (!/^https?:\/\/./.test(endpoint) || !URL.canParse(endpoint)) {
    throw new SkyError("invalid_config", `Invalid API server endpoint: '${endpoint}' is no http(s) URL`);
  }
  return { endpoint, source, local: isLocalEndpoint(endpoint) };
}

/**
 * A client for the configured server. Local: the one of this home, started when `start`; undefined when there is
 * none and it is not to be started. Remote: no exchange is made here, the first question tells.
 */
export async function connect(options: ConnectOptions): Promise<Sky | undefined> {
  const { endpoint, local } = resolveEndpoint(options.env, options.config);
  if (!local) return open(options, { endpoint, socket: null, revive: null, remote: true });
  const target = await localTarget(options, endpoint);
  return target === undefined ? undefined : open(options, { ...target, remote: false });
}

/** A client for TAB: never starts anything, never says anything. */
export async function connectForCompletion(options: { env: Env; cwd: string }): Promise<Sky | undefined> {
  const config = (await openConfig(options.env, options.cwd, []))();
  return await connect({ ...options, command: "sky", config, start: false });
}

type LocalTarget = Target & { readonly revive: Revive | null };

async function localTarget(options: ConnectOptions, endpoint: string): Promise<LocalTarget | undefined> {
  const home = homePaths(serverHome(options.env));
  const service: ServiceOptions = {
    home,
    ...portArgs(options.env),
    ...(options.whileStarting === undefined ? {} : { whileStarting: options.whileStarting }),
    ...options.service,
    onStart: (message) => options.onStart?.(messageOf(message, endpoint)),
    onStarted: () => options.onStarted?.(),
  };
  const found = serverInfo(home);
  // An official server may sit on its port. A home or port of our own means: not that one.
  const own = options.env("SKY_HOME") !== undefined || options.env("SKY_PORT") !== undefined;
  if (found === null && !own && await (await import("./local_server.ts")).isStockServer(endpoint)) {
    return { endpoint, socket: null, revive: null };
  }
  if (!options.start) {
    return found === null ? undefined : { endpoint: found.url, socket: found.socket, revive: null };
  }
  // Nearly always it runs already, and is this very version: then what else may be needed is not even loaded.
  const server = found?.version === VERSION
    ? found
    : await (await import("./service.ts")).ensureServer(service);
  const revive: Revive = async (reason) => {
    const { ensureServer, wasStopped } = await import("./service.ts");
    if (reason === "follow" && await wasStopped(home)) return null;
    const again = await ensureServer({ ...service, verify: true });
    return { endpoint: again.url, socket: again.socket };
  };
  return { endpoint: server.url, socket: server.socket, revive };
}

function portArgs(env: Env): { args?: string[] } {
  const port = env("SKY_PORT");
  return port === undefined || port === "" ? {} : { args: ["--port", port] };
}

function messageOf(message: string, endpoint: string): string {
  return message.startsWith("Starting")
    ? `Failed to connect to SkyPilot API server at ${endpoint}. ${message}`
    : message;
}

function open(options: ConnectOptions, at: LocalTarget & { remote: boolean }): Sky {
  const { env, config, command, variables, notice } = options;
  return createSky({
    endpoint: at.endpoint,
    socket: at.socket,
    remote: at.remote,
    token: bearerToken(env, config),
    ...(at.remote ? { cookies: cookieReader(env, options.now ?? Date.now) } : {}),
    user: userIdentity(env),
    env,
    config,
    command,
    ...(variables === undefined ? {} : { variables }),
    ...(notice === undefined ? {} : { notice }),
    ...(at.revive === null ? {} : { revive: at.revive }),
  });
}
