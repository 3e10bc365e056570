/**
 * From a wish to machines (domain.md §2.6, §4.4): the record is written before and after every act, so that a crash
 * never loses a machine; what fails is taken down before the next place is tried. Leaves choosing to optimize.ts.
 */
import { delay } from "@std/async/delay";
import { yellow } from "../core/ansi.ts";
import type { Autostop, ClusterRecord, LaunchedResources } from "../core/cluster.ts";
import type { Context } from "../core/context.ts";
import { describe, isSkyError, SkyError } from "../core/errors.ts";
import { plural } from "../core/format.ts";
import { nameOnCloud } from "../core/names.ts";
import type { Task } from "../core/task.ts";
import { type Attempt, finalFailure, nodesUpText, placeText } from "./attempts.ts";
import { branch, failing, finishing, provisionHint, retrying, spinning, starting } from "./lines.ts";
import { type Blocked, planTask } from "./optimize.ts";
import { cloudContext, cloudOf } from "./asker.ts";
import type { Room } from "./room.ts";
import { undo } from "./undo.ts";

export interface ProvisionOptions {
  readonly clusterName: string;
  readonly retryUntilUp: boolean;
  readonly quietOptimizer: boolean;
  /** The cloud must be able to stop it by itself. */
  readonly needsStop: boolean;
  /** What the record keeps of how it came to be; secrets redacted. */
  readonly creationYaml: string | null;
  /** Places not to try. */
  readonly blocked?: readonly Blocked[];
}

export const NO_AUTOSTOP: Autostop = { idleMinutes: -1, down: false, waitFor: "jobs_and_ssh", setAt: 0 };

const RETRY_GAP_MS = 30_000;

/** Make a new cluster, place after place. Throws resources_unavailable with the failed places in its details. */
export async function provisionNew(
  task: Task,
  options: ProvisionOptions,
  ctx: Context,
  room: Room,
): Promise<ClusterRecord> {
  return await untilUp(options, ctx, room, () => tryPlaces(task, options, ctx, room));
}

/** Machines for a record that has a place: missing ones are made, stopped ones started. No other place is tried. */
export async function provisionExisting(
  cluster: ClusterRecord,
  options: ProvisionOptions,
  ctx: Context,
  room: Room,
): Promise<ClusterRecord> {
  const before = cluster.status;
  return await untilUp(options, ctx, room, async () => {
    try {
      return await provisionAt(cluster, options, ctx, room);
    } catch (error) {
      if (!isPlaceFailure(error, ctx)) throw error;
      const attempt: Attempt = { resources: cluster.resources, error };
      throw new SkyError(
        "resources_unavailable",
        `Failed to launch cluster '${cluster.name}' (previous status: ${before}). ` +
          `To retry launching the cluster, run: sky start ${cluster.name}\n${describe(error)}`,
        { details: { failoverHistory: [describe(error)], attempts: [attempt.resources] }, cause: error },
      );
    }
  });
}

/** With `--retry-until-up`, again and again; only a request that nothing could ever meet ends it. */
async function untilUp(
  options: ProvisionOptions,
  ctx: Context,
  room: Room,
  work: () => Promise<ClusterRecord>,
): Promise<ClusterRecord> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const tried = isSkyError(error, "resources_unavailable") && Array.isArray(error.details["attempts"]);
      if (!tried) throw error;
      ctx.log.status(null);
      const hint = provisionHint(options.clusterName);
      ctx.log.line(failing("Failed to provision resources.", hint));
      if (!options.retryUntilUp) throw error;
      ctx.log.line(retrying("Retry after 30s", hint));
    }
    await noteRetry(options.clusterName, ctx, room);
    await delay(RETRY_GAP_MS, { signal: ctx.signal });
  }
}

async function noteRetry(name: string, ctx: Context, room: Room): Promise<void> {
  const cluster = await room.clusters.get(name);
  if (cluster === null) return;
  const reason = "Retrying provisioning after 30s";
  await room.clusters.update(cluster, { launchReason: reason }, {
    event: { reason, requestId: ctx.requestId },
  });
}

async function tryPlaces(
  task: Task,
  options: ProvisionOptions,
  ctx: Context,
  room: Room,
): Promise<ClusterRecord> {
  const blocked: Blocked[] = [...options.blocked ?? []];
  const attempts: Attempt[] = [];
  // Our earlier self, cut short by a restart, may have machines there already.
  let resumed = await ownRecord(options.clusterName, ctx, room);
  for (let quiet = options.quietOptimizer;;) {
    let resources = resumed?.resources ?? null;
    if (resources === null) {
      const plan = await planTask(task, { quiet, blocked }, ctx, room);
      if (plan === null) break;
      resources = plan.chosen.resources;
    }
    const cluster = await recordFor(task, { ...options, resources }, ctx, room);
    resumed = null;
    try {
      return await provisionAt(cluster, options, ctx, room);
    } catch (error) {
      if (!isPlaceFailure(error, ctx)) throw error;
      ctx.log.status(null);
      ctx.log.line(yellow(error.message));
      attempts.push({ resources, error });
      blocked.push(blockedBy(resources, error));
      await noteFailure(cluster, error, ctx, room);
      await undo(cluster, ctx, room);
    }
    quiet = false;
    ctx.log.line("");
    ctx.log.line(retrying("Trying other potential resources."));
  }
  const last = await ownRecord(options.clusterName, ctx, room);
  if (last !== null && !options.retryUntilUp) await room.clusters.delete(last);
  throw finalFailure(task, attempts);
}

/** Nodes of a record: announce, save, act, save. */
async function provisionAt(
  cluster: ClusterRecord,
  options: ProvisionOptions,
  ctx: Context,
  room: Room,
): Promise<ClusterRecord> {
  const cloud = await cloudOf(cluster, room);
  if (options.needsStop && !cloud.capabilities.stop) {
    throw new SkyError("not_supported", `Autostop is not supported on ${cloud.displayName}`);
  }
  const { name, numNodes, resources } = cluster;
  const spec = {
    nameOnCloud: cluster.nameOnCloud,
    clusterName: name,
    numNodes,
    resources,
    previous: cluster.handle,
  };
  const where = placeText(resources);
  ctx.log.line(starting(`Launching on ${where.line}.`));
  ctx.log.status(spinning("Launching", name));
  // A cluster that is up stays so while it is looked over: its jobs and logs remain reachable.
  const status = cluster.status === "UP" ? "UP" : "INIT";
  const begun: ClusterRecord = {
    ...cluster,
    status,
    statusUpdatedAt: status === cluster.status ? cluster.statusUpdatedAt : ctx.now(),
    handle: cluster.handle ?? cloud.prepare(spec),
    launchReason: status === "UP" ? null : `Provisioning on ${where.event}`,
  };
  await save(begun, `Provisioning on ${where.event}`, ctx, room);
  room.failpoint("before_provision");
  const handle = await cloud.provision(spec, cloudContext(cloud, ctx, room));
  room.failpoint("after_provision");
  const made: ClusterRecord = { ...begun, handle };
  await save(made, `Instances launched on ${where.event}`, ctx, room);
  ctx.log.status(null);
  ctx.log.line(branch(nodesUpText(resources.cloud, numNodes), { last: true }));
  if (JSON.stringify(handle) !== JSON.stringify(cluster.handle)) await room.keepers.release(cluster.hash);
  const up: ClusterRecord = {
    ...made,
    status: "UP",
    statusUpdatedAt: status === "UP" ? made.statusUpdatedAt : ctx.now(),
    everUp: true,
    launchReason: null,
  };
  await save(up, `Cluster successfully provisioned with ${plural(numNodes, "node")}`, ctx, room);
  room.refreshed.set(up.hash, room.now());
  ctx.log.line(finishing(`Cluster launched: ${name}.`, provisionHint(name)));
  return up;
}

async function save(cluster: ClusterRecord, reason: string, ctx: Context, room: Room): Promise<void> {
  const event = { reason, endingStatus: cluster.status, requestId: ctx.requestId };
  if (await room.clusters.upsert(cluster, event)) return;
  throw new SkyError("internal", `Cannot launch cluster '${cluster.name}': its name was taken meanwhile`);
}

/** The record this very request has made, null if it made none. The hash of a new cluster is its request's id. */
async function ownRecord(name: string, ctx: Context, room: Room): Promise<ClusterRecord | null> {
  const cluster = await room.clusters.get(name);
  return cluster?.hash === ctx.requestId ? cluster : null;
}

async function recordFor(
  task: Task,
  options: ProvisionOptions & { resources: LaunchedResources },
  ctx: Context,
  room: Room,
): Promise<ClusterRecord> {
  const own = await ownRecord(options.clusterName, ctx, room);
  const same = own !== null && JSON.stringify(own.resources) === JSON.stringify(options.resources);
  if (same) return own;
  const cloud = await room.clouds.load(options.resources.cloud);
  return {
    name: options.clusterName,
    hash: ctx.requestId,
    nameOnCloud: nameOnCloud(options.clusterName, { userHash: ctx.user.id, limit: cloud.nameLimit }),
    status: "INIT",
    statusUpdatedAt: ctx.now(),
    launchedAt: own?.launchedAt ?? ctx.now(),
    everUp: false,
    numNodes: task.numNodes,
    resources: options.resources,
    handle: null,
    autostop: { ...NO_AUTOSTOP, setAt: ctx.now() },
    lastActiveAt: ctx.now(),
    userId: ctx.user.id,
    userName: ctx.user.name,
    workspace: ctx.workspace,
    lastUse: ctx.command,
    lastEvent: null,
    launchReason: null,
    lastCreationYaml: options.creationYaml,
    lastCreationCommand: ctx.command,
    configHash: null,
  };
}

/** True for errors that speak of the place, not of us: then another may do better. */
export function isPlaceFailure(error: unknown, ctx: Context): error is SkyError {
  if (ctx.signal.aborted || !isSkyError(error)) return false;
  return !["request_cancelled", "request_interrupted", "disk_full", "internal"].includes(error.code);
}

export function blockedBy(resources: LaunchedResources, error: SkyError): Blocked {
  const { cloud, region, zone, instanceType, accelerators, useSpot } = resources;
  const everywhere = ["not_supported", "invalid_cluster_name", "permission_denied", "auth_required"];
  if (everywhere.includes(error.code)) {
    return { cloud, region: null, zone: null, instanceType: null, accelerators: null, useSpot: null };
  }
  return { cloud, region, zone, instanceType, accelerators, useSpot };
}

async function noteFailure(
  cluster: ClusterRecord,
  error: SkyError,
  ctx: Context,
  room: Room,
): Promise<void> {
  await room.clusters.addEvent(cluster, {
    reason: `Provision failed: ${error.message}`,
    requestId: ctx.requestId,
  });
}
