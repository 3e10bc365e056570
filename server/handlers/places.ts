/** Handlers of SSH node pools and of the machines of places (wire.md §7.2, §7.3, §7.8). snake_case ends here. */
import { gpusOfPlaces, nodesOfPlaces, setUpPlaces, tearDownPlaces } from "../../clusters/mod.ts";
import { SkyError } from "../../core/errors.ts";
import type { HandlersOf } from "./handler.ts";

export const placeHandlers: HandlersOf<"poolsUp" | "poolsDown" | "gpuAvailability" | "nodeInfo"> = {
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
    const name = body.name_filter?.toLowerCase() ?? null;
    const all = (await gpusOfPlaces(wish, ctx, world.room)).filter(({ gpu, perNode }) =>
      (name === null || gpu.toLowerCase().includes(name)) &&
      (body.quantity_filter === null || Math.max(0, ...perNode) >= body.quantity_filter)
    );
    if (all.length === 0) {
      throw new SkyError(
        "invalid_argument",
        `No GPUs found in ${wish.cloud === "ssh" ? "any SSH Node Pool" : "any Kubernetes cluster"}.`,
      );
    }
    const byPlace = Map.groupBy(all, ({ place }) => place);
    return [...byPlace].map(([place, gpus]) => [
      place,
      gpus.map(({ gpu, perNode, total, free }) => [gpu, quantities(perNode), total, free]),
    ]);
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
};

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
