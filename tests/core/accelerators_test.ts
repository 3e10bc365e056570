import { assert, assertEquals } from "@std/assert";
import { canonicalAccelerator, parseAccelerators, tpuDefaults } from "../../core/accelerators.ts";
import { ACCELERATOR_NAMES, GPU_MODELS } from "../../core/gpu_table.ts";
import { assertRefuses } from "./refusal.ts";

const named = (wish: Parameters<typeof parseAccelerators>[0]) => {
  const { kind, wishes } = parseAccelerators(wish, null);
  return [kind, ...wishes.map(({ name, count }) => `${name}:${count}`)];
};

Deno.test("parseAccelerators gives the vectors of appendix A.3", () => {
  assertEquals(named("H100"), ["any", "H100:1"]);
  assertEquals(named("h100:8"), ["any", "H100:8"]);
  assertEquals(named("A100:0.5"), ["any", "A100:0.5"]);
  assertEquals(named("A100:2.0"), ["any", "A100:2"]);
  assertEquals(named(["L4", "A100:2"]), ["ordered", "L4:1", "A100:2"]);
  assertEquals(named({ L4: null, A100: 2 }), ["any", "L4:1", "A100:2"]);
  assertEquals(named({ "L4:1": null, "H100:2": null }), ["any", "L4:1", "H100:2"]);
});

Deno.test("parseAccelerators expands memory forms without naming the result as wished", () => {
  const big = parseAccelerators("80GB+", null);
  assertEquals(big.kind, "any");
  assert(big.wishes.every(({ count, implied }) => count === 1 && implied));
  const bigNames = big.wishes.map(({ name }) => name);
  for (const name of ["H100", "A100-80GB", "H200", "B200", "MI300X"]) assert(bigNames.includes(name), name);
  for (const name of ["A100", "L4", "Trainium"]) assert(!bigNames.includes(name), name);
  const exact = parseAccelerators("nvidia:24GB:2", null).wishes;
  assert(
    exact.every(({ name, count }) => count === 2 && GPU_MODELS.find((m) => m.name === name)?.memoryGb === 24),
  );
  assert(exact.some(({ name }) => name === "L4") && exact.some(({ name }) => name === "A10G"));
  assert(
    parseAccelerators("AMD:64GB+:4", null).wishes.some(({ name, count }) => name === "MI210" && count === 4),
  );
  assertEquals(named("24GB+:4").every((text, i) => i === 0 || text.endsWith(":4")), true);
  assertRefuses(() => named("9999TB"), "invalid_argument", "No known accelerator has 9999TB of memory.");
});

Deno.test("parseAccelerators lets an explicit name win over an implied one", () => {
  const { wishes } = parseAccelerators(["H100:2", "80GB"], null);
  assertEquals(wishes.filter(({ name }) => name === "H100"), [{ name: "H100", count: 2, implied: false }]);
});

Deno.test("parseAccelerators refuses with its words", () => {
  for (const bad of ["A100:x", "A:1:2", "", ":1", "A100:", "A100:1e3"]) {
    assertRefuses(
      () => named(bad),
      "invalid_argument",
      `The "accelerators" field as a str should be <name> or <name>:<cnt>. Found: '${bad}'`,
    );
  }
  assertRefuses(
    () => named("A100:0"),
    "invalid_argument",
    "Accelerator count must be a positive number. Got: 0",
  );
  assertRefuses(
    () => named({ A100: -1 }),
    "invalid_argument",
    "Accelerator count must be a positive number. Got: -1",
  );
});

Deno.test("canonicalAccelerator spells names as the catalogs do", () => {
  assertEquals(canonicalAccelerator("h100", null), "H100");
  assertEquals(canonicalAccelerator("A100-8", null), "A100-80GB");
  assertEquals(canonicalAccelerator("4090", "aws"), "RTX4090");
  assertEquals(canonicalAccelerator("TPU-V5E-8", null), "tpu-v5e-8");
  assertEquals(canonicalAccelerator("my-chip", null), "my-chip");
  assertEquals(canonicalAccelerator("4090", "slurm"), "4090");
  assertEquals(canonicalAccelerator("a100", "kubernetes"), "A100");
  assertRefuses(
    () =>
      canonicalAccelerator("mi25", null) && canonicalAccelerator("v100-", null) &&
      canonicalAccelerator("rtx", null),
    "invalid_argument",
    /^Accelerator name 'rtx' is ambiguous\. Please choose one of \['RTX2070', /,
  );
});

Deno.test("accelerator names are each known once", () => {
  assertEquals(new Set(ACCELERATOR_NAMES.map((name) => name.toLowerCase())).size, ACCELERATOR_NAMES.length);
});

Deno.test("tpuDefaults knows runtime versions and clouds", () => {
  assertEquals(tpuDefaults("tpu-v4-8", {}), { cloud: "gcp", runtimeVersion: "tpu-vm-base" });
  assertEquals(tpuDefaults("tpu-v5e-8", {})?.runtimeVersion, "v2-alpha-tpuv5");
  assertEquals(tpuDefaults("tpu-v6e-8", {})?.runtimeVersion, "v2-alpha-tpuv6e");
  assertEquals(tpuDefaults("tpu-v3-8", { tpu_vm: false })?.runtimeVersion, "2.12.0");
  assertEquals(tpuDefaults("tpu-v5-lite-podslice", {})?.cloud, "gcp");
  assertEquals(tpuDefaults("H100", {}), null);
});
