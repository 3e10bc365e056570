import { assert, assertEquals } from "@std/assert";
import { stripAnsi } from "../../core/ansi.ts";
import type { LaunchedResources } from "../../core/cluster.ts";
import { newResources, type Resources } from "../../core/resources.ts";
import { fits, fittingCandidate } from "../../core/resources_match.ts";
import { parseResources } from "../../core/resources_parse.ts";
import { isSkyError } from "../../core/errors.ts";

const got: LaunchedResources = {
  cloud: "aws",
  region: "us-east-1",
  zone: "us-east-1a",
  instanceType: "m6i.2xlarge",
  cpus: 8,
  memory: 32,
  accelerators: { A100: 4 },
  useSpot: false,
  diskSize: 256,
  ports: ["80-90"],
  labels: {},
  imageId: "ami-1",
  hourlyCost: 1,
  diskTier: "high",
  networkTier: "standard",
  localDisk: "nvme:600",
};

Deno.test("fits takes what is less demanding", () => {
  const yes: Partial<Resources>[] = [
    {},
    { cpus: "64", memory: "1024" },
    { cloud: "aws", region: "us-east-1", zone: "us-east-1a", instanceType: "m6i.2xlarge" },
    { accelerators: { A100: 4 } },
    { accelerators: { a100: 0.5 } },
    { useSpot: false },
    { diskTier: "low" },
    { diskTier: "high" },
    { diskTier: "best" },
    { networkTier: "standard" },
    { localDisk: "ssd:500+" },
    { imageId: "ami-1" },
    { imageId: { "us-east-1": "ami-1", other: "x" } },
    { ports: ["1000"] },
    { labels: { not: "compared" } },
  ];
  for (const wish of yes) assert(fits(newResources(wish), got), JSON.stringify(wish));
  assert(fits(newResources({ ports: ["80", "85-90"] }), got, { checkPorts: true }));
});

Deno.test("fits refuses what is more demanding", () => {
  const no: Partial<Resources>[] = [
    { cloud: "gcp" },
    { region: "us-west-1" },
    { zone: "us-east-1b" },
    { instanceType: "m6i.large" },
    { accelerators: { A100: 5 } },
    { accelerators: { V100: 1 } },
    { acceleratorArgs: { tpu_vm: true } },
    { useSpot: true },
    { diskTier: "ultra" },
    { networkTier: "best" },
    { localDisk: "nvme:700+" },
    { imageId: "ami-2" },
    { imageId: { "us-west-1": "ami-1" } },
  ];
  for (const wish of no) assert(!fits(newResources(wish), got), JSON.stringify(wish));
  assert(!fits(newResources({ ports: ["91"] }), got, { checkPorts: true }));
  const bare = { ...got, accelerators: null, diskTier: null, localDisk: null };
  for (const wish of [{ diskTier: "best" }, { localDisk: "ssd:1+" }, { accelerators: { A100: 1 } }]) {
    assert(!fits(newResources(wish), bare), JSON.stringify(wish));
  }
});

Deno.test("fittingCandidate finds the first that fits, or shows both sides", () => {
  const existing = {
    name: "my-cluster",
    numNodes: 1,
    resources: { ...got, accelerators: null, imageId: null, diskTier: null },
  };
  const resources = parseResources({ any_of: [{ infra: "gcp" }, { infra: "aws" }] });
  assertEquals(fittingCandidate({ resources, numNodes: 1 }, existing).cloud, "aws");
  const texts = [
    [{ accelerators: "V100:4" }, 1, "{1x <Cloud>({'V100': 4})}"],
    [{}, 2, "{2x <Cloud>()}"],
  ] as const;
  for (const [yaml, numNodes, requested] of texts) {
    let message = "";
    try {
      fittingCandidate({ resources: parseResources(yaml), numNodes }, existing);
    } catch (error) {
      if (!isSkyError(error, "resources_mismatch")) throw error;
      message = stripAnsi(error.message);
    }
    assertEquals(
      message,
      `Requested resources do not match the existing cluster.\n  Requested:\t${requested}\n` +
        "  Existing:\t1x AWS(m6i.2xlarge, mem=32.0, ports=['80-90'])\n" +
        "To fix: specify a new cluster name, or down the existing cluster first: sky down my-cluster",
    );
  }
});
