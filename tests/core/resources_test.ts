import { assertEquals } from "@std/assert";
import type { LaunchedResources } from "../../core/cluster.ts";
import {
  anyResources,
  demandText,
  newResources,
  reprLaunched,
  reprResources,
  resourcesCell,
} from "../../core/resources.ts";
import { parseResources } from "../../core/resources_parse.ts";

const launched = (fields: Partial<LaunchedResources>): LaunchedResources => ({
  cloud: "aws",
  region: "us-east-1",
  zone: null,
  instanceType: null,
  cpus: null,
  memory: null,
  accelerators: null,
  useSpot: false,
  diskSize: 256,
  ports: [],
  labels: {},
  imageId: null,
  hourlyCost: 0,
  ...fields,
});
const dev = launched({
  cloud: "gcp",
  instanceType: "a2-highgpu-1g",
  cpus: 12,
  memory: 85,
  accelerators: { A100: 1 },
  useSpot: true,
});
const k8s = launched({ cloud: "kubernetes", instanceType: "2CPU--2GB", cpus: 2, memory: 2 });

Deno.test("resourcesCell gives the examples of cli.md 1.8 and 12.7", () => {
  const m6i = launched({ instanceType: "m6i.2xlarge", cpus: 8, memory: 32 });
  const t4 = launched({ instanceType: "g4dn.xlarge", cpus: 4, memory: 16, accelerators: { T4: 1 } });
  const short = (got: LaunchedResources, numNodes = 1) => resourcesCell(got, { numNodes });
  const full = (got: LaunchedResources, numNodes = 1) => resourcesCell(got, { numNodes, full: true });
  assertEquals(short(m6i), "1x(cpus=8, mem=32, m6i.2xlarge, ...)");
  assertEquals(short(dev, 2), "2x[spot](gpus=A100:1, a2-highgpu-1g, ...)");
  assertEquals(short(k8s), "1x(cpus=2, mem=2, ...)");
  assertEquals(short(t4), "1x(gpus=T4:1, g4dn.xlarge, ...)");
  assertEquals(full(t4), "1x(gpus=T4:1, cpus=4, mem=16, g4dn.xlarge, disk=256)");
  assertEquals(full(dev, 2), "2x[spot](gpus=A100:1, cpus=12, mem=85, a2-highgpu-1g, disk=256)");
  assertEquals(full(k8s), "1x(cpus=2, mem=2, disk=256)");
  assertEquals(
    full(launched({ cloud: "local", cpus: 0.5, memory: 1.25, diskSize: 10, imageId: "x", ports: ["80"] })),
    "1x(cpus=0.5, mem=1.3, image_id=x, disk=10, ports=['80'])",
  );
  assertEquals(
    short(launched({ instanceType: "standard-instance-64", cpus: 64, memory: 256 })),
    "1x(cpus=64, mem=256, standard-instan..., ...)",
  );
});

Deno.test("reprLaunched gives the examples of cli.md 1.8 and 3.9", () => {
  assertEquals(
    reprLaunched(launched({ instanceType: "m6i.2xlarge", cpus: 8, memory: 32 })),
    "AWS(m6i.2xlarge, mem=32.0)",
  );
  assertEquals(reprLaunched(dev), "GCP(a2-highgpu-1g[Spot], mem=85.0, {'A100': 1})");
  assertEquals(reprLaunched(k8s), "Kubernetes(2CPU--2GB, mem=2.0)");
  assertEquals(
    reprLaunched(launched({ diskSize: 100, ports: ["80-90"] })),
    "AWS(disk_size=100, ports=['80-90'])",
  );
});

Deno.test("reprResources drops empty parts and can add the place", () => {
  assertEquals(reprResources(newResources()), "<Cloud>()");
  assertEquals(reprResources(newResources({ cpus: "3" })), "<Cloud>(cpus=3)");
  assertEquals(reprResources(newResources({ accelerators: { V100: 16 } })), "<Cloud>({'V100': 16})");
  const all = newResources({
    cloud: "aws",
    region: "us-east-1",
    zone: "us-east-1a",
    instanceType: "p5.48xlarge",
    useSpot: true,
    cpus: "4+",
    memory: "16+",
    accelerators: { H100: 8 },
    imageId: { "us-east-1": "ami-1" },
    diskTier: "high",
    networkTier: "best",
    diskSize: 300,
    ephemeralStorage: 5,
    localDisk: "nvme:100+",
    maxHourlyCost: 2.5,
    ports: ["80"],
  });
  const text = "AWS(p5.48xlarge[Spot], cpus=4+, mem=16+, {'H100': 8}, image_id={'us-east-1': 'ami-1'}, " +
    "disk_tier=high, network_tier=best, disk_size=300, ephemeral_storage=5, local_disk=nvme:100+, " +
    "max_cost=$2.5/hr, ports=['80']";
  assertEquals(reprResources(all), `${text})`);
  assertEquals(reprResources(all, { place: true }), `${text}, region=us-east-1, zone=us-east-1a)`);
  assertEquals(reprResources(newResources({ diskSize: 256 })), "<Cloud>()");
});

Deno.test("demandText gives the examples of cli.md 1.8", () => {
  const demand = (yaml: unknown, numNodes = 1, managed = false) =>
    demandText(parseResources(yaml), { numNodes, managed });
  assertEquals(demandText(anyResources(), { numNodes: 1 }), "1x[CPU:1+]");
  assertEquals(demand({ accelerators: "A100:8" }), "1x[A100:8]");
  assertEquals(demand({ accelerators: "H100:8", use_spot: true }, 2, true), "2x[H100:8][Spot]");
  assertEquals(demand({ accelerators: "H100:8", use_spot: true }, 2), "2x[H100:8]");
  assertEquals(demand({ cpus: "4+" }), "1x[CPU:4+]");
  assertEquals(demand({ cpus: 0.25 }), "1x[CPU:0.25+]");
  assertEquals(demand({ cpus: "4+" }, 1, true), "1x[CPU:4.0+]");
  assertEquals(demand({ accelerators: { L4: 1, T4: 2 } }), "1x[L4:1, T4:2]");
  assertEquals(
    demand({ any_of: [{ use_spot: true }, { use_spot: false }] }, 1, true),
    "1x[CPU:1+][On-demand|Spot]",
  );
});
