/** Handlers about clusters: wire bodies to verbs of clusters/, records to views. snake_case ends here. */
import type { ClusterView, LaunchResult } from "../../api/clusters.ts";
import { down, exec, launch, type Launched, setAutostop, start, status, stop } from "../../clusters/mod.ts";
import type { ClusterRecord } from "../../core/cluster.ts";
import { SkyError } from "../../core/errors.ts";
import { accessOf } from "./addresses.ts";
import type { HandlersOf, World } from "./handler.ts";
import { clusterView, credentialsView, handleView } from "./views.ts";

export const clusterHandlers: HandlersOf<
  "launch" | "exec" | "start" | "stop" | "down" | "autostop" | "status"
> = {
  async launch(body, ctx, world) {
    checkBackend(body.backend);
    if (body.clone_disk_from !== null) throw notSupported("Cloning the disk of another cluster");
    const { taskOf } = await import("./task_text.ts");
    const launched = await launch(
      taskOf(body.task, body, { ctx, world }),
      {
        clusterName: body.cluster_name,
        retryUntilUp: body.retry_until_up,
        idleMinutes: body.idle_minutes_to_autostop,
        waitFor: null,
        down: body.down,
        dryrun: body.dryrun,
        noSetup: body.no_setup,
        fast: body.fast,
        quietOptimizer: body.quiet_optimizer,
      },
      ctx,
      world.room,
    );
    return await launchResult(launched, world, { credentials: body.include_credentials });
  },
  async exec(body, ctx, world) {
    checkBackend(body.backend);
    if (body.down && !body.dryrun) {
      // After all jobs: the shortest autodown there is.
      const autodown = { idleMinutes: 1, down: true, waitFor: null };
      await setAutostop(body.cluster_name, autodown, ctx, world.room);
    }
    const { taskOf } = await import("./task_text.ts");
    const task = taskOf(body.task, body, { ctx, world });
    const options = { clusterName: body.cluster_name, dryrun: body.dryrun };
    return await launchResult(await exec(task, options, ctx, world.room), world);
  },
  async start(body, ctx, world) {
    const cluster = await start(
      body.cluster_name,
      {
        idleMinutes: body.idle_minutes_to_autostop,
        waitFor: body.wait_for,
        retryUntilUp: body.retry_until_up,
        down: body.down,
        force: body.force,
      },
      ctx,
      world.room,
    );
    return await handleOf(cluster, world);
  },
  async stop(body, ctx, world) {
    await stop(body.cluster_name, endOptions(body), ctx, world.room);
    return null;
  },
  async down(body, ctx, world) {
    await down(body.cluster_name, endOptions(body), ctx, world.room);
    return null;
  },
  async autostop(body, ctx, world) {
    const { idle_minutes: idleMinutes, down, wait_for: waitFor } = body;
    if (body.hook !== null) throw notSupported("An autostop hook");
    await setAutostop(body.cluster_name, { idleMinutes, down, waitFor }, ctx, world.room);
    return null;
  },
  async status(body, ctx, world) {
    const clusters = await status(
      {
        names: body.cluster_names,
        refresh: body.refresh ?? "NONE",
        allUsers: body.all_users,
      },
      ctx,
      world.room,
    );
    const include = { handle: body.include_handle, credentials: body.include_credentials };
    return await Promise.all(
      clusters.map((cluster): Promise<ClusterView> => viewOf(cluster, include, world)),
    );
  },
};

/** SkyPilot's clients send `cloudvmray` by default, which is what every cluster here is to them. */
function checkBackend(backend: string | null): void {
  if (backend !== null && backend !== "cloudvmray") throw notSupported(`The backend '${backend}'`);
}

function notSupported(what: string): SkyError {
  return new SkyError("not_supported", `${what} is not supported by this API server`);
}

function endOptions(body: { purge: boolean; graceful: boolean; graceful_timeout: number | null }) {
  return { purge: body.purge, graceful: body.graceful, gracefulTimeout: body.graceful_timeout };
}

interface Include {
  readonly handle: boolean;
  readonly credentials: boolean;
}

async function viewOf(cluster: ClusterRecord, include: Include, world: World): Promise<ClusterView> {
  if (!include.handle && !include.credentials) return clusterView(cluster, { handle: false, ips: null });
  const access = await accessOf(cluster, world.room);
  const ips = include.handle ? await world.addresses.of(cluster, world.room) : null;
  return clusterView(cluster, { ...include, ips, access });
}

async function launchResult(
  { jobId, cluster }: Launched,
  world: World,
  include: Pick<Include, "credentials"> = { credentials: false },
): Promise<LaunchResult> {
  if (cluster === null) return { job_id: jobId, handle: null };
  const access = include.credentials ? await accessOf(cluster, world.room) : null;
  return {
    job_id: jobId,
    handle: await handleOf(cluster, world),
    ...(access === null ? {} : { credentials: credentialsView(cluster, access) }),
  };
}

async function handleOf(cluster: ClusterRecord, world: World) {
  const access = await accessOf(cluster, world.room);
  return handleView(cluster, await world.addresses.of(cluster, world.room), access);
}
