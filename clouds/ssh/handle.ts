/** What this cloud remembers of a cluster: the handle's shape and its reading. Pure. */
import type { Handle } from "../../core/cluster.ts";
import { SkyError } from "../../core/errors.ts";
import type { SshHost } from "../transport/ssh/mod.ts";
import type { ProvisionSpec } from "../cloud.ts";
import type { PoolHost } from "./hosts.ts";
import type { Claim } from "./ledger.ts";
import { poolOf, portsOf } from "./offers.ts";

/** A node where it is. How to reach its host is kept: the pool's file may change, the cluster must not be lost. */
export interface SshNode {
  readonly machine: string;
  readonly ssh: SshHost;
  readonly address: string;
  readonly port: number;
  readonly keys: readonly string[];
  readonly proxy: PoolHost["proxy"];
  /** As the host told. */
  readonly user: string;
  readonly internalIp: string;
  readonly home: string;
  readonly gpus: readonly number[];
}

/** Version 1. */
export type SshHandle = Handle & {
  readonly version: 1;
  readonly nameOnCloud: string;
  readonly clusterName: string;
  readonly pool: string;
  readonly numNodes: number;
  readonly cpus: number;
  readonly memoryGb: number;
  readonly gpu: { readonly name: string; readonly count: number } | null;
  readonly ports: readonly number[];
  /** In node order; null before they are made: the ledger tells what there may be. */
  readonly nodes: readonly SshNode[] | null;
};

export function readHandle(handle: Handle): SshHandle {
  if (handle.version === 1 && typeof handle.nameOnCloud === "string" && typeof handle.pool === "string") {
    return handle as SshHandle;
  }
  throw new SkyError("internal", `Cannot read a handle of version ${handle.version} of SSH Node Pools`);
}

export function prepare(spec: ProvisionSpec): SshHandle {
  const { region, cpus, memory, accelerators, ports } = spec.resources;
  const pool = poolOf(region);
  if (pool === null) throw new SkyError("internal", "A cluster of SSH Node Pools needs a pool");
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(spec.nameOnCloud)) {
    const message = `Cannot use '${spec.nameOnCloud}' as the name of a cluster on SSH Node Pools`;
    throw new SkyError("invalid_cluster_name", message);
  }
  const [gpu] = Object.entries(accelerators ?? {});
  return {
    version: 1,
    nameOnCloud: spec.nameOnCloud,
    clusterName: spec.clusterName,
    pool,
    numNodes: spec.numNodes,
    cpus: cpus ?? 1,
    memoryGb: memory ?? 1,
    gpu: gpu === undefined ? null : { name: gpu[0], count: Math.ceil(gpu[1]) },
    ports: portsOf(ports) ?? [],
    nodes: null,
  };
}

/** What its first contact told of a node. */
export interface Told {
  readonly login: string;
  readonly user: string;
  readonly ip: string | null;
}

export function nodeOf(host: PoolHost, claim: Claim, told: Told & { home: string }): SshNode {
  const { machine, ssh, address, port, keys, proxy } = host;
  return {
    machine,
    ssh,
    address,
    port,
    keys,
    proxy,
    user: told.user !== "" ? told.user : host.user ?? "",
    internalIp: told.ip ?? address,
    home: told.home,
    gpus: claim.gpus,
  };
}
