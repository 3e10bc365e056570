/**
 * What one server's SSH cloud has in memory: its pools, its facts, its id on the hosts. One per cloud folder; owns
 * reaching a host for it and telling from the attempt whether the host is there.
 */
import { join } from "@std/path";
import type { Env } from "../../core/paths.ts";
import { isSkyError, SkyError } from "../../core/errors.ts";
import type { CloudContext, RunResult } from "../cloud.ts";
import type { SshContext, SshHost } from "../transport/ssh/mod.ts";
import { sshShell } from "../transport/ssh/mod.ts";
import { FactBook, isAvoided, type Known } from "./facts.ts";
import { PoolBook, type PoolHost, type ResolvedPool } from "./hosts.ts";
import { claimsIn } from "./ledger.ts";
import { regionOf } from "./offers.ts";
import type { HostRoom } from "./placing.ts";
import { parseProbe, PROBE } from "./probe.ts";

export interface State {
  readonly folder: string;
  readonly pools: PoolBook;
  readonly facts: FactBook;
  id: Promise<string> | null;
}

const states = new Map<string, State>();

export function stateOf(folder: string): State {
  const known = states.get(folder);
  if (known !== undefined) return known;
  const made: State = { folder, pools: new PoolBook(), facts: new FactBook(folder), id: null };
  states.set(folder, made);
  return made;
}

export function forgetState(folder: string): void {
  states.delete(folder);
}

export function envOf(ctx: CloudContext): Env {
  return ctx.env ?? (() => undefined);
}

export function sshContext(ctx: CloudContext): SshContext {
  return { folder: ctx.folder, env: envOf(ctx), log: ctx.log };
}

/** Names this server's homes on hosts: several servers may use the same hosts. Made once, kept with the ledger. */
export function serverId(state: State): Promise<string> {
  return state.id ??= readOrMakeId(state.folder).catch((error) => {
    state.id = null;
    throw error;
  });
}

async function readOrMakeId(folder: string): Promise<string> {
  const path = join(folder, "server_id");
  const read = async () => (await Deno.readTextFile(path)).trim();
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  const fresh = `${path}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(fresh, `${crypto.randomUUID().slice(0, 8)}\n`, { mode: 0o600 });
  // Whoever links first has named it.
  await Deno.link(fresh, path).catch((error) => {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  });
  await Deno.remove(fresh);
  return await read();
}

/** All pools of the file; null if there is none. Throws invalid_config. */
export function readPools(ctx: CloudContext): Promise<readonly ResolvedPool[] | null> {
  const { pools } = stateOf(ctx.folder);
  return pools.read({ env: envOf(ctx), signal: ctx.signal, processes: ctx.processes ?? null });
}

/** Milliseconds for a text that does next to nothing. A driver that hangs is given ten seconds by the probe. */
const SHORT_MS = 30_000;

/** Run a text on a host. What can't be reached is noted, so that others need not find out again. */
export async function onHost(
  host: { readonly ssh: SshHost; readonly machine: string },
  script: string,
  options: { args?: readonly string[]; stdin?: string; timeoutMs?: number; ctx: CloudContext },
): Promise<RunResult> {
  const { ctx, args = [], stdin, timeoutMs = SHORT_MS } = options;
  const { facts } = stateOf(ctx.folder);
  try {
    const result = await sshShell(host.ssh, sshContext(ctx)).exec(script, {
      args,
      ...(stdin === undefined ? {} : { stdin }),
      signal: ctx.signal,
      timeoutMs,
      maxOutput: 1 << 16,
      processes: ctx.processes ?? null,
    });
    await facts.noteAlive(host.machine);
    return result;
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (isUnreachable(error)) await facts.noteFailure(host.machine, error.message, ctx.now());
    throw error;
  }
}

/** Whether an error speaks of the way to the host rather than of what was to be done there. */
export function isUnreachable(error: unknown): error is SkyError {
  return isSkyError(error, "network") || isSkyError(error, "timeout") ||
    isSkyError(error, "permission_denied");
}

/** Ask a host what it has. Never throws for the host's own trouble: the result tells it. */
export async function probeHost(host: PoolHost, ctx: CloudContext): Promise<Known> {
  const { facts } = stateOf(ctx.folder);
  try {
    const { code, stdout, stderr } = await onHost(host, PROBE, { ctx });
    const found = parseProbe(stdout);
    if (found === null) {
      const said = stderr.trim().split("\n")[0]?.slice(0, 200);
      const why = said ? `: ${said}` : ` (exit code ${code})`;
      await facts.noteFailure(host.machine, `its answer can't be understood${why}`, ctx.now());
    } else await facts.note(host.machine, found, ctx.now());
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (!isUnreachable(error)) throw error;
  }
  return (await facts.of(host.machine))!;
}

export interface RoomOptions {
  /** Ask hosts whose facts are older (ms). Default: only those that never told any. */
  readonly maxAgeMs?: number;
  /** Ask also those that did not answer a moment ago. */
  readonly insist?: boolean;
  /** Ask nobody. */
  readonly asIs?: boolean;
}

/** What is known of the hosts, those asked in parallel of whom nothing is. */
export async function roomsOf(
  pool: ResolvedPool,
  ctx: CloudContext,
  options: RoomOptions = {},
): Promise<{ room: HostRoom; host: PoolHost; known: Known | null }[]> {
  const { facts } = stateOf(ctx.folder);
  return await Promise.all(pool.hosts.map(async (host) => {
    let known = await facts.of(host.machine);
    const now = ctx.now();
    const stale = known?.facts == null || now - known.seenAt > (options.maxAgeMs ?? Infinity);
    const avoided = options.insist !== true && isAvoided(known, now);
    if (host.refusal === null && stale && !avoided && options.asIs !== true) {
      known = await probeHost(host, ctx);
    }
    return { host, known, room: roomOf(host, known, now) };
  }));
}

function roomOf(host: PoolHost, known: Known | null, now: number): HostRoom {
  const facts = known?.facts ?? null;
  const failure = isAvoided(known, now) || facts === null ? known?.failure ?? "it was never reached" : null;
  const reason = host.refusal ?? failure;
  return {
    machine: host.machine,
    host: host.name,
    cpus: facts?.cpus ?? 0,
    memoryGb: facts?.memoryGb ?? 0,
    gpus: facts?.gpus ?? [],
    usable: reason === null,
    reason,
  };
}

/** The pool of that name. Null if it is not in the file (any more). */
export async function findPool(name: string, ctx: CloudContext): Promise<ResolvedPool | null> {
  return (await readPools(ctx))?.find((pool) => pool.name === name) ?? null;
}

/** Clusters that have nodes in a pool, or in any. */
export async function clustersIn(pool: string | null, folder: string): Promise<string[]> {
  const claims = (await claimsIn(folder)).filter((claim) => pool === null || claim.pool === pool);
  return [...new Set(claims.map((claim) => claim.cluster))];
}

/** By region or bare name. */
export function isPool(name: string, wanted: string | null): boolean {
  return wanted === null || wanted === name || wanted === regionOf(name);
}
