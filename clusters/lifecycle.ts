/** Verbs for a cluster that exists: down, stop, start (domain.md §4.7). Each may be begun again after a crash. */
import { delay } from "@std/async/delay";
import { bold, yellow } from "../core/ansi.ts";
import { cloudDisplayName } from "../core/cloud_names.ts";
import type { ClusterRecord, WaitFor } from "../core/cluster.ts";
import type { Context } from "../core/context.ts";
import { describe, isSkyError, SkyError } from "../core/errors.ts";
import { plural } from "../core/format.ts";
import { applyAutostop, atLeastOneMinute } from "./autostop.ts";
import { checkWorkspace, needCluster, notFound } from "./find.ts";
import { forgetCluster, settleStopped } from "./forget.ts";
import { cancelAll, endJobs } from "./jobs.ts";
import { enterCluster } from "./enter.ts";
import { NO_AUTOSTOP, provisionExisting } from "./provision.ts";
import { cloudContext, cloudOf } from "./asker.ts";
import type { Room } from "./room.ts";
import { refreshCluster } from "./status.ts";

export interface EndOptions {
  /** Ignore errors, drop the record. */
  readonly purge: boolean;
  /** Cancel all jobs and let them clean up first. */
  readonly graceful: boolean;
  /** Seconds for that, null for as long as it takes. */
  readonly gracefulTimeout: number | null;
}

const END_JOBS_MS = 8_000;
const VERIFY_TRIES = 10;
const VERIFY_GAP_MS = 1_000;

/** Take a cluster down, whatever its status. One that is gone already is fine. Throws cluster_not_found. */
export async function down(name: string, options: EndOptions, ctx: Context, room: Room): Promise<void> {
  await ctx.step("down", async () => {
    using _guard = await room.guards.acquire(name, ctx.signal);
    const cluster = await room.clusters.get(name);
    if (cluster === null) return await skip(name, ctx, room);
    if (!options.purge) checkWorkspace(cluster, ctx);
    if (options.graceful) await endGracefully(cluster, options, ctx, room);
    await endJobs(cluster, { signal: ctx.signal, patienceMs: END_JOBS_MS }, room);
    try {
      await terminate(cluster, ctx, room);
    } catch (error) {
      await survive(cluster, error, { purge: options.purge, ctx, room });
      ctx.log.line(
        yellow(`Purging cluster '${name}' although it could not be terminated: ${describe(error)}`),
      );
      await abandon(cluster, ctx, room);
    }
    await forgetCluster(
      cluster,
      { reason: "Cluster was terminated by user.", requestId: ctx.requestId },
      room,
    );
  });
}

/** The ending failed and is not to be passed over: the cluster is still there, and jobs are to be placed on it again. */
async function survive(
  cluster: ClusterRecord,
  error: unknown,
  { purge, ctx, room }: { purge: boolean; ctx: Context; room: Room },
): Promise<void> {
  if (purge && !ctx.signal.aborted) return;
  await room.keepers.release(cluster.hash);
  ctx.signal.throwIfAborted();
  throw error;
}

/** Nothing is left to end, be it that somebody else was faster. Throws cluster_not_found for a name never heard of. */
async function skip(name: string, ctx: Context, room: Room): Promise<void> {
  const known = await room.clusters.events({ name }, { types: ["STATUS_CHANGE"], limit: 1 });
  if (known.length === 0) throw notFound(name);
  ctx.log.line(`Cluster '${name}' is already terminated. Skipped.`);
}

/** With the record goes what its cloud has set aside for it; what may live on is said. */
async function abandon(cluster: ClusterRecord, ctx: Context, room: Room): Promise<void> {
  if (cluster.handle === null) return;
  const cloud = await cloudOf(cluster, room);
  const left = await cloud.abandon?.(cluster.handle, cloudContext(cloud, ctx, room)) ?? null;
  if (left !== null) ctx.log.line(yellow(left));
}

async function terminate(cluster: ClusterRecord, ctx: Context, room: Room): Promise<void> {
  if (cluster.handle === null) return;
  const cloud = await cloudOf(cluster, room);
  const cloudCtx = cloudContext(cloud, ctx, room);
  await cloud.terminate(cluster.handle, cloudCtx);
  for (let tries = 1;; tries++) {
    const left = (await cloud.inspect(cluster.handle, cloudCtx)).filter((node) => node.state !== "gone");
    if (left.length === 0) return;
    if (tries === VERIFY_TRIES) {
      const states = left.map((node) => `${node.id}: ${node.state}`).join(", ");
      throw new SkyError(
        "command_failed",
        `Cannot terminate cluster '${cluster.name}': ` +
          `instances in unexpected state (${states})`,
        { hint: `sky down ${cluster.name}` },
      );
    }
    await delay(VERIFY_GAP_MS, { signal: ctx.signal });
  }
}

/** Stop a cluster: its jobs end, its disks stay. Throws cluster_not_found, not_supported. */
export async function stop(name: string, options: EndOptions, ctx: Context, room: Room): Promise<void> {
  await ctx.step("stop", async () => {
    using _guard = await room.guards.acquire(name, ctx.signal);
    const cluster = await room.clusters.get(name);
    if (cluster === null) throw notFound(name);
    if (!options.purge) checkWorkspace(cluster, ctx);
    const cloud = await cloudOf(cluster, room);
    const { stop: stopNodes } = cloud;
    if (stopNodes === undefined || !cloud.capabilities.stop || cluster.resources.useSpot) {
      throw new SkyError("not_supported", cannotStop(cluster));
    }
    if (options.graceful) await endGracefully(cluster, options, ctx, room);
    await endJobs(cluster, { signal: ctx.signal, patienceMs: END_JOBS_MS }, room);
    try {
      if (cluster.handle !== null) {
        await stopNodes.call(cloud, cluster.handle, cloudContext(cloud, ctx, room));
      }
    } catch (error) {
      await survive(cluster, error, { purge: options.purge, ctx, room });
      ctx.log.line(yellow(`Marking cluster '${name}' stopped although that failed: ${describe(error)}`));
    }
    await settleStopped(cluster, { reason: "Cluster was stopped by user.", requestId: ctx.requestId }, room);
  });
}

function cannotStop(cluster: ClusterRecord): string {
  const what = cluster.resources.useSpot ? "Stopping spot instances" : "Stopping clusters";
  return yellow(`Stopping cluster '${cluster.name}'... skipped.`) +
    `\n  ${what} is currently not supported on ${cloudDisplayName(cluster.resources.cloud)}.` +
    `\n  To terminate the cluster instead, run: ${bold(`sky down ${cluster.name}`)}`;
}

async function endGracefully(
  cluster: ClusterRecord,
  options: EndOptions,
  ctx: Context,
  room: Room,
): Promise<void> {
  if (cluster.status !== "UP") return;
  const limit = new AbortController();
  const { gracefulTimeout } = options;
  const timer = gracefulTimeout === null
    ? undefined
    : setTimeout(() => limit.abort(), gracefulTimeout * 1000);
  try {
    await cancelAll(cluster, { signal: AbortSignal.any([ctx.signal, limit.signal]) }, room);
  } catch (error) {
    ctx.signal.throwIfAborted();
    // Time is up, or the machines do not answer: they go all the same.
    if (!limit.signal.aborted && !isSkyError(error)) throw error;
  } finally {
    clearTimeout(timer);
  }
}

export interface StartOptions {
  /** Null: what was set before is restored. */
  readonly idleMinutes: number | null;
  readonly waitFor: WaitFor | null;
  readonly retryUntilUp: boolean;
  readonly down: boolean;
  /** Also when it is UP. */
  readonly force: boolean;
}

/** Bring a stopped or half-made cluster up where it was. Throws cluster_not_found, resources_unavailable. */
export async function start(
  name: string,
  options: StartOptions,
  ctx: Context,
  room: Room,
): Promise<ClusterRecord> {
  if (options.down && options.idleMinutes === null) {
    throw new SkyError("invalid_argument", "`idle_minutes_to_autostop` must be set if `down` is True.");
  }
  await ctx.step("start", async () => {
    using _guard = await enterCluster(name, ctx, room);
    const found = await needCluster(name, ctx, room);
    const cluster = await refreshCluster(found, ctx, room);
    if (cluster === null) throw notFound(name);
    if (cluster.status === "UP" && !options.force) return ctx.log.line(`Cluster '${name}' is already up.`);
    const stopped: ClusterRecord = { ...cluster, launchedAt: ctx.now(), lastUse: ctx.command };
    const up = await provisionExisting(
      stopped,
      {
        clusterName: name,
        retryUntilUp: options.retryUntilUp,
        quietOptimizer: true,
        needsStop: false,
        creationYaml: cluster.lastCreationYaml,
      },
      ctx,
      room,
    );
    await restoreAutostop(up, options, ctx, room);
    await (await room.keepers.of(up)).wake({ signal: ctx.signal });
  });
  return await needCluster(name, ctx, room);
}

async function restoreAutostop(
  cluster: ClusterRecord,
  options: StartOptions,
  ctx: Context,
  room: Room,
): Promise<void> {
  const { idleMinutes, down: wantsDown, waitFor } = cluster.autostop;
  if (options.idleMinutes !== null) {
    const wish = { idleMinutes: options.idleMinutes, down: options.down, waitFor: options.waitFor };
    return await applyAutostop(cluster, atLeastOneMinute(wish, (line) => ctx.log.line(line)), ctx, room);
  }
  if (idleMinutes <= 0) {
    await room.clusters.update(cluster, { autostop: { ...NO_AUTOSTOP, setAt: ctx.now() } });
    return;
  }
  const end = wantsDown ? "autodown" : "autostop";
  ctx.log.line(yellow(
    `Restored the ${end} setting of cluster '${cluster.name}': after ${
      plural(idleMinutes, "minute")
    } of idleness.`,
  ));
  await applyAutostop(
    cluster,
    { idleMinutes, down: wantsDown, waitFor: options.waitFor ?? waitFor },
    ctx,
    room,
  );
}
