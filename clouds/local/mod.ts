/**
 * The cloud `local`: this machine as a cluster of directories (domain.md §8.4). Owns the Cloud object and the
 * order of its acts; the machine is machine.ts, the choice offers.ts, directories nodes.ts, addresses and GPUs
 * claims.ts. Nothing here runs between calls: a node is up because its file says so.
 */
import type { Handle } from "../../core/cluster.ts";
import { SkyError } from "../../core/errors.ts";
import type { Env } from "../../core/paths.ts";
import type {
  CheckResult,
  Cloud,
  CloudContext,
  CommandRunner,
  GpuSummary,
  NodeCapacity,
  NodeInfo,
  NoOffer,
  Offer,
  ProvisionSpec,
} from "../cloud.ts";
import { LocalRunner } from "../transport/local.ts";
import { killAllLocalJobs } from "../transport/local_jobs.ts";
import { claimAddress, claimedGpus, claimGpus, releaseAddresses, releaseGpus } from "./allot.ts";
import { type Host, thisMachine } from "./machine.ts";
import {
  clusterFolder,
  exists,
  homesIn,
  isOwnedBy,
  makeHome,
  type NodeFile,
  nodeHome,
  nodeOwner,
  readNode,
  removeCluster,
  writeNode,
} from "./nodes.ts";
import { offersOn } from "./offers.ts";

/** What jobs get between TERM and KILL when their node is stopped or taken down. */
const GRACE_MS = 3_000;

/** Our handle, version 1. Where the nodes are follows from the context's folder, so a home can be moved. */
type LocalHandle = Handle & {
  readonly version: 1;
  readonly nameOnCloud: string;
  readonly numNodes: number;
  readonly cpus: number;
  readonly memoryGb: number;
  readonly gpu: { readonly name: string; readonly count: number } | null;
  /** Addresses in node order; null before the nodes are made. */
  readonly ips: readonly string[] | null;
};

function readHandle(handle: Handle): LocalHandle {
  if (handle.version === 1 && typeof handle.nameOnCloud === "string") return handle as LocalHandle;
  throw new SkyError("internal", `Cannot read a handle of version ${handle.version} of the local cloud`);
}

function prepare(spec: ProvisionSpec): LocalHandle {
  const { cpus, memory, accelerators } = spec.resources;
  const [gpu] = Object.entries(accelerators ?? {});
  return {
    version: 1,
    nameOnCloud: spec.nameOnCloud,
    numNodes: spec.numNodes,
    cpus: cpus ?? 1,
    memoryGb: memory ?? 1,
    gpu: gpu === undefined ? null : { name: gpu[0], count: Math.ceil(gpu[1]) },
    ips: null,
  };
}

async function provision(spec: ProvisionSpec, ctx: CloudContext): Promise<Handle> {
  const handle = prepare(spec);
  const cluster = clusterFolder(ctx.folder, spec.nameOnCloud);
  const ips: string[] = [];
  try {
    for (let i = 0; i < spec.numNodes; i++) {
      ctx.signal.throwIfAborted();
      const home = nodeHome(cluster, i);
      await makeHome(home);
      const owner = nodeOwner(spec.nameOnCloud, i);
      const ip = (await readNode(home))?.ip ?? await claimAddress(ctx.folder, owner);
      const gpus = await claimGpus(handle.gpu, { ...hostOf(ctx), folder: ctx.folder, owner });
      await writeNode(home, { version: 1, state: "up", ip, gpus });
      ips.push(ip);
    }
  } catch (error) {
    throw explain(error, spec.clusterName);
  }
  return { ...handle, ips };
}

function explain(error: unknown, clusterName: string): unknown {
  const code = (error as { code?: unknown }).code;
  if (code === "ENOSPC" || code === "EDQUOT") {
    const message = `Cannot make local cluster '${clusterName}': no space left on the disk`;
    return new SkyError("disk_full", message, { cause: error });
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    const message = `Cannot make local cluster '${clusterName}': its directories can't be written`;
    return new SkyError("permission_denied", message, { cause: error });
  }
  return error;
}

function envOf(ctx: CloudContext): Env {
  return ctx.env ?? (() => undefined);
}

function hostOf(ctx: CloudContext): Host {
  return { env: envOf(ctx), signal: ctx.signal, processes: ctx.processes ?? null };
}

async function nodesOf(
  handle: Handle,
  ctx: CloudContext,
): Promise<{ home: string; file: NodeFile | null }[]> {
  const { nameOnCloud, numNodes } = readHandle(handle);
  const cluster = clusterFolder(ctx.folder, nameOnCloud);
  const homes = Array.from({ length: numNodes }, (_, i) => nodeHome(cluster, i));
  return await Promise.all(homes.map(async (home) => ({ home, file: await readNode(home) })));
}

async function inspect(handle: Handle, ctx: CloudContext): Promise<readonly NodeInfo[]> {
  const { ips } = readHandle(handle);
  return await Promise.all((await nodesOf(handle, ctx)).map(async ({ home, file }, i) => {
    const ip = file?.ip ?? ips?.[i] ?? "127.0.0.1";
    const node = { id: `node${i}`, reason: null, internalIp: ip, externalIp: ip };
    if (file !== null) return { ...node, state: file.state };
    if (!await exists(home)) return { ...node, state: "gone" as const };
    return { ...node, state: "unknown" as const, reason: `${home} was made only in part` };
  }));
}

async function capacity(handle: Handle, ctx: CloudContext): Promise<readonly NodeCapacity[]> {
  const { cpus, memoryGb, gpu } = readHandle(handle);
  return (await nodesOf(handle, ctx)).map(({ file }) => ({
    cpus,
    memoryGb,
    accelerators: gpu === null ? null : { name: gpu.name, indexes: file?.gpus ?? [] },
  }));
}

function runners(handle: Handle, ctx: CloudContext): readonly CommandRunner[] {
  const { nameOnCloud, numNodes } = readHandle(handle);
  const cluster = clusterFolder(ctx.folder, nameOnCloud);
  return Array.from({ length: numNodes }, (_, i) =>
    new LocalRunner({
      nodeId: `node${i}`,
      home: nodeHome(cluster, i),
      env: envOf(ctx),
      processes: ctx.processes ?? null,
      cluster,
      avoid: [ctx.folder],
      note: (text) => ctx.log.line(text),
    }));
}

async function killAll(handle: Handle, ctx: CloudContext): Promise<string> {
  const cluster = clusterFolder(ctx.folder, readHandle(handle).nameOnCloud);
  await killAllLocalJobs(await homesIn(cluster), cluster, { graceMs: GRACE_MS, signal: ctx.signal });
  return cluster;
}

/** Jobs are killed and GPUs given back; directories and addresses stay. */
async function stop(handle: Handle, ctx: CloudContext): Promise<void> {
  for (const { home, file } of await nodesOf(handle, ctx)) {
    if (file !== null) await writeNode(home, { ...file, state: "stopped", gpus: [] });
  }
  await killAll(handle, ctx);
  await releaseGpus(ctx.folder, isOwnedBy(readHandle(handle).nameOnCloud));
}

async function terminate(handle: Handle, ctx: CloudContext): Promise<void> {
  const cluster = await killAll(handle, ctx);
  await removeCluster(ctx.folder, cluster);
  const mine = isOwnedBy(readHandle(handle).nameOnCloud);
  await releaseGpus(ctx.folder, mine);
  await releaseAddresses(ctx.folder, mine);
}

/** `["8080", "9000-9001"]` → an address for each port, on the head node. */
async function endpoints(
  handle: Handle,
  ports: readonly string[],
  ctx: CloudContext,
): Promise<Record<string, string>> {
  const [head] = await inspect(handle, ctx);
  const found: Record<string, string> = {};
  for (const range of ports) {
    const [from, to] = range.split("-").map(Number);
    for (let port = from!; port <= (to ?? from!); port++) found[port] = `http://${head!.internalIp}:${port}`;
  }
  return found;
}

async function gpus(ctx: CloudContext): Promise<readonly GpuSummary[]> {
  const machine = await thisMachine(hostOf(ctx));
  const claimed = await claimedGpus(ctx.folder);
  const byName = Map.groupBy(machine.gpus, (gpu) => gpu.name);
  return [...byName].map(([gpu, all]) => ({
    place: "local",
    gpu,
    perNode: [all.length],
    total: all.length,
    free: all.filter((one) => !claimed.has(one.index)).length,
  }));
}

function check(_ctx: CloudContext): Promise<CheckResult> {
  const windows = Deno.build.os === "windows";
  return Promise.resolve({
    enabled: !windows,
    offers: windows ? [] : ["compute"],
    reason: windows ? "Local nodes need a POSIX shell, which Windows lacks." : null,
    hint: windows ? "Run sky in WSL" : null,
    places: [],
  });
}

async function offers(
  wish: Parameters<Cloud["offers"]>[0],
  numNodes: number,
  ctx: CloudContext,
): Promise<readonly Offer[] | NoOffer> {
  return offersOn(await thisMachine(hostOf(ctx)), wish, numNodes);
}

export const local: Cloud = {
  name: "local",
  displayName: "Local",
  capabilities: {
    stop: true,
    autostop: true,
    autodown: true,
    spot: false,
    ports: true,
    multiNode: true,
    images: false,
  },
  nameLimit: 120,
  check,
  offers,
  provision,
  prepare,
  inspect,
  capacity,
  runners,
  terminate,
  stop,
  endpoints,
  gpus,
};
