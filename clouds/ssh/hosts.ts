/**
 * Hosts of the pools, ready to be reached: aliases looked up in `~/.ssh/config`, keys found, and which machine each
 * is. Owns asking ssh what it makes of a name, and remembering that. Reaching hosts is transport/ssh's.
 */
import { join } from "@std/path";
import { type Env, sshConfigFile, userHome } from "../../core/paths.ts";
import { nodeEnvironment } from "../transport/environment.ts";
import { runProcess } from "../transport/process.ts";
import type { SshHost } from "../transport/ssh/mod.ts";
import { readPoolFile } from "./pool_file.ts";
import { type HostEntry, poolsOf, refusalOf } from "./pools.ts";

export interface PoolHost {
  readonly name: string;
  readonly ssh: SshHost;
  /** Which machine it is: the same for the same host in several pools. */
  readonly machine: string;
  /** Where ssh connects to, for people and programs elsewhere. */
  readonly address: string;
  readonly port: number;
  /** As configured; null: whoever the server is. */
  readonly user: string | null;
  /** Files that may hold the key, absolute; empty: ssh's own habits. */
  readonly keys: readonly string[];
  /** In the words of ssh's ProxyJump or ProxyCommand; null for a direct way. */
  readonly proxy: { readonly jump: string | null; readonly command: string | null } | null;
  /** Why it can't be used, whatever its state. */
  readonly refusal: string | null;
}

export interface ResolvedPool {
  readonly name: string;
  readonly hosts: readonly PoolHost[];
}

export interface Asking {
  readonly env: Env;
  readonly signal: AbortSignal;
  readonly processes: string | null;
}

/** What is kept of an earlier look is good while the files are the same, and for so long (they may include others). */
const FRESH_MS = 60_000;
const ASK_MS = 5_000;
const AT_ONCE = 8;

/** The pools of the file, kept for a while. Made per cloud folder. */
export class PoolBook {
  #stamp = "";
  #at = -Infinity;
  #pools: readonly ResolvedPool[] = [];

  /** Null if there is no file. Throws invalid_config. */
  async read(asking: Asking): Promise<readonly ResolvedPool[] | null> {
    const data = await readPoolFile(asking.env);
    if (data === null) return null;
    const config = await stampOf(sshConfigFile(asking.env));
    const stamp = `${JSON.stringify(data)} ${config}`;
    if (stamp === this.#stamp && performance.now() - this.#at < FRESH_MS) return this.#pools;
    const pools: ResolvedPool[] = [];
    for (const pool of poolsOf(data, "ssh_node_pools.yaml")) {
      pools.push({ name: pool.name, hosts: await inParallel(pool.hosts, (host) => resolve(host, asking)) });
    }
    this.#pools = pools;
    this.#stamp = stamp;
    this.#at = performance.now();
    return pools;
  }

  /** A key that was missing may be there now. */
  forget(): void {
    this.#at = -Infinity;
  }
}

async function stampOf(path: string): Promise<string> {
  const info = await Deno.stat(path).catch(() => null); // Missing or unreadable: nothing to learn from it.
  return info === null ? "none" : `${info.mtime?.getTime()}:${info.size}`;
}

async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  const queue = items.entries();
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const [i, item] of queue) results[i] = await work(item);
  }));
  return results;
}

async function resolve(entry: HostEntry, asking: Asking): Promise<PoolHost> {
  const told = await askSsh(entry.ip, asking);
  const alias = told !== null;
  const home = userHome(asking.env);
  const identity = entry.identityFile === null ? null : entry.identityFile.replace(/^~(?=\/|$)/, home);
  const missing = identity === null || await isFile(identity) ? null : identity;
  const port = told?.port ?? entry.port ?? 22;
  const address = told?.hostname ?? entry.ip;
  const proxy = told !== null ? told.proxy : proxyOf(entry);
  const via = proxy === null ? "" : ` via ${proxy.jump ?? proxy.command}`;
  return {
    name: entry.name,
    ssh: {
      name: entry.name,
      host: entry.ip,
      user: alias ? null : entry.user,
      port: alias ? null : entry.port,
      identityFile: alias ? null : identity,
      options: alias ? [] : optionsOf(entry),
      useUserConfig: alias,
    },
    machine: `${address}:${port}${via}`,
    address,
    port,
    user: told?.user ?? entry.user,
    keys: told !== null ? told.keys : identity === null ? [] : [identity],
    proxy,
    refusal: refusalOf(entry, { alias, missing }),
  };
}

function proxyOf({ proxyJump, proxyCommand }: HostEntry): PoolHost["proxy"] {
  return proxyJump === null && proxyCommand === null ? null : { jump: proxyJump, command: proxyCommand };
}

function optionsOf({ proxyJump, proxyCommand }: HostEntry): string[] {
  return [
    ...(proxyJump === null ? [] : [`ProxyJump=${proxyJump}`]),
    ...(proxyCommand === null ? [] : [`ProxyCommand=${proxyCommand}`]),
  ];
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false); // Unreadable is as good as missing.
}

interface Told {
  readonly hostname: string;
  readonly port: number;
  readonly user: string | null;
  readonly keys: readonly string[];
  readonly proxy: PoolHost["proxy"];
}

/** What `~/.ssh/config` says of a name; null if no stanza but a general one is about it. */
async function askSsh(name: string, { env, signal, processes }: Asking): Promise<Told | null> {
  const config = sshConfigFile(env);
  if (await stampOf(config) === "none") return null;
  const home = userHome(env);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ASK_MS)]);
  const { code, stdout, stderr } = await runProcess(["ssh", "-v", "-G", "-F", config, "--", name], {
    signal: limit,
    env: nodeEnvironment(env, home),
    cwd: "/",
    processes,
  });
  const about = [...stderr.matchAll(/^debug1: .* line \d+: Applying options for (.+?)\r?$/gm)]
    .some(([, pattern]) => pattern !== "*");
  if (code !== 0 || !about) return null;
  const lines = stdout.split("\n").map((line) => {
    const at = line.indexOf(" ");
    return [line.slice(0, at), line.slice(at + 1).trim()] as const;
  });
  const value = (key: string) => lines.find(([each]) => each === key)?.[1] ?? null;
  const jump = orNone(value("proxyjump"));
  const command = orNone(value("proxycommand"));
  const keys: string[] = [];
  for (const [key, path] of lines) {
    if (key !== "identityfile" || path === "none") continue;
    const full = path.startsWith("~/") ? join(home, path.slice(2)) : path;
    if (await isFile(full)) keys.push(full);
  }
  return {
    hostname: value("hostname") ?? name,
    port: Number(value("port")) || 22,
    user: value("user"),
    keys,
    proxy: jump === null && command === null ? null : { jump, command },
  };
}

function orNone(value: string | null): string | null {
  return value === null || value === "none" ? null : value;
}
