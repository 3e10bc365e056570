/**
 * Which Slurm clusters there are and the way to each one's login node: by ssh as `~/.slurm/config` says, or right here
 * where this machine is a login node itself. Owns finding them; config.ts reads the file.
 */
import { isAbsolute, join } from "@std/path";
import { describe, SkyError } from "../../core/errors.ts";
import { type Env, userHome } from "../../core/paths.ts";
import type { CloudContext } from "../cloud.ts";
import { type Carrier, pipeShell } from "../transport/remote/pipe_shell.ts";
import type { NodeShell } from "../transport/remote/shell.ts";
import { HomeWatch } from "../transport/remote/watch.ts";
import { closeShells, sshCarrier, sshWatch } from "../transport/ssh/mod.ts";
import type { Asker } from "./ask.ts";
import { type LoginHost, parseSlurmConfig } from "./config.ts";
import { directCarrier } from "./direct.ts";
import { isWord, parseSettings } from "./facts.ts";
import { findingSlurm } from "./programs.ts";
import { allowedClusters } from "./settings.ts";

export interface Login {
  readonly cluster: string;
  readonly carrier: Carrier;
  readonly shell: NodeShell;
  /** The eyes on what lies on the shared file system. */
  watch(): HomeWatch;
}

/** What can be said about clusters without connecting to any. */
export interface Clusters {
  /** As configured, this machine's own last. */
  readonly names: readonly string[];
  /** Whether there is a config, or programs of Slurm here. */
  readonly any: boolean;
  readonly warnings: readonly string[];
}

function envOf(ctx: CloudContext): Env {
  return ctx.env ?? (() => undefined);
}

/** Small, and asked for where nobody can wait. */
function configured(ctx: CloudContext): { hosts: readonly LoginHost[]; warnings: readonly string[] } {
  const home = userHome(envOf(ctx));
  const path = join(home, ".slurm", "config");
  try {
    return parseSlurmConfig(Deno.readTextFileSync(path), { home });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { hosts: [], warnings: [] };
    throw new SkyError("invalid_config", `Cannot read ${path}: ${describe(error)}`, { cause: error });
  }
}

/** The clusters that the config allows. */
export async function clustersOf(ctx: CloudContext): Promise<Clusters> {
  const { hosts, warnings } = configured(ctx);
  const here = await clusterHere(ctx);
  const all = [...hosts.map(({ name }) => name), ...(here === null ? [] : [here])];
  const allowed = allowedClusters(ctx.config);
  const names = [...new Set(all)].filter((name) => allowed === null || allowed.includes(name));
  return { names, any: all.length > 0, warnings };
}

/** The way to a cluster's login node. Throws not_supported for one that is not there any more. */
export function loginOf(cluster: string, ctx: CloudContext): Login {
  const host = configured(ctx).hosts.find(({ name }) => name === cluster);
  const note = (text: string) => ctx.log.line(text);
  const env = envOf(ctx);
  if (host !== undefined) {
    const known = { ...host, useUserConfig: false };
    const key = JSON.stringify([ctx.folder, known]);
    const carrier = findingSlurm(sshCarrier(known, { folder: ctx.folder, env, log: ctx.log }), key);
    return {
      cluster,
      carrier,
      shell: pipeShell(carrier),
      watch: () => sshWatch(known, { folder: ctx.folder, env, log: ctx.log }),
    };
  }
  if (programHere("sbatch", env) === null) {
    throw new SkyError(
      "not_supported",
      `Cannot reach Slurm cluster '${cluster}': it is not in ~/.slurm/config`,
      {
        hint: `Add 'Host ${cluster}' to ~/.slurm/config`,
      },
    );
  }
  const carrier = directCarrier(env, note);
  return { cluster, carrier, shell: pipeShell(carrier), watch: () => watchHere(ctx) };
}

/** As `loginOf`, for those who can't be told yet: what they do later fails as this would have. */
export function loginOrFault(cluster: string, ctx: CloudContext): Login {
  try {
    return loginOf(cluster, ctx);
  } catch (error) {
    const name = `Slurm cluster ${cluster}`;
    const carrier: Carrier = { name, note: (text) => ctx.log.line(text), begin: () => Promise.reject(error) };
    const shell = pipeShell(carrier);
    return { cluster, carrier, shell, watch: () => new HomeWatch(shell) };
  }
}

/** Watches of this machine, by the folder of the server they belong to. */
const watches = new Map<string, HomeWatch>();

function watchHere(ctx: CloudContext): HomeWatch {
  const known = watches.get(ctx.folder);
  if (known !== undefined) return known;
  const made = new HomeWatch(pipeShell(directCarrier(envOf(ctx), () => {})));
  watches.set(ctx.folder, made);
  return made;
}

/** Lets go of everything that was opened for a server. */
export async function closeLogins(folder: string): Promise<void> {
  const watch = watches.get(folder);
  watches.delete(folder);
  await Promise.all([watch?.close(), closeShells(folder)]);
}

/** On whose behalf a login is asked. */
export function askerOf(login: Login, ctx: CloudContext): Asker {
  const { cluster, shell } = login;
  return { login: shell, cluster, signal: ctx.signal, processes: ctx.processes ?? null };
}

/** Names told by the Slurm of this machine, by its configuration; they don't change while a server lives. */
const told = new Map<string, string>();

/** The cluster whose login node this machine is; null where there is no Slurm or it does not answer. */
async function clusterHere(ctx: CloudContext): Promise<string | null> {
  const env = envOf(ctx);
  const program = programHere("sbatch", env);
  if (program === null) return null;
  const key = `${program} ${env("SLURM_CONF") ?? ""}`;
  const known = told.get(key);
  if (known !== undefined) return known;
  const login = pipeShell(directCarrier(env, () => {}));
  try {
    const { stdout } = await login.exec("LC_ALL=C exec scontrol show config", {
      signal: ctx.signal,
      processes: ctx.processes ?? null,
      timeoutMs: 10_000,
    });
    const name = parseSettings(stdout).clusterName;
    if (name === null || !isWord(name)) return null;
    told.set(key, name);
    return name;
  } catch (error) {
    ctx.signal.throwIfAborted();
    // Programs of a Slurm that isn't running: no cluster of this machine.
    if (error instanceof SkyError) return null;
    throw error;
  }
}

function programHere(name: string, env: Env): string | null {
  for (const folder of (env("PATH") ?? "").split(":")) {
    if (isAbsolute(folder) && isProgram(join(folder, name))) return join(folder, name);
  }
  return null;
}

function isProgram(path: string): boolean {
  try {
    const { isFile, mode } = Deno.statSync(path);
    return isFile && ((mode ?? 0) & 0o111) !== 0;
  } catch {
    return false; // Missing or unreadable: not here.
  }
}
