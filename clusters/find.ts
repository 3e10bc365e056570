/** Clusters by name, and the errors for those that are missing, foreign or not up (cli.md §3.2). */
import { bold, yellow } from "../core/ansi.ts";
import type { ClusterRecord } from "../core/cluster.ts";
import type { Context } from "../core/context.ts";
import { SkyError } from "../core/errors.ts";
import type { Room } from "./room.ts";

/** The first words of a not-up message. */
export type Operation =
  | "Executing tasks"
  | "Tailing logs"
  | "Getting the job queue"
  | "Getting job status"
  | "Cancelling jobs"
  | "Scheduling autostop"
  | "Scheduling autodown"
  | "Cancelling auto{stop,down}"
  | "Querying endpoints";

/** Throws cluster_not_found, or cluster_owner_mismatch for one of another workspace. */
export async function needCluster(
  name: string,
  ctx: Pick<Context, "workspace">,
  room: Room,
): Promise<ClusterRecord> {
  const cluster = await room.clusters.get(name);
  if (cluster === null) throw notFound(name);
  checkWorkspace(cluster, ctx);
  return cluster;
}

export function notFound(name: string): SkyError {
  return new SkyError("cluster_not_found", yellow(`Cluster '${name}' does not exist.`));
}

export function checkWorkspace(cluster: ClusterRecord, ctx: Pick<Context, "workspace">): void {
  if (cluster.workspace === ctx.workspace) return;
  throw new SkyError(
    "cluster_owner_mismatch",
    `The cluster '${cluster.name}' is in workspace '${cluster.workspace}', ` +
      `but the active workspace is '${ctx.workspace}'.`,
  );
}

/** Throws cluster_not_up unless jobs can be asked about on it. */
export function needUp(cluster: ClusterRecord, operation: Operation): void {
  if (cluster.status === "UP" || cluster.status === "AUTOSTOPPING") return;
  const hint = cluster.status === "INIT"
    ? " Wait for a launch to finish, or use this command to try to transition the cluster to UP: " +
      bold(`sky start ${cluster.name}`)
    : "";
  throw new SkyError(
    "cluster_not_up",
    yellow(
      `${operation}: skipped for cluster '${cluster.name}' (status: ${cluster.status}). ` +
        `It is only allowed for UP and AUTOSTOPPING clusters.`,
    ) + hint,
    { details: { clusterStatus: cluster.status } },
  );
}
