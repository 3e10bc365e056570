/**
 * After a start of the server: every job that is not over gets its keeper back, which finds out from the job
 * directories what became of it. Running jobs are not disturbed. Requests recover by themselves (requests/).
 */
import { delay } from "@std/async/delay";
import type { ClusterRecord } from "../core/cluster.ts";
import { abandonJobs } from "./jobs.ts";
import type { Room } from "./room.ts";

/** A cluster that cannot be reached is waited for in the background. */
const PATIENCE_MS = 1000;

/** Resolves when the jobs of all reachable clusters are looked after. */
export async function recoverJobs(room: Room): Promise<void> {
  const hashes = new Set((await room.jobs.active()).map((job) => job.clusterHash));
  if (hashes.size === 0) return;
  const clusters = await room.clusters.list();
  const waking = [...hashes].map((hash) => wakeOne(hash, { clusters, room }));
  const late = new AbortController();
  const patience = delay(PATIENCE_MS, { signal: late.signal }).catch(() => {});
  await Promise.race([Promise.all(waking), patience]);
  late.abort();
}

async function wakeOne(
  hash: string,
  options: { clusters: readonly ClusterRecord[]; room: Room },
): Promise<void> {
  const { room } = options;
  const cluster = options.clusters.find((record) => record.hash === hash);
  try {
    // Without running machines there is nothing to look after: a stop or down was cut short after the kill.
    if (cluster === undefined || cluster.handle === null || cluster.status === "STOPPED") {
      await abandonJobs(hash, room);
      if (cluster === undefined) await room.jobs.deleteAll(hash);
    } else {
      await (await room.keepers.of(cluster)).wake();
    }
  } catch (error) {
    room.onFault(error, `the jobs of cluster ${cluster?.name ?? hash}`);
  }
}
