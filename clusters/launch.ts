/**
 * The `launch` verb (domain.md §4.4, §4.5): optimise, provision, sync, setup, autostop, submit, as steps that a
 * resumed request does not repeat. Leaves machines to provision.ts, jobs to submit.ts and the keeper.
 */

import {
  checkClusterName,
  type ClusterRecord,
  type LaunchedResources,
  type WaitFor,
} from "../core/cluster.ts";
import type { Context } from "../core/context.ts";
import { isSkyError, SkyError } from "../core/errors.ts";
import { checkNotReserved } from "../core/names.ts";
import { portsWithin } from "../core/ports.ts";
import { newResources, reprResources, type Resources } from "../core/resources.ts";
import { fits, fittingCandidate } from "../core/resources_match.ts";
import type { Task } from "../core/task.ts";
import { cloudOf } from "./asker.ts";
import { applyAutostop, atLeastOneMinute, autostopWish } from "./autostop.ts";
import { enterCluster } from "./enter.ts";
import { checkWorkspace } from "./find.ts";
import { finishing } from "./lines.ts";
import { planTask } from "./optimize.ts";
import {
  blockedBy,
  NO_AUTOSTOP,
  provisionExisting,
  provisionNew,
  type ProvisionOptions,
} from "./provision.ts";
import type { Room } from "./room.ts";
import { refreshCluster } from "./status.ts";
import { submitJob } from "./submit.ts";
import { checkSources, syncFiles } from "./sync.ts";
import { undo } from "./undo.ts";

export interface LaunchOptions {
  readonly clusterName: string;
  readonly retryUntilUp: boolean;
  /** Minutes; null: as the task says. Negative cancels. */
  readonly idleMinutes: number | null;
  readonly waitFor: WaitFor | null;
  readonly down: boolean;
  readonly dryrun: boolean;
  readonly noSetup: boolean;
  readonly fast: boolean;
  readonly quietOptimizer: boolean;
}

export interface Launched {
  /** Null: nothing to run, or a dry run. */
  readonly jobId: number | null;
  /** Null for a dry run of a new cluster. */
  readonly cluster: ClusterRecord | null;
}

interface BroughtUp {
  readonly hash: string;
  /** `--fast` found it as it was: setup is not run again. */
  readonly asBefore: boolean;
}

/** Throws resources_unavailable, resources_mismatch, cluster_owner_mismatch, not_supported, file_not_found. */
export async function launch(
  task: Task,
  options: LaunchOptions,
  ctx: Context,
  room: Room,
): Promise<Launched> {
  checkClusterName(options.clusterName);
  checkNotReserved(options.clusterName, "Launching tasks");
  if (options.dryrun) return await dryRun(task, options, ctx, room);
  await checkSources(task);
  using _guard = await enterCluster(options.clusterName, ctx, room);
  const up = await ctx.step("provision", () => bringUp(task, options, ctx, room));
  const cluster = await room.clusters.get(options.clusterName);
  if (cluster === null || cluster.hash !== up.hash) {
    throw new SkyError(
      "cluster_not_found",
      `Cluster '${options.clusterName}' was removed while it was launched`,
    );
  }
  await ctx.step("sync", () => syncFiles(task, { cluster, fileMounts: true }, ctx, room));
  await ctx.step("autostop", async () => {
    const wish = autostopWish(task, options);
    if (wish === null) return;
    await applyAutostop(cluster, atLeastOneMinute(wish, (line) => ctx.log.line(line)), ctx, room);
  });
  const setup = task.setup !== null && !options.noSetup && !up.asBefore;
  if (setup) ctx.log.line(finishing("Setup detached."));
  else if (task.setup !== null && options.noSetup) ctx.log.line("Setup commands skipped.");
  const jobId = await submitJob(task, { cluster, wish: servedWish(task, cluster), setup }, ctx, room);
  ctx.log.line(""); // Every client shows it: it sets the job's log apart (cli.md §3.1).
  return { jobId, cluster: await room.clusters.get(options.clusterName) ?? cluster };
}

/** Make sure the cluster is UP; what was there decides how. */
async function bringUp(task: Task, options: LaunchOptions, ctx: Context, room: Room): Promise<BroughtUp> {
  const { dumpTask, redactTask, redactYaml } = await import("../core/task_yaml.ts");
  const wish = autostopWish(task, options);
  const provision: ProvisionOptions = {
    clusterName: options.clusterName,
    retryUntilUp: options.retryUntilUp,
    quietOptimizer: options.quietOptimizer,
    needsStop: wish !== null && wish.idleMinutes >= 0 && !wish.down,
    creationYaml: task.userYaml === null ? dumpTask(redactTask(task)) : redactYaml(task.userYaml),
  };
  const existing = await room.clusters.get(options.clusterName);
  if (existing === null || existing.hash === ctx.requestId) {
    return await finished(await provisionNew(task, provision, ctx, room), task, ctx, room);
  }
  checkWorkspace(existing, ctx);
  const cluster = await refreshCluster(existing, ctx, room);
  if (cluster === null) {
    ctx.log.line(
      `The cluster '${existing.name}' (status: ${existing.status}) was not found on the cloud: it may be autodowned, ` +
        "manually terminated, or its launch never succeeded. Provisioning a new cluster by using the same resources " +
        "as its original launch.",
    );
    const same: Task = { ...task, numNodes: existing.numNodes, resources: sameAs(existing.resources) };
    return await finished(await provisionNew(same, provision, ctx, room), task, ctx, room);
  }
  checkPlace(task, cluster);
  const served = fittingCandidate(task, cluster);
  if (options.fast && cluster.status === "UP" && cluster.configHash === await configHash(task, cluster)) {
    await room.clusters.update(cluster, { lastUse: ctx.command });
    return { hash: cluster.hash, asBefore: true };
  }
  const opened = await openPorts(cluster, served, room);
  return await finished(await reuse(task, opened, { options, provision }, ctx, room), task, ctx, room);
}

/** The same machines again; a cluster that never was UP may go elsewhere when its place has none. */
async function reuse(
  task: Task,
  cluster: ClusterRecord,
  how: { options: LaunchOptions; provision: ProvisionOptions },
  ctx: Context,
  room: Room,
): Promise<ClusterRecord> {
  const wasUp = cluster.status === "UP";
  const begun: ClusterRecord = {
    ...cluster,
    launchedAt: ctx.now(),
    lastUse: ctx.command,
    ...(wasUp ? {} : {
      lastCreationYaml: how.provision.creationYaml,
      lastCreationCommand: ctx.command,
    }),
    ...(cluster.status === "STOPPED" ? { autostop: { ...NO_AUTOSTOP, setAt: ctx.now() } } : {}),
  };
  const once: ProvisionOptions = cluster.everUp ? how.provision : { ...how.provision, retryUntilUp: false };
  try {
    return await provisionExisting(begun, once, ctx, room);
  } catch (error) {
    if (cluster.everUp || !isSkyError(error, "resources_unavailable")) throw error;
    await undo(begun, ctx, room);
    await room.clusters.delete(begun);
    const blocked = [blockedBy(cluster.resources, error)];
    return await provisionNew(task, { ...how.provision, blocked }, ctx, room);
  }
}

async function finished(cluster: ClusterRecord, task: Task, ctx: Context, room: Room): Promise<BroughtUp> {
  await room.clusters.update(cluster, {
    configHash: await configHash(task, cluster),
    lastActiveAt: ctx.now(),
  });
  return { hash: cluster.hash, asBefore: false };
}

/** What `--fast` compares: the machines, and how they were prepared. */
async function configHash(task: Task, cluster: ClusterRecord): Promise<string> {
  const { resources, numNodes } = cluster;
  return await sha256(JSON.stringify([resources, numNodes, task.setup, task.fileMounts]));
}

/** The candidate that the cluster serves: what the job may use of it. */
function servedWish(task: Task, cluster: ClusterRecord): Resources {
  const served = task.resources.candidates.find((wish) => fits(wish, cluster.resources));
  return served ?? task.resources.candidates[0] ?? newResources();
}

function checkPlace(task: Task, cluster: ClusterRecord): void {
  const [wish] = task.resources.candidates;
  const { region } = cluster.resources;
  if (task.resources.candidates.length !== 1 || wish === undefined || wish.region === null) return;
  if (wish.region === region || (wish.cloud !== null && wish.cloud !== cluster.resources.cloud)) return;
  throw new SkyError(
    "resources_mismatch",
    `Task requested resources ${
      reprResources(wish)
    } in region '${wish.region}', but the existing cluster is ` +
      `in region '${region}'.`,
  );
}

async function openPorts(cluster: ClusterRecord, wish: Resources, room: Room): Promise<ClusterRecord> {
  const missing = (wish.ports ?? []).filter((port) => !portsWithin([port], cluster.resources.ports));
  if (missing.length === 0) return cluster;
  const cloud = await cloudOf(cluster, room);
  if (!cloud.capabilities.ports) {
    throw new SkyError("not_supported", `Opening ports is not supported on ${cloud.displayName}`);
  }
  const resources = { ...cluster.resources, ports: [...cluster.resources.ports, ...missing] };
  await room.clusters.update(cluster, { resources });
  return { ...cluster, resources };
}

function sameAs(launched: LaunchedResources): Task["resources"] {
  const { cloud, region, zone, instanceType, accelerators, useSpot, diskSize, ports } = launched;
  const wish = { cloud, region, zone, instanceType, accelerators, useSpot, diskSize };
  return { kind: "any_of", candidates: [newResources(ports.length > 0 ? { ...wish, ports } : wish)] };
}

async function dryRun(task: Task, options: LaunchOptions, ctx: Context, room: Room): Promise<Launched> {
  const existing = await room.clusters.get(options.clusterName);
  if (existing === null) {
    await planTask(task, { quiet: options.quietOptimizer }, ctx, room);
    ctx.log.line("Dryrun finished.");
    return { jobId: null, cluster: null };
  }
  checkWorkspace(existing, ctx);
  fittingCandidate(task, existing);
  const { dumpTask, redactTask } = await import("../core/task_yaml.ts");
  const shown = dumpTask(redactTask({ ...task, userYaml: null })).trimEnd();
  ctx.log.line(`Dryrun complete. Would have run:\n${shown}`);
  return { jobId: null, cluster: existing };
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
