/** Handlers of SSH node pools and of the machines of places, Slurm's too (wire.md §7.2, §7.3, §7.8). snake_case ends here. */
import type { GpuSummary } from "../../clouds/cloud.ts";
import type { SlurmGpusView } from "../../api/places.ts";
import {
  faultsOfPlaces,
  gpusOfPlaces,
  nodesOfPlaces,
  setUpPlaces,
  tearDownPlaces,
} from "../../clusters/mod.ts";
import { SkyError } from "../../core/errors.ts";
import type { HandlersOf } from "./handler.ts";

export const placeHandlers: HandlersOf<
  "poolsUp" | "poolsDown" | "gpuAvailability" | "nodeInfo" | "slurmGpus" | "slurmNodes"
> = {
  async poolsUp(body, ctx, world) {
    await setUpPlaces({ cloud: "ssh", place: poolOf(body.infra) }, ctx, world.room);
    return null;
  },
  async poolsDown(body, ctx, world) {
    await tearDownPlaces({ cloud: "ssh", place: poolOf(body.infra) }, ctx, world.room);
    return null;
  },
  async gpuAvailability(body, ctx, world) {
    const wish = { cloud: body.is_ssh === true ? "ssh" : "kubernetes", place: body.context };
    const all = (await gpusOfPlaces(wish, ctx, world.room)).filter(filterOf(body));
    if (all.length === 0) {
      throw new SkyError(
        "invalid_argument",
        `No GPUs found in ${wish.cloud === "ssh" ? "any SSH Node Pool" : "any Kubernetes cluster"}.`,
      );
    }
    return [...Map.groupBy(all, ({ place }) => place)].map(([place, gpus]) => [place, gpus.map(gpuView)]);
  },
  async nodeInfo(body, ctx, world) {
    const cloud = body.context === null || body.context.startsWith("ssh-") ? "ssh" : "kubernetes";
    const nodes = await nodesOfPlaces({ cloud, place: body.context }, ctx, world.room);
    const views = nodes.map((node) =>
      [node.name, {
        name: node.name,
        accelerator_type: node.gpu,
        total: { accelerator_count: node.gpus },
        free: { accelerators_available: node.gpusFree },
        ip_address: node.ip,
        cpu_count: node.cpus,
        memory_gb: node.memoryGb,
        cpu_free: node.cpusFree,
        memory_free_gb: node.memoryFreeGb,
        is_ready: node.ready,
      }] as const
    );
    return { node_info_dict: Object.fromEntries(views), hint: "" };
  },
  async slurmGpus(body, ctx, world) {
    const wish = { cloud: "slurm", place: body.slurm_cluster_name };
    const [all, faults] = await Promise.all([
      gpusOfPlaces(wish, ctx, world.room),
      faultsOfPlaces(wish, ctx, world.room),
    ]);
    const told = new Set(all.map(({ place }) => place));
    const wanted = Map.groupBy(all.filter(filterOf(body)), ({ place }) => place);
    return [
      ...[...wanted].map(([cluster, gpus]): SlurmGpusView[number] => [cluster, gpus.map(gpuView), null]),
      ...faults.filter(({ place }) => !told.has(place))
        .map(({ place, reason }): SlurmGpusView[number] => [place, [], faultText(place, reason)]),
    ];
  },
  async slurmNodes(body, ctx, world) {
    const wish = { cloud: "slurm", place: body.slurm_cluster_name };
    const nodes = await nodesOfPlaces(wish, ctx, world.room);
    if (nodes.length === 0 && wish.place !== null) {
      const [fault] = await faultsOfPlaces(wish, ctx, world.room);
      if (fault !== undefined) throw new SkyError("network", faultText(fault.place, fault.reason));
    }
    return nodes.map((node) => ({
      node_name: node.name,
      slurm_cluster_name: node.place,
      partition: node.queues?.partitions.join(",") ?? "",
      node_state: node.queues?.state ?? "",
      gpu_type: node.gpu,
      total_gpus: node.gpus,
      free_gpus: node.ready ? node.gpusFree : 0,
      vcpu_count: node.cpus,
      memory_gb: node.memoryGb,
      free_vcpus: node.cpusFree,
      free_alloc_memory_gb: node.memoryFreeGb,
    }));
  },
};

function faultText(cluster: string, reason: string): string {
  return `Could not query Slurm cluster '${cluster}': ${reason}`;
}

/** Whether a GPU is one that was asked for. */
function filterOf(body: { name_filter: string | null; quantity_filter: number | null }) {
  const name = body.name_filter?.toLowerCase() ?? null;
  return ({ gpu, perNode }: GpuSummary) =>
    (name === null || gpu.toLowerCase().includes(name)) &&
    (body.quantity_filter === null || Math.max(0, ...perNode) >= body.quantity_filter);
}

function gpuView({ gpu, perNode, total, free }: GpuSummary): [string, number[], number, number] {
  return [gpu, quantities(perNode), total, free];
}

function poolOf(infra: string | null): string | null {
  const name = infra?.replace(/^ssh(\/|$)/, "").replace(/^ssh-/, "") ?? "";
  return name === "" || name === "*" ? null : name;
}

/** Powers of two up to what the largest node has, and that. */
function quantities(perNode: readonly number[]): number[] {
  const most = Math.max(0, ...perNode);
  const counts: number[] = [];
  for (let count = 1; count < most; count *= 2) counts.push(count);
  return most > 0 ? [...counts, most] : [];
}
