/** The `exec` verb (domain.md §4.4): a job on a cluster that is up; no provisioning, no file mounts, no setup. */
import type { ClusterRecord } from "../core/cluster.ts";
import type { Context } from "../core/context.ts";
import { SkyError } from "../core/errors.ts";
import { checkNotReserved } from "../core/names.ts";
import { fittingCandidate } from "../core/resources_match.ts";
import type { Task } from "../core/task.ts";
import { needCluster, needUp } from "./find.ts";
import type { Launched } from "./launch.ts";
import type { Room } from "./room.ts";
import { FRESH_MS, refreshCluster } from "./status.ts";
import { submitJob } from "./submit.ts";
import { syncFiles } from "./sync.ts";

export interface ExecOptions {
  readonly clusterName: string;
  readonly dryrun: boolean;
}

/** Throws cluster_not_found, cluster_not_up, resources_mismatch, file_not_found. */
export async function exec(task: Task, options: ExecOptions, ctx: Context, room: Room): Promise<Launched> {
  const { clusterName } = options;
  checkNotReserved(clusterName, "Executing task");
  checkExecutable(await needCluster(clusterName, ctx, room));
  using _guard = await room.guards.acquire(clusterName, ctx.signal);
  const cluster = await present(await needCluster(clusterName, ctx, room), ctx, room);
  checkExecutable(cluster);
  const wish = fittingCandidate(task, cluster, { checkPorts: true });
  if (options.dryrun) {
    ctx.log.line("Dryrun finished.");
    return { jobId: null, cluster };
  }
  await ctx.step("sync", () => syncFiles(task, { cluster, fileMounts: false }, ctx, room));
  const jobId = await submitJob(task, { cluster, wish, setup: false }, ctx, room);
  return { jobId, cluster };
}

function checkExecutable(cluster: ClusterRecord): void {
  const { name, status } = cluster;
  if (status === "AUTOSTOPPING") {
    throw new SkyError(
      "cluster_not_up",
      `Cannot execute on cluster '${name}': cluster is autostopping. Please wait for autostop to complete, ` +
        `then use \`sky start ${name}\` to restart.`,
      { details: { clusterStatus: status } },
    );
  }
  needUp(cluster, "Executing tasks");
}

/** The cluster as it is now, its machines proven to be there. Throws cluster_not_found, network. */
async function present(cluster: ClusterRecord, ctx: Context, room: Room): Promise<ClusterRecord> {
  if (room.now() - (room.refreshed.get(cluster.hash) ?? 0) <= FRESH_MS) return cluster;
  const fresh = await refreshCluster(cluster, ctx, room);
  if (fresh !== null) return fresh;
  const how = cluster.resources.useSpot || cluster.autostop.down
    ? "It was either preempted, autodowned, or manually terminated in console."
    : "It was likely manually terminated in console.";
  throw new SkyError(
    "cluster_not_found",
    `Cluster '${cluster.name}' not found on the cloud provider. ${how}`,
  );
}
