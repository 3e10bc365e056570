import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { SlurmNodeView } from "../../../api/places.ts";
import { SkyError } from "../../../core/errors.ts";
import { type Answers, inputOf, keysOf, lines, sky } from "./fake_sky.ts";

const T4 = [
  ["GCP", "n1-highmem-4", "T4", 1, 4, 15, 26, 0.587, 0.19, "us-central1"],
  ["AWS", "g4dn.2xlarge", "T4", 1.0, 8, 16, 32, 0.752, 0.23, "us-east-1"],
  ["AWS", "g4dn.xlarge", "T4", 1.0, 4, 16, 16, 0.6, 0.2, "us-west-2"],
  ["AWS", "g4dn.xlarge", "T4", 1.0, 4, 16, 16, 0.526, 0.16, "us-east-1"],
];

/** What a server answers that has no pools, or none with GPUs. */
const noPools = () => {
  throw new SkyError("invalid_argument", "No GPUs found in any SSH Node Pool.");
};

/** What a server answers that has neither pools nor Slurm. */
const cloudsOnly: Answers = { gpuAvailability: noPools, slurmGpus: () => [] };

const answers: Answers = {
  ...cloudsOnly,
  listAcceleratorCounts: () => ({
    V100: [8.0, 1.0, 4.0],
    A10: [1],
    A100: [1, 8],
    H100: [8],
    T4: [1],
    "tpu-v2-8": [1],
    K80: [0.5, 1],
  }),
  listAccelerators: ({ name_filter }): Record<string, unknown[][]> => name_filter === "FOO" ? {} : { T4 },
};

const QUANTITIES = lines(
  "COMMON_GPU  AVAILABLE_QUANTITIES  ",
  "A10         1                     ",
  "A100        1, 8                  ",
  "H100        8                     ",
  "T4          1                     ",
  "V100        1, 4, 8               ",
  "",
  "GOOGLE_TPU  AVAILABLE_QUANTITIES  ",
  "tpu-v2-8    1                     ",
);

Deno.test("gpus list shows the tables of cli.md §4.2 to the blank", async () => {
  const ran = await sky(["gpus", "list"], { answers });
  assertEquals([ran.code, ran.err], [0, ""]);
  assertEquals(
    ran.text,
    QUANTITIES +
      lines("", "Hint: use -a/--all to see all accelerators (including non-common ones) and pricing."),
  );
  assertEquals(keysOf(ran).toSorted(), ["gpuAvailability", "listAcceleratorCounts", "slurmGpus"]);
});

const HEADER =
  "GPU  QTY  CLOUD  INSTANCE_TYPE  DEVICE_MEM  vCPUs  HOST_MEM  HOURLY_PRICE  HOURLY_SPOT_PRICE  REGION       ";

Deno.test("gpus list of one accelerator shows what has it, cheapest region each, clouds by price", async () => {
  const ran = await sky(["gpus", "list", "t4"], { answers });
  assertEquals(
    ran.text,
    lines(
      HEADER,
      "T4   1    AWS    g4dn.xlarge    16GB        4      16GB      $ 0.526       $ 0.160            us-east-1    ",
      "T4   1    AWS    g4dn.2xlarge   16GB        8      32GB      $ 0.752       $ 0.230            us-east-1    ",
      "T4   1    GCP    n1-highmem-4   15GB        4      26GB      $ 0.587       $ 0.190            us-central1  ",
    ),
  );
  assertEquals(inputOf(ran, "listAccelerators"), {
    gpus_only: false,
    name_filter: "t4",
    region_filter: null,
    quantity_filter: null,
    clouds: null,
    all_regions: false,
    case_sensitive: false,
  });
  const everywhere = await sky(["gpus", "list", "T4:2", "--all-regions"], { answers });
  assertEquals(everywhere.text.split("\n").length, 6);
  assertStringIncludes(everywhere.text, "us-west-2");
  assertEquals(inputOf(everywhere, "listAccelerators")?.["quantity_filter"], 2);
});

Deno.test("gpus list shows unknown cells as - and GCP's accelerators without a host as attachable", async () => {
  const odd = [["GCP", null, "V100", 1, null, null, null, 2.48, null, null], [
    "X",
    null,
    "V100",
    1,
    1.5,
    "8 GB",
    null,
    null,
    null,
    "r",
  ]];
  const ran = await sky(["gpus", "list", "V100"], {
    answers: { ...cloudsOnly, listAccelerators: () => ({ V100: odd, L4: [] }) },
  });
  assertEquals(
    ran.text,
    lines(
      "GPU   QTY  CLOUD  INSTANCE_TYPE  DEVICE_MEM  vCPUs  HOST_MEM  HOURLY_PRICE  HOURLY_SPOT_PRICE  REGION  ",
      "V100  1    GCP    (attachable)   -           -      -         $ 2.480       -                  -       ",
      "V100  1    X      -              8 GB        1.5    -         -             -                  r       ",
    ),
  );
});

Deno.test("gpus list -a adds the others and a table without regions per accelerator", async () => {
  const ran = await sky(["gpus", "list", "-a", "--infra", "aws/us-east-1"], { answers });
  const others = lines("", "OTHER_GPU  AVAILABLE_QUANTITIES  ", "K80        0.5, 1                ", "");
  assertStringIncludes(ran.text, `${QUANTITIES}${others}GPU  QTY  CLOUD`);
  assert(!ran.text.includes("REGION"));
  assert(!ran.text.includes("Hint:"));
  assertEquals(inputOf(ran, "listAcceleratorCounts"), {
    gpus_only: true,
    clouds: "aws",
    region_filter: "us-east-1",
  });
});

Deno.test("gpus list -o json has named fields", async () => {
  const ran = await sky(["gpus", "list", "T4", "-o", "json"], { answers });
  const { T4: offers } = JSON.parse(ran.out);
  assertEquals(offers.length, 4);
  assertEquals(offers[0], {
    cloud: "GCP",
    instance_type: "n1-highmem-4",
    accelerator_name: "T4",
    accelerator_count: 1,
    cpu_count: 4,
    device_memory: 15,
    memory: 26,
    price: 0.587,
    spot_price: 0.19,
    region: "us-central1",
  });
});

Deno.test("gpus list says what is not there, and exits 0", async () => {
  const ran = await sky(["gpus", "list", "FOO"], { answers });
  const text = " not found in cloud catalogs. To show available accelerators, run: sky gpus list --all\n";
  assertEquals([ran.code, ran.text], [0, `Resources 'FOO'${text}`]);
  const three = await sky(["gpus", "list", "FOO:3"], { answers });
  assertEquals(three.text, `Resources 'FOO' with requested quantity 3${text}`);
  const nothing = await sky(["gpus", "list"], {
    answers: { ...cloudsOnly, listAcceleratorCounts: () => ({}) },
  });
  assertEquals(
    nothing.text,
    "No accelerators in the enabled infra. To see what is enabled, run: sky check\n",
  );
  const k8s = await sky(["gpus", "list", "--infra", "k8s"], { answers: { enabledClouds: () => ["local"] } });
  assertEquals([k8s.code, k8s.text], [0, "Kubernetes is not enabled. To fix, run: sky check kubernetes \n"]);
});

Deno.test("gpus list has the errors of cli.md §4.2", async () => {
  const rows: [string[], number, string][] = [
    [["T4:x"], 2, "Error: Invalid accelerator quantity x. Expected a positive integer."],
    [["T4:0"], 2, "Error: Invalid accelerator quantity 0. Expected a positive integer."],
    [
      ["a:b:c"],
      2,
      "Error: Invalid accelerator string a:b:c. Expected format: <accelerator_name>[:<quantity>].",
    ],
    [["-a", "T4"], 2, "Error: --all is only allowed without a GPU name."],
    [["--all-regions"], 2, "Error: The --all-regions flag is only valid when an accelerator is specified."],
    [
      ["T4", "--all-regions", "--cloud", "aws", "--region", "r"],
      2,
      "Error: --all-regions and --region flags cannot be used simultaneously.",
    ],
    [["T4", "--region", "r"], 2, "Error: The --region flag is only valid when the --cloud flag is set."],
    [["--infra", "nocloud"], 1, "ValueError: Cloud 'nocloud' is not a valid cloud among ["],
    [["--infra", "aws/a/b/c"], 1, "ValueError: Invalid infra format: aws/a/b/c."],
  ];
  for (const [words, code, text] of rows) {
    const ran = await sky(["gpus", "list", ...words], { answers });
    assertEquals([ran.code, ran.out], [code, ""], words.join(" "));
    assertStringIncludes(ran.err, text);
  }
});

Deno.test("show-gpus works, warns on stderr and has no -o", async () => {
  const ran = await sky(["show-gpus"], { answers });
  assertEquals(
    ran.err,
    "WARNING: `sky show-gpus` has been renamed to `sky gpus list` and will be removed in a future release. " +
      "Please use the latter instead.\n\n",
  );
  assertEquals([ran.code, ran.text.startsWith(QUANTITIES)], [0, true]);
  assertEquals((await sky(["show-gpus", "-o", "json"])).code, 2);
});

const node = (name: string, free: number, more: Record<string, unknown> = {}) => ({
  name,
  accelerator_type: "H100",
  total: { accelerator_count: 8 },
  free: { accelerators_available: free },
  ip_address: "10.0.0.1",
  cpu_count: 96,
  memory_gb: 960,
  cpu_free: 90,
  memory_free_gb: 900.5,
  is_ready: true,
  ...more,
});

Deno.test("gpus list begins with the SSH node pools, and does not repeat them below", async () => {
  const pooled: Answers = {
    ...answers,
    gpuAvailability: () => [["ssh-lab", [["H100", [1, 2, 4, 8], 16, 12]]], ["ssh-b", [["L4", [1], 1, 0]]]],
    nodeInfo: ({ context }) => ({
      hint: "",
      node_info_dict: context === "ssh-lab"
        ? { n1: node("n1", 8), n2: node("n2", 4, { is_ready: false }) }
        : { n3: node("n3", 0, { accelerator_type: null, cpu_free: null, cpu_count: 4, memory_gb: null }) },
    }),
    listAccelerators: () => ({
      T4: [["AWS", "g4dn.xlarge", "T4", 1, 4, 16, 16, 0.5, 0.1, "us-east-1"]],
      H100: [["SSH", null, "H100", 8, null, null, null, 0, null, "ssh-lab"]],
    }),
  };
  const ran = await sky(["gpus", "list"], { answers: pooled });
  assertEquals(
    ran.text,
    lines(
      "SSH Node Pool GPUs",
      "GPU   UTILIZATION    ",
      "H100  12 of 16 free  ",
      "L4    0 of 1 free    ",
      "SSH Node Pool: lab",
      "GPU   REQUESTABLE_QTY_PER_NODE  UTILIZATION    ",
      "H100  1, 2, 4, 8                12 of 16 free  ",
      "SSH Node Pool: b",
      "GPU  REQUESTABLE_QTY_PER_NODE  UTILIZATION  ",
      "L4   1                         0 of 1 free  ",
      "SSH Node Pool per-node GPU availability",
      "NODE_POOL  NODE  vCPU           Memory (GB)        GPU   GPU UTILIZATION  NODE STATUS  ",
      "lab        n1    90 of 96 free  900.5 of 960 free  H100  8 of 8 free      Healthy      ",
      "lab        n2    90 of 96 free  900.5 of 960 free  H100  4 of 8 free      NotReady     ",
      "b          n3    4              -                  -     0 of 8 free      Healthy      ",
      "",
      "",
      "Cloud GPUs",
      "COMMON_GPU  AVAILABLE_QUANTITIES  ",
      "T4          1                     ",
    ),
  );
  const only = await sky(["gpus", "list", "--infra", "ssh/lab", "H100:8"], { answers: pooled });
  assertEquals(inputOf(only, "gpuAvailability"), {
    context: "ssh-lab",
    name_filter: "H100",
    quantity_filter: 8,
    is_ssh: true,
  });
  assertStringIncludes(only.text, "QTY_FILTER");
  assertEquals(only.text.includes("Cloud GPUs"), false);
});

const slurmNode = (name: string, more: Partial<SlurmNodeView> = {}): SlurmNodeView => ({
  node_name: name,
  slurm_cluster_name: "hpc",
  partition: "main,short",
  node_state: "mix",
  gpu_type: "H100",
  total_gpus: 8,
  free_gpus: 5,
  vcpu_count: 96,
  memory_gb: 960,
  free_vcpus: 90,
  free_alloc_memory_gb: 900.5,
  ...more,
});

const withSlurm: Answers = {
  ...answers,
  slurmGpus: ({ slurm_cluster_name: only }) =>
    only === "none" ? [] : [
      ["hpc", [["H100", [1, 2, 4, 8], 16, 5]], null],
      ["lab", [], "Could not query Slurm cluster 'lab': no route"],
    ],
  // As an official server does that is asked by GET: all of them, whoever was meant.
  slurmNodes: () => [
    slurmNode("g1"),
    slurmNode("g2", { partition: "main", node_state: "down*", free_gpus: 0 }),
    slurmNode("c1", { partition: "", gpu_type: null, total_gpus: 0, free_gpus: 0, memory_gb: null }),
    slurmNode("other", { slurm_cluster_name: "elsewhere" }),
  ],
};

Deno.test("gpus list --infra slurm shows clusters, and those that can't be asked", async () => {
  const ran = await sky(["gpus", "list", "--infra", "slurm"], { answers: withSlurm });
  const clusters = [
    "Slurm GPUs",
    "Slurm Cluster: hpc",
    "GPU   REQUESTABLE_QTY_PER_NODE  UTILIZATION   ",
    "H100  1, 2, 4, 8                5 of 16 free  ",
    "Slurm Cluster: lab",
    "Error: Could not query Slurm cluster 'lab': no route",
  ];
  assertEquals([ran.code, ran.text], [0, lines(...clusters)]);
  assertEquals(keysOf(ran), ["slurmGpus"]);

  const more = await sky(["gpus", "list", "--infra", "slurm/hpc", "-v"], { answers: withSlurm });
  assertEquals(
    more.text,
    lines(
      ...clusters,
      "Slurm per-partition accelerator availability",
      "CLUSTER  PARTITION  GPU   UTILIZATION   ",
      "hpc      main       H100  5 of 16 free  ",
      "hpc      short      H100  5 of 8 free   ",
      "Slurm per-node GPU availability",
      "CLUSTER  PARTITION   NODE  vCPU           Memory (GB)        GPU   GPU UTILIZATION  NODE STATUS  ",
      "hpc      main,short  g1    90 of 96 free  900.5 of 960 free  H100  5 of 8 free      mix          ",
      "hpc      main        g2    90 of 96 free  900.5 of 960 free  H100  0 of 8 free      down*        ",
      "hpc      -           c1    90 of 96 free  -                  -     0 of 0 free      mix          ",
    ),
  );
  assertEquals(inputOf(more, "slurmGpus")?.["slurm_cluster_name"], "hpc");

  const one = await sky(["gpus", "list", "--infra", "slurm", "-v", "H100:8"], { answers: withSlurm });
  assertStringIncludes(one.text, "GPU   QTY_FILTER  UTILIZATION");
  assertEquals(keysOf(one), ["slurmGpus"]);
});

Deno.test("gpus list shows Slurm above what clouds sell, and says why there is none", async () => {
  const sold = [["AWS", "g4dn.xlarge", "T4", 1, 4, 16, 16, 0.5, 0.1, "us-east-1"]];
  const own = [["Slurm", null, "H100", 8, null, null, null, 0, null, "hpc"]];
  const all = await sky(["gpus", "list"], {
    answers: { ...withSlurm, listAccelerators: () => ({ T4: sold, H100: own }) },
  });
  assertStringIncludes(all.text, "no route\n\n\nCloud GPUs\nCOMMON_GPU  AVAILABLE_QUANTITIES  \nT4 ");
  assertEquals(all.text.indexOf("Slurm GPUs"), 0);

  const asked = async (words: string[], enabled: string[]) => {
    const more = { ...withSlurm, enabledClouds: () => enabled };
    return (await sky(["gpus", "list", "--infra", "slurm/none", ...words], { answers: more })).text;
  };
  assertEquals(await asked([], ["aws"]), "Slurm is not enabled. To fix, run: sky check slurm \n");
  assertEquals(
    await asked([], ["slurm/hpc"]),
    "No GPUs found in any Slurm partition. To further debug, run: sky check slurm \n",
  );
  assertEquals(
    await asked(["L4:2"], ["slurm/hpc"]),
    "Resources 'L4' with requested quantity 2 not found in any Slurm partition. " +
      "To show available accelerators on Slurm, run: sky gpus list --infra slurm \n",
  );
});
