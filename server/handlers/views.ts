/** Records as SkyPilot spells them (wire.md §6.6, §6.8, §14.4). Pure: seconds, snake_case, text columns. */
import type { ClusterView, CostView, CredentialsView, JobView, WireHandle } from "../../api/clusters.ts";
import type { Access } from "../../clouds/cloud.ts";
import type { ClusterCost } from "../../clusters/mod.ts";
import { cloudDisplayName } from "../../core/cloud_names.ts";
import type { ClusterRecord, LaunchedResources } from "../../core/cluster.ts";
import { pyFloat } from "../../core/format.ts";
import { formatInfra } from "../../core/infra.ts";
import type { JobRecord } from "../../core/job.ts";
import { resourcesCell } from "../../core/resources.ts";
import { formatVirtualType } from "../../core/virtual_types.ts";
import type { Ips } from "./addresses.ts";

/** What SkyPilot's clients, which know no cloud `local`, are told it is (wire.md §14.4). */
export const LOCAL_INFRA = "ssh/local";

export function clusterView(
  cluster: ClusterRecord,
  options: { handle: boolean; ips: Ips | null; access?: Access | null; credentials?: boolean },
): ClusterView {
  const { resources, numNodes } = cluster;
  const { access = null } = options;
  return {
    name: cluster.name,
    launched_at: seconds(cluster.launchedAt),
    status: cluster.status,
    autostop: cluster.autostop.idleMinutes,
    to_down: cluster.autostop.down,
    cluster_hash: cluster.hash,
    cluster_ever_up: cluster.everUp,
    user_hash: cluster.userId,
    user_name: cluster.userName,
    workspace: cluster.workspace,
    nodes: numNodes,
    is_managed: false,
    ...(options.handle ? { handle: handleView(cluster, options.ips, access) } : {}),
    ...(access !== null && options.credentials === true
      ? { credentials: credentialsView(cluster, access) }
      : {}),
    last_use: cluster.lastUse,
    status_updated_at: seconds(cluster.statusUpdatedAt),
    resources_str: resourcesCell(resources, { numNodes }),
    resources_str_full: resourcesCell(resources, { numNodes, full: true }),
    owner: null,
    metadata: {},
    config_hash: cluster.configHash,
    last_creation_yaml: cluster.lastCreationYaml,
    last_creation_command: cluster.lastCreationCommand,
    last_event: cluster.lastEvent,
    launch_status_reason: cluster.launchReason,
    ...resourceColumns(resources),
    labels: { ...resources.labels },
    cluster_name_on_cloud: cluster.nameOnCloud,
    node_names: null,
    priority: null,
    priority_class: null,
    links: null,
  };
}

/** Null IPs: of a cluster that is not up, which makes SkyPilot's client drop its ssh config. */
export function handleView(
  cluster: ClusterRecord,
  ips: Ips | null,
  access: Access | null = null,
): WireHandle {
  return {
    cluster_name: cluster.name,
    cluster_name_on_cloud: cluster.nameOnCloud,
    cluster_yaml: null,
    launched_nodes: cluster.numNodes,
    launched_resources: launchedView(cluster.resources),
    stable_internal_external_ips: ips === null ? null : ips.map(([inside, outside]) => [inside, outside]),
    stable_ssh_ports: ips === null ? null : ips.map((_, i) => access?.nodes[i]?.port ?? 22),
    docker_user: null,
    is_grpc_enabled: false,
    ssh_user: access?.user ?? null,
    ...(access === null ? {} : { node_homes: access.nodes.map(({ home }) => home) }),
  };
}

/** How to log in, for callers who asked for it. */
export function credentialsView(cluster: ClusterRecord, access: Access): CredentialsView {
  return {
    ssh_user: access.user,
    ssh_private_key: `~/.sky/generated/ssh-keys/${cluster.name}.key`,
    ssh_private_key_content: access.privateKey,
    ssh_control_name: cluster.nameOnCloud,
    ssh_proxy_command: access.proxyCommand,
  };
}

/** As the `resources` of a launched task: SkyPilot's client refuses keys and clouds it does not know. */
export function launchedView(resources: LaunchedResources): Record<string, unknown> {
  const { cloud, accelerators } = resources;
  const local = cloud === "local";
  const [gpu] = Object.entries(accelerators ?? {});
  const virtual = local && resources.cpus !== null && resources.memory !== null
    ? formatVirtualType({
      cpus: resources.cpus,
      memoryGb: resources.memory,
      accelerator: gpu === undefined ? null : { name: gpu[0], count: gpu[1] },
    })
    : null;
  return dropNulls({
    infra: local ? LOCAL_INFRA : formatInfra(resources),
    instance_type: virtual ?? resources.instanceType,
    cpus: resources.cpus === null ? null : String(resources.cpus),
    memory: resources.memory === null ? null : String(resources.memory),
    accelerators: accelerators === null ? null : { ...accelerators },
    use_spot: resources.useSpot ? true : null,
    disk_size: resources.diskSize,
    image_id: resources.imageId,
    ports: resources.ports.length === 0 ? null : [...resources.ports],
    labels: Object.keys(resources.labels).length === 0 ? null : { ...resources.labels },
  });
}

/** The columns of a table that stem from the launched resources, all text. */
function resourceColumns(resources: LaunchedResources) {
  const { accelerators } = resources;
  return {
    cloud: cloudDisplayName(resources.cloud),
    region: resources.region,
    cpus: resources.cpus === null ? null : pyFloat(resources.cpus),
    memory: resources.memory === null ? null : pyFloat(resources.memory),
    accelerators: accelerators === null ? null : JSON.stringify(accelerators),
  };
}

export function jobView(job: JobRecord): JobView {
  return {
    job_id: job.id,
    job_name: job.name ?? "-",
    username: job.userName,
    user_hash: job.userId,
    submitted_at: job.submittedAt / 1000,
    start_at: job.startedAt === null ? null : job.startedAt / 1000,
    end_at: job.endedAt === null ? null : job.endedAt / 1000,
    resources: job.resources,
    status: job.status,
    log_path: `~/sky_logs/${job.logDir}`,
    metadata: job.gitCommit === null ? {} : { git_commit: job.gitCommit },
  };
}

export function costView({ history, duration, totalCost, lastEvent }: ClusterCost): CostView {
  const { resources, numNodes } = history;
  return {
    name: history.name,
    launched_at: seconds(history.launchedAt),
    duration: duration === null ? null : seconds(duration),
    num_nodes: numNodes,
    resources: launchedView(resources),
    cluster_hash: history.hash,
    usage_intervals: history.usage.map((
      { start, end },
    ) => [seconds(start), end === null ? null : seconds(end)]),
    status: history.status,
    user_hash: history.userId,
    user_name: history.userName,
    workspace: history.workspace,
    last_event: lastEvent,
    total_cost: totalCost,
    ...resourceColumns(resources),
    resources_str: resourcesCell(resources, { numNodes }),
    resources_str_full: resourcesCell(resources, { numNodes, full: true }),
    labels: { ...resources.labels },
    hourly_cost: resources.hourlyCost,
  };
}

/** Whole unix seconds: SkyPilot's client refuses fractions in cluster times. */
function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}

function dropNulls(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== null));
}
