/**
 * The words of `~/.sky/ssh_node_pools.yaml` (domain.md §8.5): pools, defaults, hosts and what is wrong with them.
 * Pure: whether files and aliases exist is hosts.ts's, reading and writing the file pool_file.ts's.
 */
import { SkyError } from "../../core/errors.ts";
import { parse } from "../../core/yaml.ts";

/** A host as the file has it, its pool's defaults filled in. */
export interface HostEntry {
  /** As shown, and as clusters remember it: `name`, else `ip`. Unique in its pool. */
  readonly name: string;
  /** Address, name or alias of `~/.ssh/config`. */
  readonly ip: string;
  readonly user: string | null;
  readonly port: number | null;
  /** As written; may begin with `~/`. */
  readonly identityFile: string | null;
  /** A password is there (for sudo, in SkyPilot's use). It is never sent anywhere. */
  readonly password: boolean;
  readonly proxyJump: string | null;
  readonly proxyCommand: string | null;
}

export interface Pool {
  readonly name: string;
  readonly hosts: readonly HostEntry[];
}

const POOL_KEYS = ["user", "identity_file", "password", "port", "proxy_jump", "proxy_command", "hosts"];
const HOST_KEYS = [
  "ip",
  "name",
  "user",
  "identity_file",
  "password",
  "port",
  "proxy_jump",
  "proxy_command",
  "use_ssh_config",
];
const MOST_HOSTS = 4096;

type Raw = Readonly<Record<string, unknown>>;

/** The pools of a file's text, in its order. `where` names the file. Throws invalid_config. */
export function parsePools(text: string, where: string): Pool[] {
  return poolsOf(parse(text, { code: "invalid_config" }), where);
}

/** The pools of such data, e.g. of an exchange. Throws invalid_config, naming pool, host and key. */
export function poolsOf(data: unknown, where: string): Pool[] {
  if (data === null || data === undefined) return [];
  const pools = mapping(data, { where, what: "the file must hold a mapping of pool names" });
  return Object.entries(pools).map(([name, pool]) => poolOf(name, pool, where));
}

function poolOf(name: string, data: unknown, where: string): Pool {
  const at = { where, what: `SSH Node Pool '${name}'` };
  if (!/^[A-Za-z0-9][A-Za-z0-9._/-]*$/.test(name)) {
    throw invalid(`${at.what}: a name has letters, digits, dots, dashes and underscores only`, where);
  }
  const pool = mapping(data, { where, what: `${at.what} must be a mapping with 'hosts'` });
  checkKeys(pool, POOL_KEYS, at);
  const { hosts } = pool;
  if (!Array.isArray(hosts) || hosts.length === 0) throw invalid(`${at.what} has no hosts defined`, where);
  if (hosts.length > MOST_HOSTS) throw invalid(`${at.what} has more than ${MOST_HOSTS} hosts`, where);
  const entries = hosts.map((host, i) => hostOf(host, { pool, where, what: `${at.what}, host ${i + 1}` }));
  const seen = new Set<string>();
  for (const entry of entries) {
    if (seen.has(entry.name)) throw invalid(`${at.what} names host '${entry.name}' twice`, where);
    seen.add(entry.name);
  }
  return { name, hosts: entries };
}

interface At {
  readonly where: string;
  readonly what: string;
}

function hostOf(data: unknown, { pool, ...at }: At & { pool: Raw }): HostEntry {
  const own = typeof data === "string" || typeof data === "number" ? { ip: String(data) } : data;
  const host = mapping(own, {
    where: at.where,
    what: `${at.what} must be an address or a mapping with 'ip'`,
  });
  checkKeys(host, HOST_KEYS, at);
  const ip = address(text(host, "ip", at), at);
  if (ip === null) throw invalid(`${at.what} has no 'ip'`, at.where);
  const either = (key: string) => text(host, key, at) ?? text(pool, key, at);
  const [proxyJump, proxyCommand] = [either("proxy_jump"), either("proxy_command")];
  if (proxyJump !== null && proxyCommand !== null) {
    throw invalid(`${at.what} has both 'proxy_jump' and 'proxy_command'`, at.where);
  }
  return {
    name: text(host, "name", at) ?? ip,
    ip,
    user: userName(either("user"), at),
    port: port(host, at) ?? port(pool, at),
    identityFile: either("identity_file"),
    password: either("password") !== null,
    proxyJump: address(proxyJump, at),
    proxyCommand,
  };
}

function mapping(data: unknown, { where, what }: At): Raw {
  if (data !== null && typeof data === "object" && !Array.isArray(data)) return data as Raw;
  throw invalid(what, where);
}

function checkKeys(data: Raw, known: readonly string[], { where, what }: At): void {
  const strange = Object.keys(data).filter((key) => !known.includes(key));
  if (strange.length === 0) return;
  const quoted = strange.map((key) => `'${key}'`).join(", ");
  throw invalid(`${what} has unknown keys ${quoted} (known: ${known.join(", ")})`, where);
}

/** Null for absent and empty. */
function text(data: Raw, key: string, { where, what }: At): string | null {
  const value = data[key];
  if (value === undefined || value === null || value === "") return null;
  if (typeof value === "number") return String(value);
  if (typeof value !== "string") throw invalid(`${what}: '${key}' must be text`, where);
  // deno-lint-ignore no-control-regex -- these are what is looked for
  if (/[\x00-\x1f\x7f]/.test(value)) throw invalid(`${what}: '${key}' has control characters`, where);
  return value;
}

function port(data: Raw, { where, what }: At): number | null {
  const { port } = data;
  if (port === undefined || port === null) return null;
  const number = Number(port);
  if (Number.isInteger(number) && number > 0 && number < 65_536) return number;
  throw invalid(`${what}: 'port' must be a number from 1 to 65535`, where);
}

/** What begins with a dash would be an option to ssh. */
function address(value: string | null, { where, what }: At): string | null {
  if (value === null || /^[^-\s"'`$\\;&|<>(){}][^\s"'`$\\;&|<>(){}]*$/.test(value)) return value;
  throw invalid(`${what}: '${value}' is no address`, where);
}

function userName(value: string | null, { where, what }: At): string | null {
  if (value === null || /^[A-Za-z0-9_.][A-Za-z0-9_.@\\+-]*\$?$/.test(value)) return value;
  throw invalid(`${what}: '${value}' is no user name`, where);
}

function invalid(what: string, where: string): SkyError {
  return new SkyError("invalid_config", `Invalid SSH Node Pools in ${where}: ${what}`);
}

/**
 * Why a host cannot be used, whatever its state; null if nothing stands against it. `alias`: `~/.ssh/config` tells
 * how to reach it, so user and key of the pool are ignored. `missing`: its identity file does not exist.
 */
export function refusalOf(
  entry: HostEntry,
  facts: { alias: boolean; missing: string | null },
): string | null {
  if (facts.alias) return null;
  if (facts.missing !== null) return `SSH Identity File Missing: ${facts.missing}`;
  if (entry.user === null) {
    return "it has no 'user', and is no host of ~/.ssh/config";
  }
  if (entry.identityFile === null && entry.password) {
    return "it has a password only: give it an 'identity_file' (sky types no passwords), or leave 'password' " +
      "out to use the keys of your ssh-agent";
  }
  return null;
}
