/**
 * The `slurm` section of the config (domain.md §9.2): keys of three levels (all, cluster, partition), the most
 * specific one first. Owns looking them up. Pure.
 */
import { lookup, type SkyConfig } from "../../core/config.ts";
import { isMap } from "../../core/plain.ts";

export interface Pricing {
  readonly cpu: number;
  readonly memory: number;
  readonly accelerators: Readonly<Record<string, number>>;
}

/** The levels' values of one key, the most general first. */
function levels(
  config: SkyConfig,
  key: string,
  where: { cluster: string; partition: string | null },
): unknown[] {
  const slurm = lookup(config, "slurm");
  if (!isMap(slurm)) return [];
  // Names may hold dots, so no dotted path here.
  const clusters = isMap(slurm["cluster_configs"]) ? slurm["cluster_configs"] : {};
  const cluster = Object.hasOwn(clusters, where.cluster) ? clusters[where.cluster] : undefined;
  const partitions = isMap(cluster) && isMap(cluster["partition_configs"])
    ? cluster["partition_configs"]
    : {};
  const partition = where.partition !== null && Object.hasOwn(partitions, where.partition)
    ? partitions[where.partition]
    : undefined;
  return [slurm, cluster, partition].flatMap((level) =>
    isMap(level) && level[key] !== undefined && level[key] !== null ? [level[key]] : []
  );
}

function merged(values: readonly unknown[]): Record<string, unknown> {
  return Object.fromEntries(values.flatMap((value) => isMap(value) ? Object.entries(value) : []));
}

function texts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return Array.isArray(value) ? value.map(String) : [];
}

/** Clusters that may be used; null for all. */
export function allowedClusters(config: SkyConfig): readonly string[] | null {
  const value = lookup(config, "slurm.allowed_clusters");
  return value === undefined || value === null || value === "all" ? null : texts(value);
}

/** Seconds to wait for an allocation; null for ever. Two minutes, or a day where a partition was asked for. */
export function provisionTimeout(config: SkyConfig, options: { partitionAsked: boolean }): number | null {
  const value = lookup(config, "slurm.provision_timeout");
  if (typeof value !== "number") return options.partitionAsked ? 86_400 : 120;
  return value < 0 ? null : value;
}

/** An absolute folder of a shared file system, or null for the login's home. */
export function workdirOf(config: SkyConfig, cluster: string): string | null {
  const value = levels(config, "workdir", { cluster, partition: null }).at(-1);
  return typeof value === "string" && value !== "" ? value : null;
}

/** Where a node has a disk of its own. */
export function tmpdirOf(config: SkyConfig, cluster: string): string {
  const value = levels(config, "tmpdir", { cluster, partition: null }).at(-1);
  return typeof value === "string" && value.startsWith("/") ? value : "/tmp";
}

export function sbatchOptions(
  config: SkyConfig,
  where: { cluster: string; partition: string },
): Record<string, unknown> {
  return merged(levels(config, "sbatch_options", where));
}

/** Partitions for jobs without GPUs; null for any. */
export function cpuPartitions(config: SkyConfig, cluster: string): readonly string[] | null {
  const value = levels(config, "cpu_partition", { cluster, partition: null }).at(-1);
  return value === undefined ? null : texts(value);
}

/** Partitions that have a GPU by the administrator's word, whatever GRES says; null where nothing is said. */
export function gpuPartitions(config: SkyConfig, cluster: string, gpu: string): readonly string[] | null {
  const map = merged(levels(config, "gpu_partition_map", { cluster, partition: null }));
  const found = Object.entries(map).find(([name]) => name.toLowerCase() === gpu.toLowerCase());
  return found === undefined ? null : texts(found[1]);
}

/** USD an hour of one node. Accelerators, where there are any, are all that is paid for. */
export function hourlyCost(
  config: SkyConfig,
  where: { cluster: string; partition: string },
  size: { cpus: number; memoryGb: number; gpu: { name: string; count: number } | null },
): number {
  const pricing = merged(levels(config, "pricing", where));
  const number = (value: unknown) => typeof value === "number" && value >= 0 ? value : 0;
  if (size.gpu === null) {
    return size.cpus * number(pricing["cpu"]) + size.memoryGb * number(pricing["memory"]);
  }
  const { name, count } = size.gpu;
  const rates = isMap(pricing["accelerators"]) ? pricing["accelerators"] : {};
  const rate = Object.entries(rates).find(([gpu]) => gpu.toLowerCase() === name.toLowerCase())?.[1];
  return count * number(rate);
}
