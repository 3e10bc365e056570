/**
 * The cloud `ssh`: machines of people's own, in pools (domain.md §8.5). Owns the Cloud object and the order of its
 * acts: first the ledger, then the hosts, and freeing only what is proven gone. Hosts are hosts.ts, who has what
 * ledger.ts, making nodes provision.ts, acts on one host nodes.ts, `sky ssh up|down` setup.ts, autostop without us
 * guards.ts.
 */
import type { Handle } from "../../core/cluster.ts";
import { describe, SkyError } from "../../core/errors.ts";
import type {
  Access,
  Cloud,
  CloudContext,
  CommandRunner,
  NodeCapacity,
  NodeInfo,
  NoOffer,
  Offer,
} from "../cloud.ts";
import { RemoteRunner } from "../transport/remote/runner.ts";
import { closeShells, sshShell, sshWatch } from "../transport/ssh/mod.ts";
import { check, gpus, nodes, setUp, tearDown } from "./setup.ts";
import { guard, logins } from "./guards.ts";
import { prepare, readHandle, type SshHandle, type SshNode } from "./handle.ts";
import { claimsIn, release } from "./ledger.ts";
import { endAt, lookAt, type Place, placesOf, stopAt } from "./nodes.ts";
import { offersOf } from "./offers.ts";
import { provision } from "./provision.ts";
import { forgetState, isPool, isUnreachable, readPools, roomsOf, sshContext } from "./state.ts";

/** Machines are rebuilt: once a day they are asked anew what they have. */
const FACTS_MS = 24 * 3600_000;

async function offers(
  wish: Parameters<Cloud["offers"]>[0],
  numNodes: number,
  ctx: CloudContext,
): Promise<readonly Offer[] | NoOffer> {
  const pools = await readPools(ctx) ?? [];
  const rooms = await Promise.all(pools.map(async (pool) => ({
    pool: pool.name,
    hosts: isPool(pool.name, wish.region)
      ? (await roomsOf(pool, ctx, { maxAgeMs: FACTS_MS })).map(({ room }) => room)
      : [],
  })));
  return offersOf(rooms, wish, { numNodes, claims: await claimsIn(ctx.folder) });
}

async function inspect(handle: Handle, ctx: CloudContext): Promise<readonly NodeInfo[]> {
  const own = readHandle(handle);
  const places = await placesOf(own, ctx);
  const infos = await Promise.all(places.map(async (place): Promise<NodeInfo> => {
    const address = place.node?.address ?? place.ssh.host;
    return {
      id: `node${place.index}`,
      internalIp: place.node?.internalIp ?? address,
      externalIp: address,
      ...await lookAt(place, own.nameOnCloud, ctx),
    };
  }));
  const stopped = infos.flatMap((info, i) => info.state === "stopped" ? [places[i]!.index] : []);
  // A guard stopped it without us: what it had is free.
  if (stopped.length > 0) await release(ctx.folder, own.nameOnCloud, { nodes: stopped, keepPlace: true });
  return infos;
}

function capacity(handle: Handle): Promise<readonly NodeCapacity[]> {
  const { cpus, memoryGb, gpu, numNodes, nodes } = readHandle(handle);
  return Promise.resolve(Array.from({ length: numNodes }, (_, i) => ({
    cpus,
    memoryGb,
    accelerators: gpu === null ? null : { name: gpu.name, indexes: nodes?.[i]?.gpus ?? [] },
  })));
}

function madeNodes(handle: SshHandle): readonly SshNode[] {
  if (handle.nodes !== null) return handle.nodes;
  throw new SkyError("cluster_not_up", `The nodes of cluster '${handle.clusterName}' are not made yet`, {
    hint: `sky start ${handle.clusterName}`,
  });
}

function runners(handle: Handle, ctx: CloudContext): readonly CommandRunner[] {
  const context = sshContext(ctx);
  return madeNodes(readHandle(handle)).map(({ ssh, home }, i) => {
    const shell = sshShell(ssh, context);
    return new RemoteRunner({
      nodeId: `node${i}`,
      home,
      shell,
      files: shell,
      watch: sshWatch(ssh, context),
      processes: ctx.processes ?? null,
      cluster: home.slice(0, home.lastIndexOf("/")),
      avoid: [ctx.folder],
      note: (text) => ctx.log.line(text),
    });
  });
}

/** Do it on every node; those that were done are settled even if others failed. Throws the first failure. */
async function onEach(
  handle: SshHandle,
  ctx: CloudContext,
  { act, settle }: { act: (place: Place) => Promise<void>; settle: (nodes: number[]) => Promise<void> },
): Promise<void> {
  const places = await placesOf(handle, ctx);
  const results = await Promise.allSettled(places.map(act));
  ctx.signal.throwIfAborted();
  const done = places.filter((_, i) => results[i]!.status === "fulfilled").map(({ index }) => index);
  await settle(done);
  const failures = results.flatMap((result, i) =>
    result.status === "rejected" ? [{ reason: result.reason as unknown, place: places[i]! }] : []
  );
  const [first] = failures;
  if (first === undefined) return;
  if (!isUnreachable(first.reason)) throw first.reason;
  const where = failures.map(({ place, reason }) => `node${place.index} (${describe(reason)})`).join(", ");
  throw new SkyError(
    first.reason.code,
    `Cannot reach all hosts of cluster '${handle.clusterName}': ${where}`,
    {
      hint: `To forget the cluster, whatever may still run there: sky down --purge ${handle.clusterName}`,
      cause: first.reason,
    },
  );
}

/** Jobs are killed, cores, memory, GPUs and ports given back; homes and places stay. */
async function stop(handle: Handle, ctx: CloudContext): Promise<void> {
  const own = readHandle(handle);
  await onEach(own, ctx, {
    act: (place) => stopAt(place, own.nameOnCloud, ctx),
    settle: (nodes) => release(ctx.folder, own.nameOnCloud, { nodes, keepPlace: true }),
  });
}

async function terminate(handle: Handle, ctx: CloudContext): Promise<void> {
  const own = readHandle(handle);
  await onEach(own, ctx, {
    act: (place) => endAt(place, { cluster: own.nameOnCloud, node: place.index }, ctx),
    settle: (nodes) => release(ctx.folder, own.nameOnCloud, { nodes }),
  });
  // Claims whose nodes the handle does not know: a launch that was cut short.
  await endStrays(own, ctx);
}

async function endStrays(own: SshHandle, ctx: CloudContext): Promise<void> {
  const strays = { ...own, nodes: null };
  await onEach(strays, ctx, {
    act: (place) => endAt(place, { cluster: own.nameOnCloud, node: place.index }, ctx),
    settle: (nodes) => release(ctx.folder, own.nameOnCloud, { nodes }),
  });
}

/** What it had is free; its homes are removed when their hosts are next made use of. */
async function abandon(handle: Handle, ctx: CloudContext): Promise<string | null> {
  const own = readHandle(handle);
  const left = (await claimsIn(ctx.folder)).filter((each) => each.cluster === own.nameOnCloud);
  await release(ctx.folder, own.nameOnCloud, { remnant: true });
  if (left.length === 0) return null;
  const where = left.map((each) => `'${each.host}'`).join(", ");
  return `What ran for cluster '${own.clusterName}' on ${where} may still run there, in ` +
    `~/.sky/nodes/*/${own.nameOnCloud}. It is removed when the next cluster is made there.`;
}

/** `["8080", "9000-9001"]` → an address for each port, on the head node. */
function endpoints(handle: Handle, ports: readonly string[]): Promise<Record<string, string>> {
  const [head] = madeNodes(readHandle(handle));
  const found: Record<string, string> = {};
  const host = head!.address.includes(":") ? `[${head!.address}]` : head!.address;
  for (const range of ports) {
    const [from, to] = range.split("-").map(Number);
    for (let port = from!; port <= (to ?? from!); port++) found[port] = `http://${host}:${port}`;
  }
  return Promise.resolve(found);
}

/** Keys with these names are people's own; they are not handed out. */
const OWN_KEYS = /\/id_(rsa|dsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk|xmss)$/;

async function access(handle: Handle, _ctx: CloudContext): Promise<Access | null> {
  const { nodes } = readHandle(handle);
  const [head] = nodes ?? [];
  if (nodes === null || head === undefined) return null;
  const key = head.keys.find((path) => path === head.ssh.identityFile || !OWN_KEYS.test(path));
  // Unreadable for the server means that people can't get in with it either.
  const privateKey = key === undefined ? null : await Deno.readTextFile(key).catch(() => null);
  const { proxy } = head;
  return {
    user: head.user,
    privateKey,
    proxyCommand: proxy === null ? null : proxy.command ?? `ssh -W '[%h]:%p' ${proxy.jump}`,
    nodes: nodes.map(({ internalIp, address, port, home }) => ({ internalIp, host: address, port, home })),
  };
}

async function close(folder: string): Promise<void> {
  await closeShells(folder);
  forgetState(folder);
}

export const ssh: Cloud = {
  name: "ssh",
  displayName: "SSH",
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
  nodes,
  access,
  guard,
  logins,
  abandon,
  setUp,
  tearDown,
  close,
};
