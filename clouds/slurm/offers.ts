/** What of Slurm clusters fits a wish (domain.md §2.3): one offer per partition. Owns the choice. Pure. */
import type { LaunchedResources } from "../../core/cluster.ts";
import type { SkyConfig } from "../../core/config.ts";
import { amount } from "../../core/format.ts";
import { DEFAULT_DISK_GB, type Resources } from "../../core/resources.ts";
import { amountOf } from "../../core/sizes.ts";
import { formatVirtualType, parseVirtualType, virtualTypeOf } from "../../core/virtual_types.ts";
import type { NoOffer, Offer } from "../cloud.ts";
import type { Facts, Partition, SlurmNode } from "./facts.ts";
import { bestType, gpuNameOf, gresCount } from "./gres.ts";
import { cpuPartitions, gpuPartitions, hourlyCost } from "./settings.ts";

/** A cluster that could be asked, or why not. */
export interface Known {
  readonly cluster: string;
  readonly facts: Facts | null;
  readonly fault: string | null;
}

interface Size {
  readonly cpus: number;
  readonly memoryGb: number;
  readonly gpu: { readonly name: string; readonly count: number } | null;
}

/** States of a node that will not take jobs for long. */
const AWAY = ["DOWN", "ERROR", "FAIL", "FUTURE", "UNKNOWN", "INVAL"];
const LEAVING = ["DRAIN", "INVALID_REG", "POWERED_DOWN_FAILED", "NOT_RESPONDING"];

export function isUsable(node: SlurmNode): boolean {
  return !AWAY.includes(node.state) && !node.flags.some((flag) => LEAVING.includes(flag));
}

/** Offers cheapest first; equal ones by cluster as configured, then the default partition first. */
export function offersOf(
  known: readonly Known[],
  { wish, numNodes, config }: { wish: Resources; numNodes: number; config: SkyConfig },
): readonly Offer[] | NoOffer {
  const refusal = refusalOf(wish);
  if (refusal !== null) return { hint: refusal, similar: [] };
  const asked = known.filter(({ cluster }) => wish.region === null || wish.region === cluster);
  if (asked.length === 0) {
    const names = known.map(({ cluster }) => cluster).join(", ");
    return {
      hint: `there is no Slurm cluster '${wish.region}'${names === "" ? "" : `, only ${names}`}`,
      similar: [],
    };
  }
  const offers: Offer[] = [];
  const hints: string[] = [];
  for (const { cluster, facts, fault } of asked) {
    if (facts === null) {
      hints.push(`Slurm cluster '${cluster}' can't be asked: ${fault ?? "unknown reason"}`);
      continue;
    }
    const size = sizeOf(wish, facts);
    if (typeof size === "string") return { hint: size, similar: [] };
    const found = partitionsFor({ cluster, facts, size }, { wish, numNodes, config });
    if (typeof found === "string") hints.push(`Slurm cluster '${cluster}' has ${found}`);
    else offers.push(...found);
  }
  if (offers.length > 0) return offers.sort((a, b) => a.resources.hourlyCost - b.resources.hourlyCost);
  return { hint: hints.join("; "), similar: similarTo(asked, wish) };
}

function refusalOf(wish: Resources): string | null {
  if (wish.useSpot === true) return "Slurm has no spot instances";
  if (wish.imageId !== null) return "Slurm runs no images here";
  const [first, ...more] = Object.keys(wish.accelerators ?? {});
  if (more.length > 0) return "Slurm gives one kind of accelerator at a time";
  if (first !== undefined && /\s/.test(first)) return `accelerator name '${first}' has a space in it`;
  return null;
}

function sizeOf(wish: Resources, facts: Facts): Size | string {
  const given = wish.instanceType === null ? null : parseVirtualType(wish.instanceType);
  if (wish.instanceType !== null && given === null) {
    return `'${wish.instanceType}' is no instance type of Slurm, as 2CPU--4GB is`;
  }
  const accelerators = wish.accelerators ??
    (given?.accelerator ? { [given.accelerator.name]: given.accelerator.count } : null);
  const meant = virtualTypeOf({ ...wish, accelerators });
  const cpus = wish.cpus !== null ? amountOf(wish.cpus).value : given?.cpus ?? meant.cpus;
  // Where memory is not given out, asking for some is refused by Slurm or means nothing.
  const memoryGb = wish.memory !== null ? meant.memoryGb : given?.memoryGb ??
    (facts.settings.tracksMemory ? meant.memoryGb : 0);
  return { cpus, memoryGb, gpu: meant.accelerator };
}

interface Where {
  readonly cluster: string;
  readonly facts: Facts;
  readonly size: Size;
}

interface Asked {
  readonly wish: Resources;
  readonly numNodes: number;
  readonly config: SkyConfig;
}

function partitionsFor({ cluster, facts, size }: Where, asked: Asked): Offer[] | string {
  const { wish, numNodes, config } = asked;
  const mapped = size.gpu === null ? null : gpuPartitions(config, cluster, size.gpu.name);
  const narrowed = size.gpu === null ? cpuPartitions(config, cluster) : mapped;
  const named = facts.partitions.filter(({ name }) => wish.zone === null || wish.zone === name);
  if (named.length === 0) {
    const names = facts.partitions.map(({ name }) => name).join(", ");
    return `no partition '${wish.zone}', only ${names}`;
  }
  const faults: string[] = [];
  const offers: Offer[] = [];
  for (const partition of [...named].sort((a, b) => Number(b.isDefault) - Number(a.isDefault))) {
    // One asked for by name is meant, wherever the map points.
    if (wish.zone === null && (partition.hidden || narrowed?.includes(partition.name) === false)) continue;
    const fault = unfit(partition, { facts, size, numNodes, typed: mapped === null });
    if (fault !== null) faults.push(`${fault} in partition '${partition.name}'`);
    else offers.push(offerAt({ cluster, partition: partition.name, size }, asked));
  }
  return offers.length > 0 ? offers : faults[0] ?? "no partition for it";
}

/** Why nodes of this size are not to be had of a partition; null if they are. */
function unfit(
  partition: Partition,
  { facts, size, numNodes, typed }: { facts: Facts; size: Size; numNodes: number; typed: boolean },
): string | null {
  if (!partition.up) return "jobs are not taken";
  const nodes = facts.nodes.filter((node) => node.partitions.includes(partition.name));
  const type = size.gpu === null || !typed ? null : bestType(nodes, size.gpu.name);
  if (size.gpu !== null && typed && type === null) return `no ${size.gpu.name}`;
  const big = nodes.filter((node) =>
    node.cpus >= size.cpus && node.memoryMb >= size.memoryGb * 1024 &&
    (size.gpu === null || gresCount(node.gres, type) >= size.gpu.count)
  );
  if (big.length === 0) return `no node of ${formatVirtualType({ ...size, accelerator: size.gpu })}`;
  if (partition.maxNodes !== null && partition.maxNodes < numNodes) {
    return `at most ${partition.maxNodes} nodes for one job`;
  }
  const usable = big.filter(isUsable).length;
  if (usable >= numNodes) return null;
  const what = usable === big.length
    ? "that fit"
    : `that fit and work (${big.length - usable} more down or drained)`;
  return `${usable} nodes ${what}, ${numNodes} asked for,`;
}

function offerAt(
  { cluster, partition, size }: { cluster: string; partition: string; size: Size },
  { wish, config }: Asked,
): Offer {
  const resources: LaunchedResources = {
    cloud: "slurm",
    region: cluster,
    zone: partition,
    instanceType: formatVirtualType({ ...size, accelerator: size.gpu }),
    cpus: size.cpus,
    memory: size.memoryGb,
    accelerators: size.gpu === null ? null : { [size.gpu.name]: size.gpu.count },
    useSpot: false,
    diskSize: wish.diskSize ?? DEFAULT_DISK_GB,
    ports: wish.ports ?? [],
    labels: wish.labels ?? {},
    imageId: null,
    hourlyCost: hourlyCost(config, { cluster, partition }, size),
    ...(wish.zone === null ? {} : { zoneAsked: true }),
  };
  return { resources };
}

/** GPUs that are there, as `NAME:COUNT`, those with a like name first. */
function similarTo(known: readonly Known[], wish: Resources): string[] {
  const [name] = Object.keys(wish.accelerators ?? {});
  if (name === undefined) return [];
  const most = new Map<string, number>();
  for (const node of known.flatMap(({ facts }) => facts?.nodes ?? [])) {
    for (const { type, count } of node.gres) {
      const gpu = gpuNameOf(type);
      most.set(gpu, Math.max(most.get(gpu) ?? 0, count));
    }
  }
  const like = (gpu: string) => gpu.toLowerCase().includes(name.toLowerCase()) ? 0 : 1;
  return [...most].sort(([a], [b]) => like(a) - like(b)).map(([gpu, n]) => `${gpu}:${amount(n)}`);
}
