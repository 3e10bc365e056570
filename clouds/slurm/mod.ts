/**
 * The cloud `slurm`: a cluster is one batch job that is held open, nodes are reached by `srun --overlap` (domain.md
 * §8.6). Owns the Cloud object and what is shown of clusters; region = Slurm cluster, zone = partition.
 */
import type { Handle } from "../../core/cluster.ts";
import { describe } from "../../core/errors.ts";
import type {
  CheckResult,
  Cloud,
  CloudContext,
  GpuSummary,
  NodeCapacity,
  NoOffer,
  Offer,
  PlaceNode,
} from "../cloud.ts";
import { abandon, guard, inspect, terminate } from "./allocation.ts";
import { askFacts } from "./ask.ts";
import { type Facts, type SlurmNode, stateWord } from "./facts.ts";
import { gpuNameOf, gresCount } from "./gres.ts";
import { prepare, readHandle } from "./handle.ts";
import { askerOf, closeLogins, clustersOf, loginOf } from "./logins.ts";
import { isUsable, type Known, offersOf } from "./offers.ts";
import { provision } from "./provision.ts";
import { runners } from "./runners.ts";

/** A cluster that does not answer for so long is left out. */
const PATIENCE_MS = 20_000;
/** Choosing asks again and again, for each wish. */
const FRESH_MS = 10_000;

interface Heard {
  readonly at: number;
  readonly known: Known;
}

/** What clusters said last, by server folder and cluster. */
const heard = new Map<string, Heard>();

/** All clusters, each asked at the same time. `fresh`: nothing remembered will do. */
async function askAll(
  ctx: CloudContext,
  options: { fresh: boolean; only?: string | null },
): Promise<Known[]> {
  const { names } = await clustersOf(ctx);
  const wanted = options.only == null ? names : names.filter((name) => name === options.only);
  const answers = await Promise.all(wanted.map(async (cluster): Promise<Known> => {
    const key = `${ctx.folder}\n${ctx.env?.("SLURM_CONF") ?? ""}\n${cluster}`;
    const old = heard.get(key);
    if (!options.fresh && old !== undefined && ctx.now() - old.at < FRESH_MS && ctx.now() >= old.at) {
      return old.known;
    }
    const known = await askOne(cluster, ctx);
    if (known.facts !== null) heard.set(key, { at: ctx.now(), known });
    return known;
  }));
  // Those that were not asked are still there to be named.
  return names.map((cluster) =>
    answers.find((known) => known.cluster === cluster) ?? { cluster, facts: null, fault: "not asked" }
  );
}

async function askOne(cluster: string, ctx: CloudContext): Promise<Known> {
  const timeout = AbortSignal.timeout(PATIENCE_MS);
  try {
    const asker = askerOf(loginOf(cluster, ctx), { ...ctx, signal: AbortSignal.any([ctx.signal, timeout]) });
    return { cluster, facts: await askFacts(asker), fault: null };
  } catch (error) {
    ctx.signal.throwIfAborted();
    const fault = timeout.aborted ? `no answer within ${PATIENCE_MS / 1_000} seconds` : describe(error);
    return { cluster, facts: null, fault };
  }
}

async function check(ctx: CloudContext): Promise<CheckResult> {
  const { any, warnings } = await clustersOf(ctx);
  const known = await askAll(ctx, { fresh: true });
  const places = known.map(({ cluster, facts, fault }) => {
    const reason = fault ??
      (facts!.partitions.some(({ up }) => up) ? null : "it has no partition that is up");
    return { name: cluster, ok: reason === null, reason };
  });
  const enabled = places.some(({ ok }) => ok);
  const none = any
    ? "The config allows none of the Slurm clusters."
    : "There is no ~/.slurm/config, and this machine is no login node of a Slurm cluster.";
  return {
    enabled,
    offers: enabled ? ["compute"] : [],
    reason: enabled ? null : places.length === 0 ? none : "No Slurm cluster can be used.",
    hint: enabled
      ? warnings.length === 0 ? null : `~/.slurm/config: ${warnings.join("; ")}`
      : any
      ? null
      : "Add a Host section for a cluster's login node to ~/.slurm/config",
    places,
  };
}

async function offers(
  wish: Parameters<Cloud["offers"]>[0],
  numNodes: number,
  ctx: CloudContext,
): Promise<readonly Offer[] | NoOffer> {
  const known = await askAll(ctx, { fresh: false, only: wish.region });
  return offersOf(known, { wish, numNodes, config: ctx.config });
}

function capacity(handle: Handle): Promise<readonly NodeCapacity[]> {
  const { cpus, memoryGb, gpu, numNodes, allocation } = readHandle(handle);
  return Promise.resolve(Array.from({ length: numNodes }, (_, i) => {
    if (gpu === null) return { cpus, memoryGb, accelerators: null };
    const told = allocation?.nodes[i]?.gpus ?? [];
    // Other makers' GPUs have variables of their own; Slurm gave as many as were asked for.
    const indexes = told.length > 0 ? told : Array.from({ length: gpu.count }, (_, index) => index);
    return { cpus, memoryGb, accelerators: { name: gpu.name, indexes } };
  }));
}

async function gpus(ctx: CloudContext): Promise<readonly GpuSummary[]> {
  const known = await askAll(ctx, { fresh: true });
  return known.flatMap(({ cluster, facts }) => facts === null ? [] : summaries(cluster, facts));
}

/** GPUs of a cluster by name; free are those on nodes that take jobs. */
export function summaries(place: string, facts: Facts): GpuSummary[] {
  const nodes = facts.nodes.filter(({ partitions }) => partitions.length > 0);
  const types = new Set(nodes.flatMap(({ gres }) => gres.map(({ type }) => type)));
  const byName = Map.groupBy(types, gpuNameOf);
  return [...byName].sort(([a], [b]) => a < b ? -1 : 1).map(([gpu, same]) => {
    const amount = (list: SlurmNode["gres"]) =>
      list.filter(({ type }) => same.includes(type)).reduce((sum, { count }) => sum + count, 0);
    const perNode = nodes.map(({ gres }) => amount(gres));
    const free = nodes.filter(isUsable)
      .map(({ gres, gresUsed }) => Math.max(0, amount(gres) - amount(gresUsed)));
    return {
      place,
      gpu,
      perNode: [...new Set(perNode)].filter((count) => count > 0).sort((a, b) => a - b),
      total: perNode.reduce((sum, count) => sum + count, 0),
      free: free.reduce((sum, count) => sum + count, 0),
    };
  });
}

async function nodes(ctx: CloudContext): Promise<readonly PlaceNode[]> {
  const known = await askAll(ctx, { fresh: true });
  return known.flatMap(({ cluster, facts }) =>
    (facts?.nodes ?? []).map((node) => {
      const total = gresCount(node.gres, null);
      return {
        place: cluster,
        name: node.name,
        ip: node.address,
        cpus: node.cpus,
        cpusFree: Math.max(0, node.cpus - node.cpusUsed),
        memoryGb: gigabytes(node.memoryMb),
        memoryFreeGb: gigabytes(Math.max(0, node.memoryMb - node.memoryUsedMb)),
        gpu: total === 0 ? null : gpuNameOf(node.gres[0]!.type),
        gpus: total,
        gpusFree: Math.max(0, total - gresCount(node.gresUsed, null)),
        ready: isUsable(node),
        queues: { partitions: node.partitions, state: stateWord(node) },
      };
    })
  );
}

function gigabytes(megabytes: number): number {
  return Math.floor(megabytes / 1024 * 10) / 10;
}

export const slurm: Cloud = {
  name: "slurm",
  displayName: "Slurm",
  capabilities: {
    stop: false,
    autostop: false,
    autodown: true,
    spot: false,
    ports: false,
    multiNode: true,
    images: false,
  },
  nameLimit: 120,
  check,
  offers,
  provision,
  prepare,
  inspect,
  capacity: (handle) => capacity(handle),
  runners,
  terminate,
  gpus,
  nodes,
  guard,
  abandon,
  close: closeLogins,
};
