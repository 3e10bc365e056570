/** A cluster's machines are gone or stopped: what follows for its jobs, logs and record. Never touches a cloud. */
import type { ClusterRecord } from "../core/cluster.ts";
import type { NewEvent } from "../state/clusters.ts";
import { abandonJobs } from "./jobs.ts";
import { clusterFolder } from "./folders.ts";
import type { Room } from "./room.ts";

/** Its machines are gone: the record goes, history and events stay. */
export async function forgetCluster(
  cluster: ClusterRecord,
  event: NewEvent,
  room: Room,
): Promise<void> {
  await room.keepers.release(cluster.hash);
  await abandonJobs(cluster.hash, room);
  await room.clusters.delete(cluster, { type: "STATUS_CHANGE", ...event });
  await room.jobs.deleteAll(cluster.hash);
  room.refreshed.delete(cluster.hash);
  await removeFolder(clusterFolder(cluster.hash, room));
}

/** Its machines are stopped: no job survives that, and autostop is over. */
export async function settleStopped(
  cluster: ClusterRecord,
  event: NewEvent,
  room: Room,
): Promise<void> {
  await room.keepers.release(cluster.hash);
  await abandonJobs(cluster.hash, room);
  await room.clusters.update(cluster, { status: "STOPPED", launchReason: null }, {
    event: { type: "STATUS_CHANGE", endingStatus: "STOPPED", ...event },
  });
}

async function removeFolder(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // it never had a job
  }
}
