/** Verbs that only look: events of a cluster, its endpoints, its addresses. */
import type { NodeInfo } from "../clouds/cloud.ts";
import { yellow } from "../core/ansi.ts";
import type { ClusterRecord } from "../core/cluster.ts";
import type { Context } from "../core/context.ts";
import { SkyError } from "../core/errors.ts";
import { portsWithin } from "../core/ports.ts";
import type { ClusterEvent, ClusterEventRow } from "../state/clusters.ts";
import { type Asker, cloudContext, cloudOf } from "./asker.ts";
import { needCluster, needUp } from "./find.ts";
import type { Room } from "./room.ts";

export interface EventOptions {
  readonly types: readonly ClusterEvent["type"][];
  /** The newest so many; null for all. */
  readonly limit: number | null;
}

/** Oldest first. By name: of all its incarnations. */
export async function clusterEvents(
  of: { readonly name: string } | { readonly hash: string },
  options: EventOptions,
  room: Room,
): Promise<ClusterEventRow[]> {
  const { types, limit } = options;
  return await room.clusters.events(of, { types, ...(limit === null ? {} : { limit }) });
}

/** Port → address. `port` null: all that the cluster was launched with. Throws invalid_argument for a closed one. */
export async function endpoints(
  clusterName: string,
  port: string | null,
  ctx: Context,
  room: Room,
): Promise<Record<string, string>> {
  const cluster = await needCluster(clusterName, ctx, room);
  needUp(cluster, "Querying endpoints");
  const { ports } = cluster.resources;
  if (port !== null && !portsWithin([port], ports)) {
    throw new SkyError("invalid_argument", `Port ${port} is not exposed on cluster '${clusterName}'.`);
  }
  if (ports.length === 0) {
    ctx.log.line(yellow(`Cluster '${clusterName}' does not have any ports to be exposed.`));
  }
  const wanted = port === null ? ports : [port];
  const cloud = await cloudOf(cluster, room);
  if (wanted.length === 0 || cloud.endpoints === undefined || cluster.handle === null) return {};
  return await cloud.endpoints(cluster.handle, wanted, cloudContext(cloud, ctx, room));
}

/** The nodes of a cluster with their addresses, head first; empty when its cloud cannot tell now. */
export async function nodesOf(
  cluster: ClusterRecord,
  asker: Asker,
  room: Room,
): Promise<readonly NodeInfo[]> {
  if (cluster.handle === null) return [];
  const cloud = await cloudOf(cluster, room);
  try {
    return await cloud.inspect(cluster.handle, cloudContext(cloud, asker, room));
  } catch (error) {
    asker.signal.throwIfAborted();
    // Addresses are for showing: an unreachable cloud leaves them blank.
    if (!(error instanceof SkyError)) throw error;
    return [];
  }
}
