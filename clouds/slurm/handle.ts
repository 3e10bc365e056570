/** What the core keeps for us about a cluster: which allocation on which Slurm cluster (version 1). Pure. */
import type { Handle } from "../../core/cluster.ts";
import { SkyError } from "../../core/errors.ts";
import type { ProvisionSpec } from "../cloud.ts";
import { isWord } from "./facts.ts";

export interface AllocatedNode {
  /** As Slurm calls it. */
  readonly name: string;
  readonly ip: string;
  /** What CUDA_VISIBLE_DEVICES may be made of there. */
  readonly gpus: readonly number[];
}

export type SlurmHandle = Handle & {
  readonly version: 1;
  readonly nameOnCloud: string;
  readonly cluster: string;
  readonly partition: string;
  readonly numNodes: number;
  readonly cpus: number;
  readonly memoryGb: number;
  readonly gpu: { readonly name: string; readonly count: number } | null;
  /** Null until the allocation runs. */
  readonly allocation: {
    readonly jobId: string;
    /** Folder of all clusters on the shared file system. */
    readonly base: string;
    /** Where it has its folder on the first node (batch_script.ts). */
    readonly tmpdir: string;
    /** In rank order. */
    readonly nodes: readonly AllocatedNode[];
  } | null;
};

export function readHandle(handle: Handle): SlurmHandle {
  if (handle.version === 1 && typeof handle.nameOnCloud === "string" && typeof handle.cluster === "string") {
    return handle as SlurmHandle;
  }
  throw new SkyError("internal", `Cannot read a handle of version ${handle.version} of Slurm`);
}

export function prepare(spec: ProvisionSpec): SlurmHandle {
  const { region, zone, cpus, memory, accelerators } = spec.resources;
  const [gpu] = Object.entries(accelerators ?? {});
  // Part of commands: never from anywhere but Slurm's own names, and ours.
  for (const name of [spec.nameOnCloud, region ?? "", zone ?? ""]) {
    if (!isWord(name)) throw new SkyError("internal", `Cannot use '${name}' as a name on Slurm`);
  }
  return {
    version: 1,
    nameOnCloud: spec.nameOnCloud,
    cluster: region!,
    partition: zone!,
    numNodes: spec.numNodes,
    cpus: cpus ?? 1,
    memoryGb: memory ?? 0,
    gpu: gpu === undefined ? null : { name: gpu[0], count: Math.ceil(gpu[1]) },
    allocation: null,
  };
}

/** The folder of a cluster on the shared file system. */
export function clusterFolder(base: string, nameOnCloud: string): string {
  return `${base}/.sky_clusters/${nameOnCloud}`;
}

export function nodeHome(base: string, nameOnCloud: string, rank: number): string {
  return `${clusterFolder(base, nameOnCloud)}/node${rank}`;
}
