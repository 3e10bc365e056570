/**
 * Which waiting job may start where (domain.md §5.4). Pure arithmetic over capacity and what running jobs hold;
 * keeper.ts decides when to ask and gang.ts runs what was placed.
 */
import type { NodeCapacity } from "../clouds/cloud.ts";
import type { LaunchedResources } from "../core/cluster.ts";
import type { JobRecord } from "../core/job.ts";

/** Every job takes half a CPU, whatever `cpus` it asked for: that only chose the machine. */
export const CPUS_PER_JOB = 0.5;

/** Shares are counted in ten-thousandths, so that 0.1 + 0.2 frees exactly what it took. */
const UNIT = 10_000;

/** What a job needs on each of its nodes. `gpus` may be a fraction below one. */
export interface Demand {
  readonly numNodes: number;
  readonly gpus: number;
  /** Name asked for; null when `gpus` is 0. */
  readonly gpuName: string | null;
}

export interface Placement {
  /** Node indexes in rank order (cluster order, head first). */
  readonly nodes: readonly number[];
  /** GPU indexes per node of `nodes`. */
  readonly gpus: readonly (readonly number[])[];
}

/** A placement with the share of each of its GPUs that it holds. */
export interface Held extends Placement {
  readonly share: number;
}

/**
 * The demand of a job on a cluster of these resources. A cluster launched with a fraction of a GPU hands that
 * fraction out as its whole.
 */
export function demandOf(
  job: Pick<JobRecord, "numNodes" | "accelerators">,
  launched: Pick<LaunchedResources, "accelerators">,
): Demand {
  const [entry] = Object.entries(job.accelerators ?? {});
  if (entry === undefined) return { numNodes: job.numNodes, gpus: 0, gpuName: null };
  const [gpuName, count] = entry;
  const whole = launched.accelerators?.[gpuName];
  const gpus = whole !== undefined && whole < 1 ? count / whole : count;
  return { numNodes: job.numNodes, gpus, gpuName };
}

/** How much of each of its GPUs such a job holds: all of it, unless it asked for less than one. */
export function shareOf(gpus: number): number {
  return gpus > 0 && gpus < 1 ? gpus : 1;
}

/** Place a job on distinct nodes, all or nothing; null when it has to wait. */
export function place(
  demand: Demand,
  capacity: readonly NodeCapacity[],
  held: readonly Held[],
): Placement | null {
  const nodes: number[] = [];
  const gpus: (readonly number[])[] = [];
  for (const [node, whole] of capacity.entries()) {
    if (nodes.length === demand.numNodes) break;
    const chosen = fitNode(demand, whole, { node, held });
    if (chosen === null) continue;
    nodes.push(node);
    gpus.push(chosen);
  }
  return nodes.length === demand.numNodes && nodes.length > 0 ? { nodes, gpus } : null;
}

/** True if the demand could be met by the empty cluster. */
export function couldEverFit(demand: Demand, capacity: readonly NodeCapacity[]): boolean {
  return place(demand, capacity, []) !== null;
}

/** GPU indexes for this demand on one node, `[]` for a job without, null when the node is too full. */
function fitNode(
  demand: Demand,
  whole: NodeCapacity,
  where: { node: number; held: readonly Held[] },
): readonly number[] | null {
  const here = where.held.filter((holder) => holder.nodes.includes(where.node));
  // The smallest node takes one job, too.
  const cpus = Math.max(whole.cpus, CPUS_PER_JOB);
  const cpusLeft = units(cpus) - here.length * units(CPUS_PER_JOB);
  if (cpusLeft < units(CPUS_PER_JOB)) return null;
  if (demand.gpus === 0) return [];
  if (whole.accelerators === null || !sameName(whole.accelerators.name, demand.gpuName)) return null;
  const free = freeShares(whole.accelerators.indexes, { node: where.node, held: here });
  const wanted = units(shareOf(demand.gpus));
  const usable = [...free].filter(([, left]) => left >= wanted);
  // A fraction goes where it leaves least over, so that whole GPUs stay whole.
  if (wanted < UNIT) usable.sort((a, b) => a[1] - b[1] || a[0] - b[0]);
  const count = Math.ceil(demand.gpus);
  return usable.length < count ? null : usable.slice(0, count).map(([index]) => index);
}

function freeShares(
  indexes: readonly number[],
  where: { node: number; held: readonly Held[] },
): Map<number, number> {
  const free = new Map(indexes.map((index) => [index, UNIT]));
  for (const holder of where.held) {
    for (const index of holder.gpus[holder.nodes.indexOf(where.node)] ?? []) {
      free.set(index, (free.get(index) ?? 0) - units(holder.share));
    }
  }
  return free;
}

function sameName(have: string, want: string | null): boolean {
  return want !== null && have.toLowerCase() === want.toLowerCase();
}

function units(amount: number): number {
  return Math.round(amount * UNIT);
}
