import { assert, assertEquals } from "@std/assert";
import type { NoOffer, Offer } from "../../../clouds/cloud.ts";
import type { Facts, Gres, SlurmNode } from "../../../clouds/slurm/facts.ts";
import { bestType, gpuNameOf, gresMatches } from "../../../clouds/slurm/gres.ts";
import { offersOf } from "../../../clouds/slurm/offers.ts";
import { summaries } from "../../../clouds/slurm/mod.ts";
import { provisionTimeout, sbatchOptions } from "../../../clouds/slurm/settings.ts";
import type { SkyConfig } from "../../../core/config.ts";
import { newResources, type Resources } from "../../../core/resources.ts";

function node(name: string, partitions: string[], options: Partial<SlurmNode> = {}): SlurmNode {
  return {
    name,
    address: name,
    partitions,
    cpus: 16,
    cpusUsed: 0,
    memoryMb: 64 * 1024,
    memoryUsedMb: 0,
    gres: [],
    gresUsed: [],
    state: "IDLE",
    flags: [],
    reason: null,
    ...options,
  };
}

const partition = (name: string, isDefault = false) => ({
  name,
  isDefault,
  up: true,
  hidden: false,
  maxTime: null,
  maxNodes: null,
});

const gpus = (type: string | null, count: number): Gres[] => [{ type, count }];

const FACTS: Facts = {
  settings: { clusterName: "hpc", version: "22.05.8", tracksMemory: true },
  partitions: [partition("gpu"), partition("cpu", true)],
  nodes: [
    node("c1", ["cpu"]),
    node("c2", ["cpu"]),
    node("c3", ["cpu"], { state: "IDLE", flags: ["DRAIN"] }),
    node("g1", ["gpu"], { gres: gpus("nvidia_h100", 8), gresUsed: gpus("nvidia_h100", 3) }),
    node("g2", ["gpu"], { gres: gpus("a100", 4) }),
  ],
};

function offer(
  wish: Partial<Resources>,
  options: { numNodes?: number; config?: SkyConfig; facts?: Facts } = {},
) {
  const { numNodes = 1, config = {}, facts = FACTS } = options;
  const known = [{ cluster: "hpc", facts, fault: null }, { cluster: "lab", facts: null, fault: "no answer" }];
  return offersOf(known, { wish: newResources(wish), numNodes, config });
}

const types = (answer: readonly Offer[] | NoOffer) => {
  assert(Array.isArray(answer), JSON.stringify(answer));
  return (answer as readonly Offer[]).map(({ resources }) =>
    `${resources.region}/${resources.zone} ${resources.instanceType}`
  );
};
const hint = (answer: readonly Offer[] | NoOffer) => (answer as NoOffer).hint;

Deno.test("offersOf cuts virtual types, the default partition first", () => {
  assertEquals(types(offer({})), ["hpc/cpu 2CPU--2GB", "hpc/gpu 2CPU--2GB"]);
  assertEquals(types(offer({ cpus: "4+", memory: "2x" })), ["hpc/cpu 4CPU--8GB", "hpc/gpu 4CPU--8GB"]);
  assertEquals(types(offer({ accelerators: { H100: 2 } })), ["hpc/gpu 8CPU--32GB--H100:2"]);
  assertEquals(types(offer({ instanceType: "3CPU--5GB", zone: "cpu" })), ["hpc/cpu 3CPU--5GB"]);
  const untracked = { ...FACTS, settings: { ...FACTS.settings, tracksMemory: false } };
  assertEquals(types(offer({ accelerators: { A100: 1 } }, { facts: untracked })), [
    "hpc/gpu 4CPU--0GB--A100:1",
  ]);
  const [asked] = offer({ zone: "cpu" }) as readonly Offer[];
  assertEquals(asked!.resources.zoneAsked, true);
});

Deno.test("offersOf says why nothing fits", () => {
  assertEquals(hint(offer({ region: "moon" })), "there is no Slurm cluster 'moon', only hpc, lab");
  assertEquals(hint(offer({ region: "lab" })), "Slurm cluster 'lab' can't be asked: no answer");
  assertEquals(
    hint(offer({ region: "hpc", zone: "x" })),
    "Slurm cluster 'hpc' has no partition 'x', only gpu, cpu",
  );
  assertEquals(
    hint(offer({ region: "hpc", zone: "cpu" }, { numNodes: 3 })),
    "Slurm cluster 'hpc' has 2 nodes that fit and work (1 more down or drained), 3 asked for, in partition 'cpu'",
  );
  const none = offer({ region: "hpc", zone: "gpu", accelerators: { B200: 1 } }) as NoOffer;
  assertEquals(none, {
    hint: "Slurm cluster 'hpc' has no B200 in partition 'gpu'",
    similar: ["H100:8", "A100:4"],
  });
  assertEquals(hint(offer({ useSpot: true })), "Slurm has no spot instances");
  assertEquals(hint(offer({ accelerators: { "H 100": 1 } })), "accelerator name 'H 100' has a space in it");
});

Deno.test("offersOf follows the administrator's maps and prices", () => {
  const config: SkyConfig = {
    slurm: {
      cpu_partition: "cpu",
      pricing: { cpu: 1, accelerators: { h100: 3 } },
      cluster_configs: { hpc: { gpu_partition_map: { B200: ["gpu"] }, pricing: { cpu: 0.5 } } },
    },
  };
  assertEquals(types(offer({}, { config })), ["hpc/cpu 2CPU--2GB"]);
  const [cpu] = offer({}, { config }) as readonly Offer[];
  assertEquals(cpu!.resources.hourlyCost, 1);
  const [gpu] = offer({ accelerators: { H100: 2 } }, { config }) as readonly Offer[];
  assertEquals(gpu!.resources.hourlyCost, 6);
  // Mapped: whatever GRES calls it.
  assertEquals(types(offer({ accelerators: { B200: 4 } }, { config })), ["hpc/gpu 16CPU--64GB--B200:4"]);
});

Deno.test("gresMatches follows words, not letters", () => {
  const cases: [string, string, boolean][] = [
    ["h100", "H100", true],
    ["nvidia_h100_80gb_hbm3", "H100", true],
    ["a100", "A100-80GB", true],
    ["tesla_v100", "V100", true],
    ["a100", "A10", false],
    ["l40s", "L40", false],
    ["h100", "H200", false],
  ];
  for (const [type, asked, expected] of cases) assertEquals(gresMatches(type, asked), expected, type);
  const nodes = [node("a", [], { gres: gpus("h100_pcie", 1) }), node("b", [], { gres: gpus("h100", 1) })];
  assertEquals(bestType(nodes, "H100"), "h100");
  assertEquals(bestType([node("a", [], { gres: gpus(null, 8) })], "H100"), null);
  assertEquals([gpuNameOf("nvidia_h100"), gpuNameOf(null)], ["H100", "GPU"]);
});

Deno.test("summaries count free GPUs on nodes that take jobs", () => {
  assertEquals(summaries("hpc", FACTS), [
    { place: "hpc", gpu: "A100", perNode: [4], total: 4, free: 4 },
    { place: "hpc", gpu: "H100", perNode: [8], total: 8, free: 5 },
  ]);
});

Deno.test("settings: the most specific level wins, maps merge", () => {
  const config: SkyConfig = {
    slurm: {
      sbatch_options: { qos: "low", account: "a" },
      cluster_configs: {
        "h.pc": {
          sbatch_options: { qos: "mid" },
          partition_configs: { gpu: { sbatch_options: { qos: "high" } } },
        },
      },
    },
  };
  assertEquals(sbatchOptions(config, { cluster: "h.pc", partition: "gpu" }), { qos: "high", account: "a" });
  assertEquals(sbatchOptions(config, { cluster: "h.pc", partition: "x" }), { qos: "mid", account: "a" });
  assertEquals(sbatchOptions(config, { cluster: "constructor", partition: "x" }), {
    qos: "low",
    account: "a",
  });
  assertEquals(provisionTimeout({}, { partitionAsked: false }), 120);
  assertEquals(provisionTimeout({}, { partitionAsked: true }), 86_400);
  assertEquals(provisionTimeout({ slurm: { provision_timeout: -1 } }, { partitionAsked: false }), null);
  assertEquals(provisionTimeout({ slurm: { provision_timeout: 5 } }, { partitionAsked: true }), 5);
});
