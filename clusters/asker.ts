/** On whose behalf a cloud is asked: a request's, or the server's own. Makes what clouds are given. */
import { join } from "@std/path";
import type { Cloud, CloudContext } from "../clouds/cloud.ts";
import type { ClusterRecord } from "../core/cluster.ts";
import type { SkyConfig } from "../core/config.ts";
import type { Log } from "../core/context.ts";
import type { Room } from "./room.ts";

/** Who asks a cloud: a request's context, or the server itself. */
export interface Asker {
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly config: SkyConfig;
  /** Null for the server itself. */
  readonly requestId: string | null;
  now(): number;
}

/** The server asking for itself: nobody reads along. */
export function serverAsker(room: Room, signal: AbortSignal): Asker {
  const silent: Log = { line: () => {}, status: () => {} };
  return { signal, log: silent, config: room.config, requestId: null, now: room.now };
}

/** Where a cloud keeps its things. */
export function cloudFolder(cloud: Cloud, room: Pick<Room, "home">): string {
  return cloud.name === "local" ? room.home.nodes : join(room.home.root, "clouds", cloud.name);
}

/** What a cloud is given. */
export function cloudContext(cloud: Cloud, asker: Asker, room: Room): CloudContext {
  const folder = cloudFolder(cloud, room);
  const { config, signal, log, now, requestId } = asker;
  const processes = requestId === null ? null : join(room.home.root, "processes", requestId);
  return { folder, config, signal, log, env: room.env, processes, now };
}

/** The cloud of a cluster. */
export function cloudOf(cluster: ClusterRecord, room: Room): Promise<Cloud> {
  return room.clouds.load(cluster.resources.cloud);
}
