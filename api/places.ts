/** Bodies and results about places of one's own: SSH node pools, and the machines of places (wire.md §7.2–7.3, §7.8). Pure. */
import * as v from "valibot";

const text = v.optional(v.nullable(v.string()), null);

export const PoolsUpBody = v.object({ infra: text, cleanup: v.optional(v.boolean(), false) });
export const PoolsDownBody = v.object({ infra: text, cleanup: v.optional(v.boolean(), true) });

export const GpuAvailabilityBody = v.object({
  context: text,
  name_filter: text,
  quantity_filter: v.optional(v.nullable(v.number()), null),
  is_ssh: v.optional(v.nullable(v.boolean()), null),
});
/** Place → GPU, quantities that a node may be asked for, all of them, those that are free. */
export type GpuAvailabilityView = [place: string, gpus: [string, number[], number, number][]][];

export const NodeInfoBody = v.object({ context: text });
/** SkyPilot's client refuses keys that it does not know (wire.md §7.3). */
export interface NodeView {
  name: string;
  accelerator_type: string | null;
  total: { accelerator_count: number };
  free: { accelerators_available: number };
  ip_address: string | null;
  cpu_count: number | null;
  memory_gb: number | null;
  cpu_free: number | null;
  memory_free_gb: number | null;
  is_ready: boolean;
}
export interface NodeInfoView {
  node_info_dict: Record<string, NodeView>;
  hint: string;
}

export const SlurmGpusBody = v.object({
  slurm_cluster_name: text,
  name_filter: text,
  quantity_filter: v.optional(v.nullable(v.number()), null),
});
/** Cluster → GPUs as above, or why it could not be asked. */
export type SlurmGpusView = [cluster: string, gpus: GpuAvailabilityView[number][1], error: string | null][];

export const SlurmNodesBody = v.object({ slurm_cluster_name: text });
export interface SlurmNodeView {
  node_name: string;
  slurm_cluster_name: string;
  /** All of the node's, joined by commas. */
  partition: string;
  /** As `sinfo` calls it. */
  node_state: string;
  gpu_type: string | null;
  total_gpus: number;
  free_gpus: number;
  vcpu_count: number | null;
  memory_gb: number | null;
  /** What no job has; only of servers that know. */
  free_vcpus?: number | null;
  free_alloc_memory_gb?: number | null;
}
