import { assert, assertEquals } from "@std/assert";
import {
  amountOf,
  localDiskFits,
  parseCpus,
  parseDiskSize,
  parseLocalDisk,
  parseMemory,
  parseMinutes,
  parseSeconds,
} from "../../core/sizes.ts";
import { assertRefuses } from "./refusal.ts";

Deno.test("parseLocalDisk gives the vectors of appendix A.4", () => {
  const cases: [string | number, string][] = [
    ["nvme", "nvme:100+"],
    ["1000+", "nvme:1000+"],
    ["ssd:500", "ssd:500"],
    ["SSD", "ssd:100+"],
    [500, "nvme:500"],
    ["NVMe:1.5+", "nvme:1.5+"],
  ];
  for (const [wish, text] of cases) assertEquals(parseLocalDisk(wish), text);
  for (const bad of ["hdd", "nvme:-1", "nvme:1:2", "foo", "nvme:", "0", ""]) {
    assertRefuses(
      () => parseLocalDisk(bad),
      "invalid_argument",
      `Invalid local_disk: '${bad}'. Expected "mode:size[+]", "mode", or "size[+]". Mode must be "nvme" or "ssd", ` +
        `size must be positive (GB), optionally with "+".`,
    );
  }
});

Deno.test("localDiskFits follows appendix A.4", () => {
  assert(localDiskFits("ssd:500+", "nvme:600"));
  assert(!localDiskFits("nvme:100+", "ssd:500"));
  assert(localDiskFits("nvme:500", "nvme:501"));
  assert(!localDiskFits("nvme:500", "nvme:502"));
  assert(!localDiskFits("nvme:500+", "nvme:499"));
});

Deno.test("times give the vectors of appendix A.5", () => {
  const minutes: [string | number, number][] = [["10", 10], ["10m", 10], ["2h", 120], ["1d", 1440], [
    "1w",
    10080,
  ], [
    "1H",
    60,
  ], [7, 7]];
  for (const [wish, value] of minutes) assertEquals(parseMinutes(wish), value);
  for (const [wish, value] of [["30", 30], ["30s", 30], ["5m", 300], ["1h", 3600]] as [string, number][]) {
    assertEquals(parseSeconds(wish), value);
  }
  for (const bad of ["10x", "h", "", "1.5h", "-5"]) {
    assertRefuses(() => parseMinutes(bad), "invalid_argument", `Invalid time format: ${bad}`);
    assertRefuses(() => parseSeconds(bad), "invalid_argument", `Invalid time format: ${bad}`);
  }
  assertRefuses(() => parseMinutes("10s"), "invalid_argument", "Invalid time format: 10s");
});

Deno.test("parseMemory gives the vectors of appendix A.5", () => {
  const cases: [string | number, string][] = [
    ["16", "16"],
    [16, "16"],
    ["16GB", "16"],
    ["1024MB", "1"],
    ["512mb", "0.5"],
    ["64Gi", "64"],
    ["32+", "32+"],
    ["16GB+", "16+"],
    ["4x", "4x"],
    ["4X", "4x"],
    ["1TB", "1024"],
    ["16.0", "16"],
  ];
  for (const [wish, text] of cases) assertEquals(parseMemory(wish), text);
  assertEquals(parseMemory(0, { allowZero: true }), "0");
});

Deno.test("parseMemory, parseCpus and parseDiskSize refuse with their words", () => {
  const units = "where unit is one of KB/MB/GB/TB/PB";
  assertRefuses(
    () => parseMemory("abc"),
    "invalid_argument",
    `"memory" field should be a number (e.g. "16") or "<number><unit>" ${units} (e.g. "16GB") or "<number>+" for ` +
      `"at least". Got: 'abc'`,
  );
  assertRefuses(() => parseMemory(0), "invalid_argument", `The "memory" field should be positive. Found: 0`);
  assertRefuses(
    () => parseCpus("abc"),
    "invalid_argument",
    `The "cpus" field should be either a number or a string "<number>+". Found: 'abc'`,
  );
  for (const bad of ["4x", "", "+", "nan", "1e3", "4++"]) {
    assertRefuses(() => parseCpus(bad), "invalid_argument", /either a number or a string/);
  }
  assertRefuses(() => parseCpus(-1), "invalid_argument", `The "cpus" field should be positive. Found: -1`);
  assertRefuses(
    () => parseDiskSize("abc"),
    "invalid_argument",
    `"disk_size" field should be a number (e.g. "16") or "<number><unit>" ${units} (e.g. "16GB"). Got: 'abc'`,
  );
  for (const bad of [0, -5, "100MB"]) {
    assertRefuses(
      () => parseDiskSize(bad),
      "invalid_argument",
      `"disk_size" must be a positive integer (in GB).`,
    );
  }
});

Deno.test("parseDiskSize takes units and drops parts of a GB", () => {
  assertEquals([256, "256", "256GB", "1TB", "1500MB", "10gi"].map((wish) => parseDiskSize(wish)), [
    256,
    256,
    256,
    1024,
    1,
    10,
  ]);
});

Deno.test("parseCpus is canonical and amountOf takes it apart", () => {
  assertEquals([4, "4", "4+", "4.0", "0.5", " 8+ "].map(parseCpus), ["4", "4", "4+", "4", "0.5", "8+"]);
  assertEquals(amountOf("4"), { value: 4, form: "exact" });
  assertEquals(amountOf("4.5+"), { value: 4.5, form: "atLeast" });
  assertEquals(amountOf("4x"), { value: 4, form: "perCpu" });
});
