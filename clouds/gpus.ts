/**
 * GPUs as every cloud with a driver of its own sees them: what nvidia-smi is asked, what its answer means, and which
 * wishes a device meets. Pure.
 */

export interface Gpu {
  readonly index: number;
  /** Canonical, e.g. `A100-80GB`. */
  readonly name: string;
  readonly memoryMib: number;
}

/** In this order the first that stands in a product's name, as a word, is the GPU's name (domain.md §3.3). */
const FAMILIES =
  ("GB300 GB200 B300 B200 B100 GH200 H200 H100-MEGA H100 A100 A10G A10 A16 A30 A40 L40S L40 L4 " +
    "T4 V100 P100 P4 K80 M60 MI300X MI250").split(" ");

/** Families sold in two sizes: the larger one's name, and from how many MiB on. */
const LARGER: Readonly<Record<string, readonly [name: string, fromMib: number]>> = {
  A100: ["A100-80GB", 60_000],
  V100: ["V100-32GB", 24_000],
};

/** `NVIDIA H100 80GB HBM3` → `H100`, `NVIDIA GeForce RTX 4090` → `RTX4090`. */
export function gpuName(product: string, memoryMib: number): string {
  const dashed = product.trim().toUpperCase().replace(/[\s_]+/g, "-");
  const family = FAMILIES.find((name) => new RegExp(`(^|-)${name}(-|$)`).test(dashed));
  if (family !== undefined) {
    const larger = LARGER[family];
    return larger !== undefined && memoryMib >= larger[1] ? larger[0] : family;
  }
  return dashed.replace(/NVIDIA-|GEFORCE-|TESLA-|QUADRO-/g, "").replaceAll("RTX-", "RTX");
}

/** Parse `index, name, MiB` lines of nvidia-smi. Lines that are none (a broken driver's complaints) are left out. */
export function parseGpus(text: string): Gpu[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*(\d+)\s*,\s*(.+?)\s*,\s*(\d+)\s*$/.exec(line);
    if (match === null) return [];
    const memoryMib = Number(match[3]);
    return [{ index: Number(match[1]), name: gpuName(match[2]!, memoryMib), memoryMib }];
  });
}

/**
 * Whether a GPU is what a name asks for: the same, or one the beginning of the other up to a dash (`H100` asked
 * for, `H100-MEGA` there), but never one with less memory than the name says.
 */
export function gpuMatches(gpu: Gpu, name: string): boolean {
  const [asked, there] = [name.toLowerCase(), gpu.name.toLowerCase()];
  const gigabytes = /-(\d+)gb$/.exec(asked)?.[1];
  // Cards tell some percent less than they are sold with.
  if (gigabytes !== undefined && gpu.memoryMib > 0 && gpu.memoryMib / 1024 < Number(gigabytes) * 0.9) {
    return false;
  }
  return asked === there || there.startsWith(`${asked}-`) || asked.startsWith(`${there}-`);
}
