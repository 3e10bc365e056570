/**
 * What clusters there are, compared with their clouds when asked (domain.md §4.3). A record is only dropped after
 * two looks have proven its machines gone; an unreachable cloud proves nothing.
 */
import { delay } from "@std/async/delay";
import type { NodeInfo } from "../clouds/cloud.ts";
import { bold, yellow } from "../core/ansi.ts";
import type { ClusterRecord } from "../core/cluster.ts";
import type { Context } from "../core/context.ts";
import { isSkyError } from "../core/errors.ts";
import { plural } from "../core/format.ts";
import { matchNames } from "../core/names.ts";
import { forgetCluster, settleStopped } from "./forget.ts";
import { type Asker, cloudContext, cloudOf, serverAsker } from "./asker.ts";
import type { Room } from "./room.ts";
import { spinning } from "./lines.ts";

export interface StatusOptions {
  /** Names and globs; null for all. */
  readonly names: readonly string[] | null;
  /** AUTO: spot, autostop and autostopping clusters, unless looked at just now. */
  readonly refresh: "NONE" | "AUTO" | "FORCE";
  readonly allUsers: boolean;
}

/** A look is good for so long. */
export const FRESH_MS = 2000;
/** Between the two looks that prove a cluster gone. */
const PROOF_GAP_MS = 3000;
const AT_ONCE = 16;

/** Newest launch first. Unknown names are just absent. */
export async function status(options: StatusOptions, ctx: Context, room: Room): Promise<ClusterRecord[]> {
  const all = await room.clusters.list();
  const names = options.names === null ? null : new Set(
    matchNames(options.names, all.map((cluster) => cluster.name)).matched,
  );
  const wanted = all.filter((cluster) =>
    names?.has(cluster.name) ?? (options.allUsers || cluster.userId === ctx.user.id)
  );
  const stale = wanted.filter((cluster) => needsLook(cluster, options.refresh, room));
  if (stale.length === 0) return wanted;
  ctx.log.status(spinning(`Refreshing status for ${plural(stale.length, "cluster")}`));
  const fresh = new Map<string, ClusterRecord | null>();
  const queue = [...stale];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let cluster = queue.shift(); cluster !== undefined; cluster = queue.shift()) {
      fresh.set(cluster.name, await refreshIfFree(cluster, ctx, room));
    }
  }));
  ctx.log.status(null);
  return wanted.flatMap((cluster) => fresh.has(cluster.name) ? fresh.get(cluster.name) ?? [] : cluster);
}

function needsLook(cluster: ClusterRecord, refresh: StatusOptions["refresh"], room: Room): boolean {
  if (refresh !== "AUTO") return refresh === "FORCE";
  const changes = cluster.resources.useSpot || cluster.status === "AUTOSTOPPING" ||
    (cluster.autostop.idleMinutes >= 0 && cluster.status !== "STOPPED");
  return changes && room.now() - (room.refreshed.get(cluster.hash) ?? 0) > FRESH_MS;
}

/** One look at every cluster that may change by itself; for the server's daemon. */
export async function refreshTick(signal: AbortSignal, room: Room): Promise<void> {
  const asker = serverAsker(room, signal);
  const queue = (await room.clusters.list())
    .filter(({ status }) => status !== "STOPPED" && status !== "AUTOSTOPPING");
  // Side by side: one that does not answer must not keep the others waiting.
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let cluster = queue.shift(); cluster !== undefined; cluster = queue.shift()) {
      signal.throwIfAborted();
      await refreshIfFree(cluster, asker, room);
    }
  }));
}

/** As `refreshCluster`, but the record as it is when somebody works on the cluster or its cloud cannot tell. */
export async function refreshIfFree(
  cluster: ClusterRecord,
  asker: Asker,
  room: Room,
): Promise<ClusterRecord | null> {
  const guard = room.guards.tryAcquire(cluster.name);
  using _held = guard;
  if (guard === null) return await room.clusters.get(cluster.name);
  try {
    const fresh = await refreshCluster(cluster, asker, room);
    if (fresh === null) asker.log.line(yellow(`Cluster terminated on the cloud: ${cluster.name}`));
    return fresh;
  } catch (error) {
    asker.signal.throwIfAborted();
    if (!isSkyError(error)) throw error;
    asker.log.line(
      yellow(`Cannot refresh cluster '${cluster.name}', showing its last status: ${error.message}`),
    );
    return await room.clusters.get(cluster.name);
  }
}

/**
 * Compare the record with its cloud and write down what changed; null if the cluster is gone. Throws network when
 * the cloud cannot tell. The caller holds the cluster's guard.
 */
export async function refreshCluster(
  cluster: ClusterRecord,
  asker: Asker,
  room: Room,
): Promise<ClusterRecord | null> {
  const nodes = await look(cluster, asker, room);
  if (nodes === null) {
    await letGo(cluster, asker, room);
    await forgetCluster(cluster, { reason: "All nodes terminated, cleaning up the cluster." }, room);
    return null;
  }
  room.refreshed.set(cluster.hash, room.now());
  const there = nodes.filter((node) => node.state !== "gone");
  const up = nodes.filter((node) => node.state === "up").length;
  // Nobody can tell about a node: then nobody may change what is written about the cluster.
  const lost = nodes.filter((node) => node.state === "unknown");
  if (lost.length > 0) return await noteUnreachable(cluster, { lost, asker }, room);
  if (up === cluster.numNodes && nodes.length === cluster.numNodes) return await noteHealthy(cluster, room);
  if (there.length === cluster.numNodes && there.every((node) => node.state === "stopped")) {
    if (cluster.status === "STOPPED") return cluster;
    await settleStopped(cluster, { reason: "All nodes stopped, cleaning up the cluster." }, room);
    return await room.clusters.get(cluster.name);
  }
  return await noteAbnormal(cluster, { there, up, asker }, room);
}

/** Nobody may change what is written about a cluster that can't be seen whole; that it is so is told. */
async function noteUnreachable(
  cluster: ClusterRecord,
  { lost, asker }: { lost: readonly NodeInfo[]; asker: Asker },
  room: Room,
): Promise<ClusterRecord> {
  const nodes = lost.map((node) => node.reason === null ? node.id : `${node.id} (${node.reason})`).join(", ");
  asker.log.line(
    yellow(`Cluster '${cluster.name}' is unreachable: ${nodes}. Showing its last status.`),
  );
  await room.clusters.addEvent(cluster, {
    reason: `Unreachable: ${lost.map((node) => node.id).join(", ")}`,
    type: "DEBUG",
    dedup: "equal",
  });
  return cluster;
}

/** The cloud frees what it had set aside for a cluster that is gone. */
async function letGo(cluster: ClusterRecord, asker: Asker, room: Room): Promise<void> {
  if (cluster.handle === null) return;
  const cloud = await cloudOf(cluster, room);
  await cloud.abandon?.(cluster.handle, cloudContext(cloud, asker, room));
}

/** The nodes, or null when two looks in a row found none left. */
async function look(cluster: ClusterRecord, asker: Asker, room: Room): Promise<readonly NodeInfo[] | null> {
  if (cluster.handle === null) return null;
  const cloud = await cloudOf(cluster, room);
  const ctx = cloudContext(cloud, asker, room);
  const first = await cloud.inspect(cluster.handle, ctx);
  if (first.some((node) => node.state !== "gone")) return first;
  await delay(PROOF_GAP_MS, { signal: asker.signal });
  const second = await cloud.inspect(cluster.handle, ctx);
  return second.some((node) => node.state !== "gone") ? second : null;
}

async function noteHealthy(cluster: ClusterRecord, room: Room): Promise<ClusterRecord | null> {
  if (cluster.status === "UP" || cluster.status === "AUTOSTOPPING") return cluster;
  await room.clusters.update(cluster, { status: "UP", everUp: true, launchReason: null }, {
    event: { reason: "All nodes up; SkyPilot runtime healthy.", endingStatus: "UP", dedup: "equal" },
  });
  return await room.clusters.get(cluster.name);
}

async function noteAbnormal(
  cluster: ClusterRecord,
  found: { there: readonly NodeInfo[]; up: number; asker: Asker },
  room: Room,
): Promise<ClusterRecord | null> {
  const reason = `Cluster is abnormal because ${abnormality(cluster, found)}. Transitioned to INIT.`;
  const headUp = found.there[0]?.state === "up";
  const { idleMinutes, down } = cluster.autostop;
  const cancelled = idleMinutes >= 0 && !headUp;
  await room.clusters.update(
    cluster,
    {
      status: "INIT",
      ...(cancelled ? { autostop: { ...cluster.autostop, idleMinutes: -1, down: false } } : {}),
    },
    { event: { reason, endingStatus: "INIT", dedup: "equal" } },
  );
  if (cancelled) {
    found.asker.log.line(
      yellow(
        `Canceled autostop on the cluster '${cluster.name}', since it is found to be in an abnormal state. ` +
          "To fix, try running: ",
      ) + bold(`sky start -f -i ${idleMinutes}${down ? " --down" : ""} ${cluster.name}`),
    );
  }
  return await room.clusters.get(cluster.name);
}

function abnormality(
  cluster: ClusterRecord,
  found: { there: readonly NodeInfo[]; up: number },
): string {
  if (found.there.length < cluster.numNodes) return "one or more nodes terminated";
  const why = found.there.find((node) => node.reason !== null)?.reason;
  return why ?? (found.up > 0 ? "some but not all nodes are stopped" : "its nodes are in unexpected states");
}
