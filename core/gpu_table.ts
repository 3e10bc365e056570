/** Accelerators that we know by name: device memory in GB and maker (domain.md §3.3). Data only. */

export interface GpuModel {
  readonly name: string;
  readonly memoryGb: number;
  readonly maker: string;
}

// Names of one memory size, grouped by maker; canonical spelling.
const NVIDIA: Readonly<Record<number, string>> = {
  8: "M60 P4 RTX2070 RTX2080 RTX3050 RTX3060Ti RTX3070 RTX3070Ti RTX4060 RTX4060Ti RTX5060 RTX4000",
  10: "RTX3080",
  11: "RTX2080Ti GTX1080Ti",
  12: "K80 RTX3060 RTX3080Ti RTX4070 RTX4070Ti RTX5070 RTXA2000 TITANX TITANV",
  16:
    "A16 P100 T4 T4g V100 A4000 RTXA4000 RTX4070TiSuper RTX4080 RTX4080Super RTX5000 RTX5070Ti RTX5080 P5000",
  20: "A4500 RTXA4500 RTX4000-Ada RTX4000SFF",
  24: "A10 A10G A30 A5000 RTXA5000 L4 M40 P40 RTX3090 RTX3090Ti RTX4090 RTX4500-Ada RTX6000 TITANRTX P6000",
  32: "V100-32GB RTX5000-Ada RTX5090 RTXPRO4500",
  40: "A100",
  48: "A40 A6000 RTXA6000 L40 L40S RTX6000-Ada RTX8000 RTXPRO5000",
  80: "A100-80GB A800 H100 H100-80GB H100-MEGA H100-SXM H800",
  94: "H100-NVL",
  96: "GH200 H20 RTXPRO6000",
  141: "H200 H200-NVL H200-SXM",
  180: "B200",
  186: "GB200",
  192: "B100",
  288: "B300 GB300",
};
const AMD: Readonly<Record<number, string>> = {
  8: "RadeonProV520",
  16: "MI25",
  32: "MI50 MI60 MI100",
  64: "MI210",
  128: "MI250 MI250X MI300A",
  192: "MI300X",
  256: "MI325X",
  288: "MI350X MI355X",
};
const INTEL: Readonly<Record<number, string>> = { 32: "Gaudi", 96: "Gaudi2", 128: "Gaudi3" };
/** Schedulable but no GPUs: never meant by a wish for so much memory. */
const OTHERS = "Inferentia Inferentia2 Trainium Trainium2 Trainium3".split(" ");

function models(maker: string, table: Readonly<Record<number, string>>): GpuModel[] {
  return Object.entries(table).flatMap(([memory, names]) =>
    names.split(" ").map((name) => ({ name, memoryGb: Number(memory), maker }))
  );
}

export const GPU_MODELS: readonly GpuModel[] = [
  ...models("NVIDIA", NVIDIA),
  ...models("AMD", AMD),
  ...models("Intel", INTEL),
];

export const ACCELERATOR_NAMES: readonly string[] = [...GPU_MODELS.map(({ name }) => name), ...OTHERS];
