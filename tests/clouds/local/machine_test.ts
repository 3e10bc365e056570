import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { gpuName, parseGpus } from "../../../clouds/gpus.ts";
import { groupLimits, thisMachine } from "../../../clouds/local/machine.ts";
import { processEnv, signal } from "../support.ts";

Deno.test("gpuName gives canonical names", () => {
  const cases: [string, number, string][] = [
    ["NVIDIA H100 80GB HBM3", 81559, "H100"],
    ["NVIDIA H100 PCIe", 81559, "H100"],
    ["NVIDIA A100-SXM4-80GB", 81920, "A100-80GB"],
    ["NVIDIA A100 80GB PCIe", 81920, "A100-80GB"],
    ["NVIDIA A100-SXM4-40GB", 40960, "A100"],
    ["NVIDIA A10G", 23028, "A10G"],
    ["NVIDIA A10", 23028, "A10"],
    ["NVIDIA L4", 23034, "L4"],
    ["NVIDIA L40S", 46068, "L40S"],
    ["Tesla T4", 15360, "T4"],
    ["Tesla V100-SXM2-32GB", 32768, "V100-32GB"],
    ["Tesla V100-SXM2-16GB", 16384, "V100"],
    ["Tesla K80", 11441, "K80"],
    ["NVIDIA GeForce RTX 4090", 24564, "RTX4090"],
    ["NVIDIA RTX A6000", 49140, "RTXA6000"],
    ["NVIDIA GH200 480GB", 97871, "GH200"],
    ["NVIDIA B200", 183359, "B200"],
    ["Quadro P4000", 8192, "P4000"],
  ];
  for (const [product, mib, name] of cases) assertEquals(gpuName(product, mib), name, product);
});

Deno.test("parseGpus reads nvidia-smi and leaves out complaints", () => {
  const text = "0, NVIDIA H100 80GB HBM3, 81559\n1, NVIDIA L4, 23034\nNo devices were found\n\n2, x, [N/A]\n";
  assertEquals(parseGpus(text), [
    { index: 0, name: "H100", memoryMib: 81559 },
    { index: 1, name: "L4", memoryMib: 23034 },
  ]);
});

Deno.test("groupLimits takes the tightest of a control group and those above", async () => {
  const root = await Deno.makeTempDir();
  await Deno.mkdir(join(root, "a/b"), { recursive: true });
  assertEquals(await groupLimits(root, "/a/b"), { cpus: Infinity, memoryBytes: Infinity });
  await Deno.writeTextFile(join(root, "a/cpu.max"), "150000 100000\n");
  await Deno.writeTextFile(join(root, "a/b/cpu.max"), "max 100000\n");
  await Deno.writeTextFile(join(root, "a/memory.max"), "max\n");
  await Deno.writeTextFile(join(root, "a/b/memory.max"), "1073741824\n");
  assertEquals(await groupLimits(root, "/a/b"), { cpus: 1.5, memoryBytes: 2 ** 30 });
  await Deno.remove(root, { recursive: true });
});

Deno.test("thisMachine has CPUs and memory, and the GPUs nvidia-smi tells", async () => {
  const bin = await Deno.makeTempDir();
  const plain = await thisMachine({
    env: (name) => name === "PATH" ? bin : undefined,
    signal,
    processes: null,
  });
  assert(plain.cpus > 0 && plain.cpus <= navigator.hardwareConcurrency && plain.memoryGb > 0);
  assertEquals(plain.gpus, []);
  const script = '#!/bin/sh\n[ "$1" = --query-gpu=index,name,memory.total ] && echo "0, Tesla T4, 15360"\n';
  await Deno.writeTextFile(join(bin, "nvidia-smi"), script, { mode: 0o755 });
  const path = `${bin}:${processEnv("PATH")}`;
  const machine = await thisMachine({
    env: (name) => name === "PATH" ? path : undefined,
    signal,
    processes: null,
  });
  assertEquals(machine.gpus, [{ index: 0, name: "T4", memoryMib: 15360 }]);
  await Deno.remove(bin, { recursive: true });
});
