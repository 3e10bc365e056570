/** GPUs of Slurm clusters: their section in `sky gpus list` (cli.md §4.2). */
import type { SlurmGpusView, SlurmNodeView } from "../../api/places.ts";
import { isSkyError } from "../../core/errors.ts";
import { plainTable } from "../../core/table.ts";
import type { Sky } from "../../sdk/client.ts";
import type { Io } from "../command.ts";
import { ask } from "../follow.ts";
import { gpuLines, measure, type PlaceWish, type Style, totals, utilization } from "./gpus_places.ts";

export interface SlurmGpus {
  readonly clusters: SlurmGpusView;
  /** Of the clusters that could be asked; null: not wanted. */
  readonly nodes: readonly SlurmNodeView[] | null;
}

/** The clusters with GPUs, and those that could not be asked. `nodes`: their nodes, too. */
export async function slurmGpus(
  io: Io,
  sky: Sky,
  { nodes, ...wish }: PlaceWish & { readonly nodes: boolean },
): Promise<SlurmGpus> {
  const clusters = await availability(io, sky, wish);
  if (!nodes) return { clusters, nodes: null };
  const answers = clusters.filter(([, , error]) => error === null)
    .map(([cluster]) => ask(io, sky, "slurmNodes", { slurm_cluster_name: cluster }));
  const names = new Set(clusters.map(([cluster]) => cluster));
  const all = (await Promise.all(answers)).flat().filter((node) => names.has(node.slurm_cluster_name));
  // A server that does not read who was meant tells of all, each time.
  return {
    clusters,
    nodes: [...new Map(all.map((node) => [`${node.slurm_cluster_name}\n${node.node_name}`, node])).values()],
  };
}

async function availability(io: Io, sky: Sky, wish: PlaceWish): Promise<SlurmGpusView> {
  try {
    const clusters = await ask(io, sky, "slurmGpus", {
      slurm_cluster_name: wish.place,
      name_filter: wish.name,
      quantity_filter: wish.quantity,
    });
    return clusters.map(([cluster, gpus, error]) => [cluster, gpus, error ?? null]);
  } catch (error) {
    // Servers from before there was Slurm don't know the question.
    if (isSkyError(error, "file_not_found") || isSkyError(error, "not_implemented")) return [];
    throw error;
  }
}

/** The section's lines. `quantity`: one was asked for. */
export function slurmLines(
  { clusters, nodes }: SlurmGpus,
  style: Style,
  options: { quantity: boolean },
): string[] {
  const lines = [style.green(style.bold("Slurm GPUs"))];
  const title = (cluster: string) => style.cyan(`Slurm Cluster: ${cluster}`);
  const told = clusters.filter(([, , error]) => error === null);
  if (told.length > 1) lines.push(...totals(told.map(([, gpus]) => ({ gpus }))).split("\n"));
  for (const [cluster, gpus] of told) lines.push(title(cluster), ...gpuLines(gpus, options));
  for (const [cluster, , error] of clusters) {
    if (error !== null) lines.push(title(cluster), style.yellow(`Error: ${error}`));
  }
  if (nodes === null || told.length === 0) return lines;
  return [
    ...lines,
    style.cyan(style.bold("Slurm per-partition accelerator availability")),
    ...partitionTable(nodes).split("\n"),
    style.cyan(style.bold("Slurm per-node GPU availability")),
    ...nodeTable(nodes).split("\n"),
  ];
}

/** A node of several partitions counts in each. */
function partitionTable(nodes: readonly SlurmNodeView[]): string {
  const sums = new Map<string, { cells: string[]; total: number; free: number }>();
  for (const node of nodes) {
    for (const partition of node.partition.split(",").filter((name) => name !== "")) {
      const cells = [node.slurm_cluster_name, partition, node.gpu_type ?? "-"];
      const key = cells.join("\n");
      const { total, free } = sums.get(key) ?? { total: 0, free: 0 };
      sums.set(key, { cells, total: total + node.total_gpus, free: free + node.free_gpus });
    }
  }
  const rows = [...sums].sort(([a], [b]) => a < b ? -1 : 1)
    .map(([, { cells, total, free }]) => [...cells, utilization(free, total)]);
  return plainTable(["CLUSTER", "PARTITION", "GPU", "UTILIZATION"], rows);
}

function nodeTable(nodes: readonly SlurmNodeView[]): string {
  const header = "CLUSTER,PARTITION,NODE,vCPU,Memory (GB),GPU,GPU UTILIZATION,NODE STATUS".split(",");
  return plainTable(
    header,
    nodes.map((node) => [
      node.slurm_cluster_name,
      node.partition === "" ? "-" : node.partition,
      node.node_name,
      measure(node.free_vcpus ?? null, node.vcpu_count),
      measure(node.free_alloc_memory_gb ?? null, node.memory_gb),
      node.gpu_type ?? "-",
      utilization(node.free_gpus, node.total_gpus),
      node.node_state,
    ]),
  );
}
