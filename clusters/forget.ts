/** A cluster's machines are gone or stopped: what follows for its jobs, logs and record. Never touches a cloud. */
import type { ClusterRecord } from "../core/cluster.ts";
import type { NewEvent } from "../state/clusters.ts";
import { abandonJobs } from "./jobs.ts";
import { clusterFolder } from "./folders.ts";
import type { Room } from "./room.ts";

const KEPT_MS = 10 * 60_000;

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
  room.guarded.delete(cluster.hash);
  await leaveFolder(clusterFolder(cluster.hash, room), room);
}

/** Its machines are stopped: no job survives that, and autostop is over. */
export async function settleStopped(
  cluster: ClusterRecord,
  event: NewEvent,
  room: Room,
): Promise<void> {
  await room.keepers.release(cluster.hash);
  await abandonJobs(cluster.hash, room);
  room.guarded.delete(cluster.hash);
  await room.clusters.update(cluster, { status: "STOPPED", launchReason: null }, {
    event: { type: "STATUS_CHANGE", endingStatus: "STOPPED", ...event },
  });
}

/** Its logs stay a while for those who are reading them; the age counts from now. */
async function leaveFolder(path: string, room: Room): Promise<void> {
  const now = new Date(room.now());
  try {
    await Deno.utime(path, now, now);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // it never had a job
  }
}

/** Delete the logs of clusters that are gone for some minutes. */
export async function sweepFolders(room: Room): Promise<void> {
  const present = new Set((await room.clusters.list()).map((cluster) => cluster.hash));
  let entries: Deno.DirEntry[];
  try {
    entries = await Array.fromAsync(Deno.readDir(room.home.clusters));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return; // no cluster ever had a job
    throw error;
  }
  for (const { name } of entries) {
    if (present.has(name)) continue;
    const path = clusterFolder(name, room);
    const { mtime } = await Deno.stat(path);
    if (mtime !== null && room.now() - mtime.getTime() < KEPT_MS) continue;
    await Deno.remove(path, { recursive: true });
  }
}
