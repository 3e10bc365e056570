/** The `accelerators` syntax (domain.md §1.3.3, §3.3): names, counts, memory forms, TPU defaults. Pure. */
import { hasVirtualTypes } from "./cloud_names.ts";
import { SkyError } from "./errors.ts";
import { pyFloat, pyRepr } from "./format.ts";
import { ACCELERATOR_NAMES, GPU_MODELS } from "./gpu_table.ts";

export interface AcceleratorWish {
  readonly name: string;
  readonly count: number;
  /** True if the user asked for memory, not for this name: its absence is then not worth a message. */
  readonly implied: boolean;
}

/** `ordered`: the user's order of preference. `any`: no order. */
export interface AcceleratorChoice {
  readonly kind: "ordered" | "any";
  readonly wishes: readonly AcceleratorWish[];
}

export type AcceleratorYaml = string | Readonly<Record<string, number | null>> | readonly string[];

const MEMORY = /^([0-9]+)([GMT])B(\+?)$/i;

/** `cloud` decides how names are completed. Throws invalid_argument. */
export function parseAccelerators(wish: AcceleratorYaml, cloud: string | null): AcceleratorChoice {
  const listed = Array.isArray(wish);
  const specs: readonly [string, number | null][] = typeof wish === "string"
    ? [[wish, null]]
    : listed
    ? wish.map((item: string): [string, null] => [item, null])
    : Object.entries(wish as Record<string, number | null>);
  const wishes = specs.flatMap((spec) => parseOne(spec, cloud));
  const explicit = new Set(wishes.filter(({ implied }) => !implied).map(({ name }) => name));
  const kept = wishes.filter(({ name, implied }) => !implied || !explicit.has(name));
  return { kind: listed ? "ordered" : "any", wishes: distinct(kept) };
}

function distinct(wishes: readonly AcceleratorWish[]): AcceleratorWish[] {
  const seen = new Set<string>();
  return wishes.filter(({ name, count }) => !seen.has(`${name}:${count}`) && seen.add(`${name}:${count}`));
}

function parseOne([text, count]: readonly [string, number | null], cloud: string | null): AcceleratorWish[] {
  const parts = text.split(":").map((part) => part.trim());
  if (count !== null) parts.push(String(count));
  const withMaker = MEMORY.test(parts[1] ?? "");
  const memory = MEMORY.exec((withMaker ? parts[1] : parts[0]) ?? "");
  const [countText = "1", ...extra] = parts.slice(memory !== null && withMaker ? 2 : 1);
  if (parts[0] === "" || extra.length > 0 || !/^[-+]?(?:\d+\.?\d*|\.\d+)$/.test(countText)) {
    throw new SkyError(
      "invalid_argument",
      `The "accelerators" field as a str should be <name> or <name>:<cnt>. Found: ${pyRepr(text)}`,
    );
  }
  const amount = Number(countText);
  if (amount <= 0) {
    const shown = countText.includes(".") ? pyFloat(amount) : String(amount);
    throw new SkyError("invalid_argument", `Accelerator count must be a positive number. Got: ${shown}`);
  }
  if (memory === null) {
    return [{ name: canonicalAccelerator(parts[0] ?? "", cloud), count: amount, implied: false }];
  }
  return byMemory(memory, withMaker ? parts[0] ?? "" : null).map((name) => ({
    name,
    count: amount,
    implied: true,
  }));
}

function byMemory(memory: RegExpExecArray, maker: string | null): string[] {
  const [text, number = "", unit = "", plus] = memory;
  const scale = { g: 1, m: 1 / 1024, t: 1024 }[unit.toLowerCase()] ?? 1;
  const size = Number(number) * scale;
  const fits = GPU_MODELS.filter((model) =>
    (plus === "+" ? model.memoryGb >= size : model.memoryGb === size) &&
    (maker === null || model.maker.toLowerCase() === maker.toLowerCase())
  );
  if (fits.length > 0) return fits.map(({ name }) => name);
  const whose = maker === null ? "" : ` of ${maker}`;
  throw new SkyError("invalid_argument", `No known accelerator${whose} has ${text} of memory.`);
}

/**
 * The usual spelling: `h100` → `H100`. Part of a single known name stands for it, except where machines are cut to
 * measure and names are the administrator's. Throws invalid_argument for part of several names.
 */
export function canonicalAccelerator(name: string, cloud: string | null): string {
  const lower = name.toLowerCase();
  if (lower.startsWith("tpu-")) return lower;
  const exact = ACCELERATOR_NAMES.find((known) => known.toLowerCase() === lower);
  if (exact !== undefined) return exact;
  if (cloud !== null && hasVirtualTypes(cloud)) return name;
  const close = ACCELERATOR_NAMES.filter((known) => known.toLowerCase().includes(lower));
  if (close.length > 1) {
    throw new SkyError(
      "invalid_argument",
      `Accelerator name ${pyRepr(name)} is ambiguous. Please choose one of ${pyRepr(close)}.`,
    );
  }
  return close[0] ?? name;
}

/** `H100:8` texts of a map, in its order. */
export function acceleratorTexts(accelerators: Readonly<Record<string, number>> | null): string[] {
  return Object.entries(accelerators ?? {}).map(([name, count]) => `${name}:${count}`);
}

/** What a TPU implies: its cloud and its runtime version. Null for anything else. */
export function tpuDefaults(
  name: string,
  args: Readonly<Record<string, unknown>>,
): { cloud: string; runtimeVersion: string } | null {
  if (!name.toLowerCase().includes("tpu")) return null;
  if (/^tpu-v\w+-(?:slice|podslice|device)$/.test(name)) {
    return { cloud: "kubernetes", runtimeVersion: "tpu-vm-base" };
  }
  if (args["tpu_vm"] === false) return { cloud: "gcp", runtimeVersion: "2.12.0" };
  const runtimeVersion = name.startsWith("tpu-v5")
    ? "v2-alpha-tpuv5"
    : name.startsWith("tpu-v6e")
    ? "v2-alpha-tpuv6e"
    : "tpu-vm-base";
  return { cloud: "gcp", runtimeVersion };
}
