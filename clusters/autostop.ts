/**
 * Autostop and autodown (domain.md §4.6): setting it, and the tick that finds idle clusters and stops them or takes
 * them down. The server calls the tick; what it has begun survives a crash, since AUTOSTOPPING is written first.
 */
import { dim } from "../core/ansi.ts";
import type { Autostop, ClusterRecord, WaitFor } from "../core/cluster.ts";
import type { Context } from "../core/context.ts";
import { describe, isSkyError, SkyError } from "../core/errors.ts";
import { plural } from "../core/format.ts";
import type { Task } from "../core/task.ts";
import { needCluster, needUp } from "./find.ts";
import { forgetCluster, settleStopped, sweepFolders } from "./forget.ts";
import type { Guard } from "./guards.ts";
import { endJobs } from "./jobs.ts";
import { type Asker, cloudContext, cloudOf, serverAsker } from "./asker.ts";
import { disarm, keepGuarded } from "./arming.ts";
import type { Room } from "./room.ts";

/** What is asked for; `idleMinutes` below zero cancels. */
export interface AutostopChange {
  readonly idleMinutes: number;
  readonly down: boolean;
  /** Null: as it was, or `jobs_and_ssh`. */
  readonly waitFor: WaitFor | null;
}

const MINUTE_MS = 60_000;
const END_JOBS_MS = 15_000;
/** A cluster that made trouble is left alone for so long. */
const TROUBLE_MS = 60_000;

/** The `autostop` verb. Throws cluster_not_found, cluster_not_up, not_supported. */
export async function setAutostop(
  clusterName: string,
  change: AutostopChange,
  ctx: Context,
  room: Room,
): Promise<void> {
  const cluster = await needCluster(clusterName, ctx, room);
  const cancels = change.idleMinutes < 0;
  needUp(
    cluster,
    cancels ? "Cancelling auto{stop,down}" : change.down ? "Scheduling autodown" : "Scheduling autostop",
  );
  await applyAutostop(cluster, change, ctx, room);
}

/** Write it down, if the cluster's cloud can do it. */
export async function applyAutostop(
  cluster: ClusterRecord,
  change: AutostopChange,
  ctx: Pick<Context, "now" | "signal">,
  room: Room,
): Promise<void> {
  const { idleMinutes, down } = change;
  const cloud = await cloudOf(cluster, room);
  if (idleMinutes >= 0 && !(down ? cloud.capabilities.autodown : cloud.capabilities.stop)) {
    const what = down ? "Autodown" : "Autostop";
    throw new SkyError("not_supported", `${what} is not supported on ${cloud.displayName}`, {
      ...(down ? {} : { hint: `sky autostop ${cluster.name} --down` }),
    });
  }
  const now = ctx.now();
  // Disarmed on the nodes before it is written: a node must not end itself after somebody was told it won't.
  if (idleMinutes < 0) await disarm(cluster, serverAsker(room, ctx.signal), room);
  const autostop: Autostop = idleMinutes < 0
    ? { ...cluster.autostop, idleMinutes: -1, down: false, setAt: now }
    : { idleMinutes, down, waitFor: change.waitFor ?? "jobs_and_ssh", setAt: now };
  await room.clusters.update(cluster, { autostop, lastActiveAt: now });
}

export interface LaunchFlags {
  readonly idleMinutes: number | null;
  readonly down: boolean;
  readonly waitFor: WaitFor | null;
}

/** What flags and YAML of a launch ask for together, flags first; null for nothing. 0 minutes are still to be bumped. */
export function autostopWish(task: Pick<Task, "resources">, flags: LaunchFlags): AutostopChange | null {
  const yaml = task.resources.candidates[0]?.autostop ?? null;
  if (flags.idleMinutes === null && !flags.down) {
    if (yaml === null) return null;
    const waitFor = flags.waitFor ?? yaml.waitFor;
    return yaml.enabled
      ? { idleMinutes: yaml.idleMinutes, down: yaml.down, waitFor }
      : { idleMinutes: -1, down: false, waitFor: null };
  }
  const idleMinutes = flags.idleMinutes ?? (yaml?.enabled ? yaml.idleMinutes : 0);
  const waitFor = flags.waitFor ?? yaml?.waitFor ?? null;
  return { idleMinutes, down: flags.down || (yaml?.enabled === true && yaml.down), waitFor };
}

/** No idle time at all becomes one minute, and is said. */
export function atLeastOneMinute(change: AutostopChange, say: (line: string) => void): AutostopChange {
  if (change.idleMinutes !== 0) return change;
  const end = change.down ? "torn down" : "stopped";
  say(dim(`The cluster will be ${end} after 1 minutes of idleness (after all jobs finish).`));
  return { ...change, idleMinutes: 1 };
}

/** Is its time over? `busy`: some job is not over. */
export function isDue(cluster: ClusterRecord, options: { busy: boolean; now: number }): boolean {
  const { idleMinutes, waitFor, setAt } = cluster.autostop;
  if (idleMinutes < 0) return false;
  if (waitFor !== "none" && options.busy) return false;
  // `none` waits for nothing: it counts from when it was set, whatever goes on.
  const since = waitFor === "none" ? setAt : Math.max(setAt, cluster.lastActiveAt);
  return Math.floor((options.now - since) / MINUTE_MS) >= idleMinutes;
}

/**
 * One look at all clusters, every few seconds; stops or takes down those whose time is over, and sweeps up after
 * clusters that are gone. Errors of one do not stop the others; the same one is told once.
 */
export async function autostopTick(signal: AbortSignal, room: Room): Promise<void> {
  const clusters = await room.clusters.list();
  const hashes = new Set(clusters.map(({ hash }) => hash));
  for (const hash of room.troubles.keys()) if (!hashes.has(hash)) room.troubles.delete(hash);
  await Promise.all(clusters.map(async (cluster) => {
    const trouble = room.troubles.get(cluster.hash);
    if (trouble !== undefined && room.now() - trouble.at < TROUBLE_MS) return;
    try {
      await tickOne(cluster, signal, room);
      room.troubles.delete(cluster.hash);
    } catch (error) {
      if (signal.aborted) return;
      const words = describe(error);
      room.troubles.set(cluster.hash, { at: room.now(), words });
      if (words !== trouble?.words) room.onFault(error, `autostop of cluster ${cluster.name}`);
    }
  }));
  await sweepFolders(room);
}

async function tickOne(seen: ClusterRecord, signal: AbortSignal, room: Room): Promise<void> {
  if (seen.status === "UP") await keepGuarded(seen, signal, room);
  if (seen.status !== "AUTOSTOPPING" && !await isIdle(seen, signal, room)) return;
  // Somebody launches, starts or stops it: that counts as use, and this look was too early.
  using guard = room.guards.tryAcquire(seen.name);
  if (guard === null) return;
  const cluster = await room.clusters.get(seen.name);
  if (cluster === null || cluster.hash !== seen.hash) return;
  if (cluster.status === "AUTOSTOPPING") return await completeAutostop(cluster, { guard, signal }, room);
  if (!await isIdle(cluster, signal, room)) return;
  const { down, idleMinutes } = cluster.autostop;
  const word = down ? "Autodown" : "Autostop";
  const reason = `${word} triggered after ${plural(idleMinutes, "minute")} of idleness.`;
  // A launch or exec may have set the status or the time meanwhile: then this loses.
  const began = await room.clusters.update(cluster, { status: "AUTOSTOPPING" }, {
    from: ["UP"],
    event: { reason, endingStatus: "AUTOSTOPPING" },
  });
  if (!began) return;
  const now = await room.clusters.get(cluster.name);
  if (now === null) return;
  // Somebody changed the setting in that moment: as far as they know, in time.
  if (now.autostop.setAt !== cluster.autostop.setAt) {
    await room.clusters.update(now, { status: "UP" }, { from: ["AUTOSTOPPING"] });
    return;
  }
  await completeAutostop(now, { guard, signal }, room);
}

async function isIdle(cluster: ClusterRecord, signal: AbortSignal, room: Room): Promise<boolean> {
  if (cluster.status !== "UP" || cluster.autostop.idleMinutes < 0) return false;
  if (!isDue(cluster, { busy: await isBusy(cluster, room), now: room.now() })) return false;
  if (cluster.autostop.waitFor !== "jobs_and_ssh" || cluster.handle === null) return true;
  const cloud = await cloudOf(cluster, room);
  const ctx = cloudContext(cloud, serverAsker(room, signal), room);
  try {
    if ((await cloud.logins?.(cluster.handle, ctx) ?? 0) === 0) return true;
  } catch (error) {
    // Out of reach: it could not be stopped either.
    if (isSkyError(error, "network") || isSkyError(error, "timeout")) return false;
    throw error;
  }
  // Whoever is logged in uses it: the idle time counts from when they leave.
  await room.clusters.update(cluster, { lastActiveAt: room.now() });
  return false;
}

async function isBusy(cluster: ClusterRecord, room: Room): Promise<boolean> {
  return (await room.jobs.list(cluster.hash, { active: true })).length > 0;
}

/** Finish what AUTOSTOPPING began, after a crash too. The caller holds the guard. */
export async function completeAutostop(
  cluster: ClusterRecord,
  options: { guard: Guard; signal: AbortSignal },
  room: Room,
): Promise<void> {
  const asker: Asker = serverAsker(room, options.signal);
  room.guarded.delete(cluster.hash);
  await endJobs(cluster, { signal: options.signal, patienceMs: END_JOBS_MS }, room);
  const cloud = await cloudOf(cluster, room);
  const ctx = cloudContext(cloud, asker, room);
  if (cluster.autostop.down || cloud.stop === undefined) {
    if (cluster.handle !== null) await cloud.terminate(cluster.handle, ctx);
    await forgetCluster(cluster, { reason: "Cluster was autodowned." }, room);
    return;
  }
  if (cluster.handle !== null) await cloud.stop(cluster.handle, ctx);
  await settleStopped(cluster, { reason: "Cluster was autostopped." }, room);
}
