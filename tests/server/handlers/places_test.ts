/** What is told of Slurm clusters (wire.md §7.2), from a cloud that knows two and reaches one. */
import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import type { SlurmGpusView } from "../../../api/places.ts";
import type { CheckResult, GpuSummary, PlaceNode } from "../../../clouds/cloud.ts";
import { SkyError } from "../../../core/errors.ts";
import type { World } from "../../../server/handlers/handler.ts";
import { placeHandlers } from "../../../server/handlers/places.ts";
import { inWorld } from "../../clusters/world.ts";
import { FakeCloud } from "../../support/fake_cloud.ts";

class Slurm extends FakeCloud {
  constructor(folder: string) {
    super({ folder, name: "slurm", displayName: "Slurm" });
  }
  override check(): Promise<CheckResult> {
    const places = [
      { name: "hpc", ok: true, reason: null },
      { name: "lab", ok: false, reason: "no route" },
    ];
    return Promise.resolve({ enabled: true, offers: ["compute"], reason: null, hint: null, places });
  }
  gpus(): Promise<readonly GpuSummary[]> {
    return Promise.resolve([
      { place: "hpc", gpu: "H100", perNode: [4, 6], total: 10, free: 3 },
      { place: "hpc", gpu: "L4", perNode: [1], total: 1, free: 1 },
    ]);
  }
  nodes(): Promise<readonly PlaceNode[]> {
    const node = {
      place: "hpc",
      name: "g1",
      ip: null,
      cpus: 8,
      cpusFree: 2,
      memoryGb: 64,
      memoryFreeGb: 60.5,
      gpu: "H100",
      gpus: 4,
      gpusFree: 4,
      ready: true,
      queues: { partitions: ["main", "short"], state: "idle" },
    };
    return Promise.resolve([
      node,
      { ...node, name: "g2", ready: false, queues: { partitions: [], state: "down*" } },
    ]);
  }
}

Deno.test("slurmGpus and slurmNodes tell of clusters, and why one could not be asked", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    const rest = { room: server.room } as World;
    const none = { slurm_cluster_name: null, name_filter: null, quantity_filter: null };
    const gpus = (more: Partial<Record<keyof typeof none, string | number>>) =>
      placeHandlers.slurmGpus({ ...none, ...more } as typeof none, server.context(), rest);
    const lab: SlurmGpusView[number] = ["lab", [], "Could not query Slurm cluster 'lab': no route"];
    assertEquals(await gpus({}), [
      ["hpc", [["H100", [1, 2, 4, 6], 10, 3], ["L4", [1], 1, 1]], null],
      lab,
    ]);
    assertEquals(await gpus({ slurm_cluster_name: "hpc", name_filter: "l4" }), [
      ["hpc", [["L4", [1], 1, 1]], null],
    ]);
    assertEquals(await gpus({ quantity_filter: 8 }), [lab]);

    const nodes = (cluster: string | null) =>
      placeHandlers.slurmNodes({ slurm_cluster_name: cluster }, server.context(), rest);
    const [first, second, ...others] = await nodes(null);
    assertEquals(first, {
      node_name: "g1",
      slurm_cluster_name: "hpc",
      partition: "main,short",
      node_state: "idle",
      gpu_type: "H100",
      total_gpus: 4,
      free_gpus: 4,
      vcpu_count: 8,
      memory_gb: 64,
      free_vcpus: 2,
      free_alloc_memory_gb: 60.5,
    });
    // What is down has GPUs, but gives none.
    assertEquals([second!.partition, second!.node_state, second!.total_gpus, second!.free_gpus], [
      "",
      "down*",
      4,
      0,
    ]);
    assertEquals([others.length, (await nodes("other")).length], [0, 0]);
    await assertRejects(() => nodes("lab"), SkyError, "Could not query Slurm cluster 'lab': no route");
  }, { more: (folder) => [new Slurm(join(folder, "s"))] });
});
