/**
 * GPUs of machines that are shared out: the section of SSH node pools in `sky gpus list` (cli.md §4.2). That of Slurm
 * is gpus_slurm.ts's; what clouds sell is gpus_table.ts's.
 */
import type { GpuAvailabilityView, NodeView } from "../../api/places.ts";
import { amount } from "../../core/format.ts";
import { isSkyError } from "../../core/errors.ts";
import { plainTable } from "../../core/table.ts";
import type { Sky } from "../../sdk/client.ts";
import type { Io } from "../command.ts";
import { ask } from "../follow.ts";

export interface PlaceWish {
  readonly name: string | null;
  readonly quantity: number | null;
  /** As in the records, e.g. `ssh-lab`; null for all. */
  readonly place: string | null;
}

export interface Place {
  readonly name: string;
  readonly gpus: GpuAvailabilityView[number][1];
  readonly nodes: readonly NodeView[];
}

/** The pools with GPUs, each with its hosts; none where there are none. */
export async function poolsWithGpus(io: Io, sky: Sky, wish: PlaceWish): Promise<Place[]> {
  const found = await availability(io, sky, wish);
  return await Promise.all(found.map(async ([name, gpus]) => {
    const { node_info_dict: nodes } = await ask(io, sky, "nodeInfo", { context: name });
    return { name, gpus, nodes: Object.values(nodes) };
  }));
}

async function availability(io: Io, sky: Sky, wish: PlaceWish): Promise<GpuAvailabilityView> {
  try {
    return await ask(io, sky, "gpuAvailability", {
      context: wish.place,
      name_filter: wish.name,
      quantity_filter: wish.quantity,
      is_ssh: true,
    });
  } catch (error) {
    // The answer to there being none is an error, since SkyPilot's is.
    if (isSkyError(error, "invalid_argument") || isSkyError(error, "not_implemented")) return [];
    throw error;
  }
}

export interface Style {
  green(text: string): string;
  bold(text: string): string;
  cyan(text: string): string;
  yellow(text: string): string;
}

/** The section's lines. `quantity`: one was asked for. */
export function poolLines(
  places: readonly Place[],
  style: Style,
  options: { quantity: boolean },
): string[] {
  const shown = (name: string) => name.replace(/^ssh-/, "");
  const lines = [style.green(style.bold("SSH Node Pool GPUs"))];
  if (places.length > 1) lines.push(...totals(places).split("\n"));
  for (const { name, gpus } of places) {
    lines.push(style.cyan(`SSH Node Pool: ${shown(name)}`));
    lines.push(...gpuLines(gpus, options));
  }
  lines.push(style.cyan(style.bold("SSH Node Pool per-node GPU availability")));
  const header = ["NODE_POOL", "NODE", "vCPU", "Memory (GB)", "GPU", "GPU UTILIZATION", "NODE STATUS"];
  const rows = places.flatMap(({ name, nodes }) => nodes.map((node) => nodeCells(shown(name), node)));
  return [...lines, ...plainTable(header, rows).split("\n")];
}

/** The table of one place. */
export function gpuLines(gpus: Place["gpus"], { quantity }: { quantity: boolean }): string[] {
  const second = quantity ? "QTY_FILTER" : "REQUESTABLE_QTY_PER_NODE";
  const rows = gpus.map((
    [gpu, quantities, total, free],
  ) => [gpu, quantities.map(amount).join(", "), utilization(free, total)]);
  return plainTable(["GPU", second, "UTILIZATION"], rows).split("\n");
}

/** The table over several places. */
export function totals(places: readonly Pick<Place, "gpus">[]): string {
  const sums = new Map<string, { total: number; free: number }>();
  for (const [gpu, , total, free] of places.flatMap(({ gpus }) => gpus)) {
    const before = sums.get(gpu) ?? { total: 0, free: 0 };
    sums.set(gpu, { total: before.total + total, free: before.free + free });
  }
  return plainTable(
    ["GPU", "UTILIZATION"],
    [...sums].map(([gpu, { total, free }]) => [gpu, utilization(free, total)]),
  );
}

export function utilization(free: number, total: number): string {
  return `${free} of ${total} free`;
}

function nodeCells(place: string, node: NodeView): string[] {
  return [
    place,
    node.name,
    measure(node.cpu_free, node.cpu_count),
    measure(node.memory_free_gb, node.memory_gb),
    node.accelerator_type ?? "-",
    utilization(node.free.accelerators_available, node.total.accelerator_count),
    node.is_ready ? "Healthy" : "NotReady",
  ];
}

export function measure(free: number | null, total: number | null): string {
  if (total === null) return "-";
  return free === null ? amount(total) : `${amount(free)} of ${amount(total)} free`;
}
