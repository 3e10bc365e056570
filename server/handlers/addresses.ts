/**
 * IP addresses of clusters for tables and ssh config. Asked of the cloud once per incarnation and status, remembered
 * in memory; a cloud that cannot tell leaves them unknown.
 */
import type { Access } from "../../clouds/cloud.ts";
import { cloudContext, cloudOf, serverAsker } from "../../clusters/asker.ts";
import { nodesOf, type Room } from "../../clusters/mod.ts";
import type { ClusterRecord } from "../../core/cluster.ts";

/** `[internal, external]` per node, head first. */
export type Ips = readonly (readonly [string, string])[];

/** A cloud that is slow to tell does not hold up `sky status`. */
const PATIENCE_MS = 2000;

export class Addresses {
  readonly #known = new Map<string, { stamp: string; ips: Promise<Ips | null> }>();

  /** Null unless the cluster is up and its cloud tells. */
  async of(cluster: ClusterRecord, room: Room): Promise<Ips | null> {
    if (cluster.handle === null || !["UP", "AUTOSTOPPING"].includes(cluster.status)) {
      this.#known.delete(cluster.name);
      return null;
    }
    const stamp = `${cluster.hash}:${cluster.launchedAt}:${cluster.status}`;
    const known = this.#known.get(cluster.name);
    if (known?.stamp === stamp) return await known.ips;
    const ips = ask(cluster, room);
    this.#known.set(cluster.name, { stamp, ips });
    const found = await ips;
    if (found === null) this.#known.delete(cluster.name);
    return found;
  }
}

/** How people log in; null where they can't, or not now. Tells secrets: only for those who asked for them. */
export async function accessOf(cluster: ClusterRecord, room: Room): Promise<Access | null> {
  if (cluster.handle === null || !["UP", "AUTOSTOPPING"].includes(cluster.status)) return null;
  const cloud = await cloudOf(cluster, room);
  const ctx = cloudContext(cloud, serverAsker(room, new AbortController().signal), room);
  return await cloud.access?.(cluster.handle, ctx) ?? null;
}

async function ask(cluster: ClusterRecord, room: Room): Promise<Ips | null> {
  // Known without the nodes: they may be out of reach at the moment.
  const access = await accessOf(cluster, room);
  if (access !== null) return access.nodes.map((node) => [node.internalIp, node.host] as const);
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), PATIENCE_MS);
  try {
    const nodes = await nodesOf(cluster, serverAsker(room, limit.signal), room);
    if (nodes.length === 0) return null;
    return nodes.map((node) => [node.internalIp, node.externalIp ?? node.internalIp] as const);
  } catch (error) {
    if (limit.signal.aborted) return null; // the status is shown all the same, without addresses
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
