/** What of the pools fits a wish (domain.md §2.3, the rules of Kubernetes). Pure: one offer per pool, free of charge. */
import type { Resources } from "../../core/resources.ts";
import { formatVirtualType, parseVirtualType, virtualTypeOf } from "../../core/virtual_types.ts";
import type { NoOffer, Offer } from "../cloud.ts";
import type { Claim } from "./ledger.ts";
import { freeOn, type HostRoom, lacks, type Wish } from "./placing.ts";

/** A pool with what is known of its hosts. */
export interface PoolRoom {
  readonly pool: string;
  readonly hosts: readonly HostRoom[];
}

const DEFAULT_DISK_GB = 256;
const MOST_PORTS = 1000;

/**
 * Pools that have enough hosts for the nodes, those where they are free at this moment first. A pool whose hosts are
 * all taken is offered nevertheless: what is not free now may be when it is claimed.
 */
export function offersOf(
  pools: readonly PoolRoom[],
  wish: Resources,
  options: { numNodes: number; claims: readonly Claim[] },
): readonly Offer[] | NoOffer {
  const { numNodes, claims } = options;
  const refusal = refusalOf(wish);
  if (refusal !== null) return { hint: refusal, similar: [] };
  const wanted = wish.region === null ? pools : pools.filter(({ pool }) => regionOf(pool) === wish.region);
  if (wanted.length === 0) return { hint: noPool(pools, wish.region), similar: [] };
  const reasons: string[] = [];
  const offers: { offer: Offer; free: boolean }[] = [];
  for (const { pool, hosts } of wanted) {
    const usable = hosts.filter((host) => host.usable);
    const size = sizeOn(usable, wish);
    if (typeof size === "string") return { hint: size, similar: [] };
    const fits = (claims: readonly Claim[]) => {
      const fitting = usable.filter((host) => lacks(size, freeOn(host, claims)) === null);
      return new Set(fitting.map((host) => host.machine)).size >= numNodes;
    };
    if (fits([])) offers.push({ offer: offerOf(pool, size, wish), free: fits(claims) });
    else reasons.push(whyNot(pool, hosts, { size, numNodes }));
  }
  if (offers.length === 0) return { hint: reasons.join("\n"), similar: similarTo(wanted, wish) };
  return [...offers.filter((each) => each.free), ...offers.filter((each) => !each.free)]
    .map(({ offer }) => offer);
}

export function regionOf(pool: string): string {
  return `ssh-${pool}`;
}

export function poolOf(region: string | null): string | null {
  return region === null ? null : region.replace(/^ssh-/, "");
}

function refusalOf(wish: Resources): string | null {
  if (wish.useSpot === true) return "SSH Node Pools have no spot instances";
  if (wish.zone !== null) return "SSH Node Pools have no zones";
  if (wish.imageId !== null) return "SSH Node Pools run no images";
  return null;
}

function noPool(pools: readonly PoolRoom[], region: string | null): string {
  if (region === null) return "There are no SSH Node Pools";
  const names = pools.map(({ pool }) => pool).join(", ");
  return `There is no SSH Node Pool '${poolOf(region)}'` + (names === "" ? "" : ` (there are: ${names})`);
}

/** Every amount decided; text says why it can't be. What was not asked for shrinks to the largest host that fits. */
function sizeOn(hosts: readonly HostRoom[], wish: Resources): Wish | string {
  const [accelerator, ...more] = Object.entries(wish.accelerators ?? {});
  if (more.length > 0) return "SSH Node Pools give one kind of accelerator at a time";
  if (accelerator !== undefined && /\s/.test(accelerator[0])) {
    return `Accelerator name '${accelerator[0]}' has a space in it`;
  }
  const ports = portsOf(wish.ports ?? []);
  if (ports === null) return `SSH Node Pools give at most ${MOST_PORTS} ports to a cluster`;
  const typed = wish.instanceType === null ? null : parseVirtualType(wish.instanceType);
  if (wish.instanceType !== null && typed === null) {
    return `'${wish.instanceType}' is no instance type of SSH, as 2CPU--4GB is`;
  }
  const size = virtualTypeOf({
    cpus: wish.cpus ?? (typed === null ? null : String(typed.cpus)),
    memory: wish.memory ?? (typed === null ? null : String(typed.memoryGb)),
    accelerators: wish.accelerators ?? asAccelerators(typed?.accelerator ?? null),
  });
  const gpu = size.accelerator;
  const bare = { cpus: 0, memoryGb: 0, gpu, ports: [] };
  const fitting = hosts.filter((host) => lacks(bare, freeOn(host, [])) === null);
  const largest = (pick: (host: HostRoom) => number) => Math.max(0, ...fitting.map(pick)) || Infinity;
  const fixed = {
    cpus: wish.cpus !== null || typed !== null,
    memory: wish.memory !== null || typed !== null,
  };
  return {
    cpus: fixed.cpus ? size.cpus : Math.min(size.cpus, largest((host) => host.cpus)),
    memoryGb: fixed.memory ? size.memoryGb : Math.min(size.memoryGb, largest((host) => host.memoryGb)),
    gpu,
    ports,
  };
}

function asAccelerators(accelerator: { name: string; count: number } | null): Record<string, number> | null {
  return accelerator === null ? null : { [accelerator.name]: accelerator.count };
}

/** `["8080", "9000-9002"]` as numbers; null for too many. */
export function portsOf(ranges: readonly string[]): number[] | null {
  const ports = new Set<number>();
  for (const range of ranges) {
    const [from = 0, to = from] = range.split("-").map(Number);
    if (to - from + ports.size >= MOST_PORTS) return null;
    for (let port = from; port <= to; port++) ports.add(port);
  }
  return [...ports];
}

function offerOf(pool: string, size: Wish, wish: Resources): Offer {
  const { cpus, memoryGb, gpu } = size;
  return {
    resources: {
      cloud: "ssh",
      region: regionOf(pool),
      zone: null,
      instanceType: formatVirtualType({ cpus, memoryGb, accelerator: gpu }),
      cpus,
      memory: memoryGb,
      accelerators: asAccelerators(gpu),
      useSpot: false,
      diskSize: wish.diskSize ?? DEFAULT_DISK_GB,
      ports: wish.ports ?? [],
      labels: wish.labels ?? {},
      imageId: null,
      hourlyCost: 0,
    },
  };
}

function whyNot(
  pool: string,
  hosts: readonly HostRoom[],
  { size, numNodes }: { size: Wish; numNodes: number },
): string {
  const lines = hosts.map((host) => {
    const lack = host.usable ? lacks(size, freeOn(host, [])) : host.reason ?? "not usable";
    // Not even an empty host has it.
    return `${host.host}: ${lack === null ? "enough" : lack.replace(/ free$/, " in all")}`;
  });
  const asked = formatVirtualType({ cpus: size.cpus, memoryGb: size.memoryGb, accelerator: size.gpu });
  return `The SSH Node Pool may not have enough resources. Pool '${pool}' lacks ` +
    `${numNodes === 1 ? "a host" : `${numNodes} hosts`} with ${asked} (${lines.slice(0, 8).join("; ")}` +
    `${lines.length > 8 ? "; …" : ""})`;
}

/** GPUs of the pools, those with a like name first, as `NAME:COUNT` of the host that has most. */
function similarTo(pools: readonly PoolRoom[], wish: Resources): string[] {
  const [name] = Object.keys(wish.accelerators ?? {});
  if (name === undefined) return [];
  const most = new Map<string, number>();
  for (const host of pools.flatMap(({ hosts }) => hosts)) {
    for (const [gpu, list] of Map.groupBy(host.gpus, (one) => one.name)) {
      most.set(gpu, Math.max(most.get(gpu) ?? 0, list.length));
    }
  }
  const like = (other: string) => other.toLowerCase().includes(name.toLowerCase()) ? 0 : 1;
  return [...most].sort(([a], [b]) => like(a) - like(b)).map(([gpu, count]) => `${gpu}:${count}`);
}
