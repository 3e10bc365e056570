/**
 * Which hosts get the nodes of a cluster, and which of their GPUs: the arithmetic behind the ledger. Pure. The
 * tightest host that fits is taken, so that big wishes still find big hosts.
 */
import { SkyError } from "../../core/errors.ts";
import { amount } from "../../core/format.ts";
import { type Gpu, gpuMatches } from "../gpus.ts";
import type { Claim, ClaimWish } from "./ledger.ts";

/** What each node wants. */
export interface Wish {
  readonly cpus: number;
  readonly memoryGb: number;
  readonly gpu: { readonly name: string; readonly count: number } | null;
  readonly ports: readonly number[];
}

/** A host with what it has in all; `usable` false: no new node goes there now (`reason` says why). */
export interface HostRoom {
  readonly machine: string;
  readonly host: string;
  readonly cpus: number;
  readonly memoryGb: number;
  readonly gpus: readonly Gpu[];
  readonly usable: boolean;
  readonly reason: string | null;
}

export interface Free {
  readonly cpus: number;
  readonly memoryGb: number;
  readonly gpus: readonly Gpu[];
  readonly ports: (port: number) => boolean;
}

/** Sums of decimals are off by this much at most. */
const EPSILON = 1e-6;

/** What claims leave of a host. */
export function freeOn(host: HostRoom, claims: readonly Claim[]): Free {
  const here = claims.filter((claim) => claim.machine === host.machine && !claim.stopped);
  const gpusTaken = new Set(here.flatMap((claim) => claim.gpus));
  const portsTaken = new Set(here.flatMap((claim) => claim.ports));
  return {
    cpus: host.cpus - here.reduce((sum, claim) => sum + claim.cpus, 0),
    memoryGb: host.memoryGb - here.reduce((sum, claim) => sum + claim.memoryGb, 0),
    gpus: host.gpus.filter((gpu) => !gpusTaken.has(gpu.index)),
    ports: (port) => !portsTaken.has(port),
  };
}

/** Why the wish does not fit into what is free; null if it does. */
export function lacks(wish: Wish, free: Free): string | null {
  if (wish.gpu !== null) {
    const { name, count } = wish.gpu;
    const there = free.gpus.filter((gpu) => gpuMatches(gpu, name)).length;
    if (there < count) return `${there} ${name} free`;
  }
  if (free.cpus + EPSILON < wish.cpus) return `${counted(Math.max(0, free.cpus), "CPU")} free`;
  if (free.memoryGb + EPSILON < wish.memoryGb) return `${amount(Math.max(0, free.memoryGb))} GB free`;
  const taken = wish.ports.filter((port) => !free.ports(port));
  return taken.length === 0 ? null : `port ${taken.join(", ")} taken`;
}

function gpusFor(wish: Wish, free: Free): number[] {
  const { gpu } = wish;
  if (gpu === null) return [];
  const fitting = free.gpus.filter((one) => gpuMatches(one, gpu.name));
  return fitting.slice(0, gpu.count).map((one) => one.index);
}

interface Books {
  /** Claims of this cluster, kept or revived. */
  readonly own: readonly Claim[];
  readonly others: readonly Claim[];
  readonly hosts: readonly HostRoom[];
}

/** A claim for every node. Throws resources_unavailable. */
export function place(wish: ClaimWish, { own, others, hosts }: Books): Claim[] {
  const { cluster, pool, numNodes, cpus, memoryGb, ports } = wish;
  const placed: Claim[] = [];
  const homeless: number[] = [];
  for (let node = 0; node < numNodes; node++) {
    const before = own.find((claim) => claim.node === node);
    if (before === undefined) homeless.push(node);
    else if (!before.stopped) placed.push(before);
    else {
      const host = hosts.find((each) => each.machine === before.machine);
      const free = host === undefined ? null : freeOn(host, [...others, ...placed]);
      const lack = free === null ? "it is no longer in the pool" : lacks(wish, free);
      if (free === null || lack !== null) throw notEnough(wish, [`${before.host}: ${lack}`]);
      placed.push({ ...before, cpus, memoryGb, ports, gpus: gpusFor(wish, free), stopped: false });
    }
  }
  const taken = new Set([...own, ...placed].map((claim) => claim.machine));
  const reasons: string[] = [];
  const rooms = hosts.flatMap((host) => {
    if (taken.has(host.machine)) return [];
    const free = freeOn(host, others);
    const lack = host.usable ? lacks(wish, free) : host.reason ?? "not usable";
    if (lack === null) return { host, free };
    reasons.push(`${host.host}: ${lack}`);
    return [];
  });
  rooms.sort((a, b) =>
    a.free.gpus.length - b.free.gpus.length || a.free.cpus - b.free.cpus || a.free.memoryGb - b.free.memoryGb
  );
  // One machine may be in the pool under two names.
  const chosen: typeof rooms = [];
  for (const room of rooms) {
    if (chosen.length === homeless.length) break;
    if (!chosen.some((each) => each.host.machine === room.host.machine)) chosen.push(room);
  }
  if (chosen.length < homeless.length) {
    const have = rooms.map(({ host }) => `${host.host}: enough`);
    throw notEnough(wish, [...have, ...reasons]);
  }
  for (const [i, node] of homeless.entries()) {
    const { host, free } = chosen[i]!;
    const { machine } = host;
    placed.push({
      cluster,
      node,
      pool,
      machine,
      host: host.host,
      cpus,
      memoryGb,
      gpus: gpusFor(wish, free),
      ports,
      stopped: false,
    });
  }
  return placed.sort((a, b) => a.node - b.node);
}

const MOST_LINES = 12;

function counted(number: number, noun: string): string {
  return `${amount(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** The wish in words: `2x 4 CPUs, 16 GB, 1 H100`. */
export function wishText({ cpus, memoryGb, gpu, numNodes, ports }: Wish & { numNodes: number }): string {
  const parts = [
    counted(cpus, "CPU"),
    `${amount(memoryGb)} GB`,
    ...(gpu === null ? [] : [`${gpu.count} ${gpu.name}`]),
    ...(ports.length === 0 ? [] : [`port ${ports.slice(0, 5).join(", ")}`]),
  ];
  return `${numNodes === 1 ? "" : `${numNodes} hosts with `}${parts.join(", ")}`;
}

function notEnough(wish: ClaimWish, reasons: readonly string[]): SkyError {
  const shown = reasons.slice(0, MOST_LINES).map((line) => `\n  ${line}`).join("");
  const more = reasons.length > MOST_LINES ? `\n  and ${reasons.length - MOST_LINES} hosts more` : "";
  return new SkyError(
    "resources_unavailable",
    `The SSH Node Pool may not have enough resources. Asked of pool '${wish.pool}': ${wishText(wish)}. ` +
      `There:${shown}${more}`,
    { hint: "sky status -u; sky gpus list --infra ssh" },
  );
}
