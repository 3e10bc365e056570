/**
 * The way into machines by the system's OpenSSH: one master connection a host, shared by everything that runs
 * there. This is the door: shells, watches and their end. Hosts are the caller's to know; no pool is read here.
 */
import { join } from "@std/path";
import { SkyError } from "../../../core/errors.ts";
import type { Log } from "../../../core/context.ts";
import type { Env } from "../../../core/paths.ts";
import { type Carrier, pipeShell } from "../remote/pipe_shell.ts";
import type { NodeShell } from "../remote/shell.ts";
import { HomeWatch } from "../remote/watch.ts";
import { Connection } from "./connection.ts";
import type { SshFiles } from "./options.ts";

export interface SshHost {
  /** For messages, e.g. as in the pool file. */
  readonly name: string;
  /** Address, or with `useUserConfig` a name of `~/.ssh/config`. */
  readonly host: string;
  readonly user: string | null;
  readonly port: number | null;
  readonly identityFile: string | null;
  /** More options, each `Name=value`, e.g. `ProxyJump=bastion`. */
  readonly options: readonly string[];
  /** Whether `~/.ssh/config` counts. */
  readonly useUserConfig: boolean;
}

export interface SshContext {
  /** The cloud's folder below the server home: known_hosts, configuration, control sockets. */
  readonly folder: string;
  readonly env: Env;
  readonly log: Log;
}

interface Host {
  readonly folder: string;
  readonly connection: Connection;
  watch: HomeWatch | null;
}

const hosts = new Map<string, Host>();

/** A shell on the host. Cheap: the connection behind it is made when needed, and kept for all. */
export function sshShell(host: SshHost, ctx: SshContext): NodeShell {
  return pipeShell(sshCarrier(host, ctx));
}

/** What carries a shell's commands to the host, for those who take them further (slurm: to a node behind it). */
export function sshCarrier(host: SshHost, ctx: SshContext): Carrier {
  const { connection } = hostOf(host, ctx);
  return {
    name: host.name,
    begin: (line, options) => connection.begin(line, options),
    note: (text) => ctx.log.line(text),
    async rsh(use, { signal }) {
      const release = await connection.place(signal);
      try {
        await use(connection.client);
      } finally {
        release();
      }
    },
  };
}

/** The one watch of the host, shared by all its nodes. */
export function sshWatch(host: SshHost, ctx: SshContext): HomeWatch {
  const known = hostOf(host, ctx);
  // No request's log: it outlives them.
  const quiet = { ...ctx, log: { line: () => {}, status: () => {} } };
  return known.watch ??= new HomeWatch(sshShell(host, quiet));
}

/** End the watches and masters of this folder: its server ends. Later calls make new ones. */
export async function closeShells(folder: string): Promise<void> {
  const ending: Promise<void>[] = [];
  for (const [key, host] of hosts) {
    if (host.folder !== folder) continue;
    hosts.delete(key);
    ending.push((async () => {
      await host.watch?.close();
      await host.connection.close();
    })());
  }
  await Promise.all(ending);
  // Configurations are left in it, if it was ever made and is ours.
  await Deno.remove(shortFolder(folder), { recursive: true }).catch(() => {});
}

function hostOf(host: SshHost, ctx: SshContext): Host {
  const key = JSON.stringify([
    ctx.folder,
    host.host,
    host.user,
    host.port,
    host.identityFile,
    host.options,
    host.useUserConfig,
    ctx.env("HOME"),
    ctx.env("SSH_AUTH_SOCK"),
  ]);
  const known = hosts.get(key);
  if (known !== undefined) return known;
  const made = {
    folder: ctx.folder,
    connection: new Connection(host, { files: filesOf(key, ctx.folder), env: ctx.env }),
    watch: null,
  };
  hosts.set(key, made);
  return made;
}

/** Bytes of a socket's path that are left once ssh has added what it adds while it makes it. */
const LONGEST_SOCKET = 84;

function filesOf(key: string, folder: string): SshFiles {
  const name = shortHash(key);
  const inFolder = join(folder, "ssh", name);
  // ssh hands its configuration's path to jump hosts' programs through a shell, unquoted.
  const fits = inFolder.length <= LONGEST_SOCKET && /^[A-Za-z0-9/._-]+$/.test(inFolder);
  const socket = fits ? inFolder : join(makeShortFolder(folder), name);
  return { config: `${socket}.conf`, knownHosts: join(folder, "known_hosts"), socket };
}

function shortFolder(folder: string): string {
  return `/tmp/sky-${Deno.uid() ?? 0}-${shortHash(folder)}`;
}

/** A folder in /tmp that is ours alone. Throws permission_denied if somebody else made it. */
function makeShortFolder(folder: string): string {
  const path = shortFolder(folder);
  try {
    Deno.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  const info = Deno.lstatSync(path);
  const own = info.uid === Deno.uid() && ((info.mode ?? 0) & 0o077) === 0;
  if (info.isDirectory && own) return path;
  throw new SkyError("permission_denied", `Cannot use '${path}' for connections: somebody else made it`);
}

/** 12 characters; FNV-1a twice, for names that must be short and are no secret. */
function shortHash(text: string): string {
  const half = (seed: number) => {
    let hash = seed;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
    return hash.toString(36).padStart(7, "0").slice(-6);
  };
  return half(0x811c9dc5) + half(0x1b873593);
}
