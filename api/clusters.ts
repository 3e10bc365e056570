/** Bodies and results of the cluster operations (wire.md §6), in SkyPilot's spelling. Pure. */
import * as v from "valibot";

const name = v.string();
const optionalName = v.optional(v.nullable(v.string()), null);
const flag = v.optional(v.boolean(), false);
const minutes = v.optional(v.nullable(v.pipe(v.number(), v.integer())), null);
const jobIds = v.nullable(v.array(v.pipe(v.number(), v.integer())));
const waitFor = v.optional(v.nullable(v.picklist(["jobs_and_ssh", "jobs", "none"])), null);

export const LaunchBody = v.object({
  task: v.string(),
  cluster_name: name,
  retry_until_up: flag,
  idle_minutes_to_autostop: minutes,
  dryrun: flag,
  down: flag,
  backend: optionalName,
  optimize_target: v.optional(v.nullable(v.number()), 0),
  no_setup: flag,
  clone_disk_from: optionalName,
  fast: flag,
  quiet_optimizer: flag,
  include_credentials: flag,
});

export const ExecBody = v.object({
  task: v.string(),
  cluster_name: name,
  dryrun: flag,
  down: flag,
  backend: optionalName,
});

export const StartBody = v.object({
  cluster_name: name,
  idle_minutes_to_autostop: minutes,
  wait_for: waitFor,
  retry_until_up: flag,
  down: flag,
  force: flag,
});

export const StopDownBody = v.object({
  cluster_name: name,
  purge: flag,
  graceful: flag,
  graceful_timeout: minutes,
});

export const AutostopBody = v.object({
  cluster_name: name,
  idle_minutes: v.pipe(v.number(), v.integer()),
  wait_for: waitFor,
  down: flag,
  hook: optionalName,
  hook_timeout: minutes,
});

export const StatusBody = v.object({
  cluster_names: v.optional(v.nullable(v.array(v.string())), null),
  refresh: v.optional(v.nullable(v.picklist(["NONE", "AUTO", "FORCE"])), "NONE"),
  all_users: v.optional(v.boolean(), true),
  include_credentials: v.optional(v.boolean(), true),
  summary_response: flag,
  include_handle: v.optional(v.boolean(), true),
});

export const EndpointsBody = v.object({
  cluster: name,
  port: v.optional(v.nullable(v.union([v.number(), v.string()])), null),
});

export const QueueBody = v.object({ cluster_name: name, skip_finished: flag, all_users: flag });
export const JobStatusBody = v.object({ cluster_name: name, job_ids: jobIds });
export const CancelBody = v.object({
  cluster_name: name,
  job_ids: jobIds,
  all: flag,
  all_users: flag,
  try_cancel_if_cluster_is_init: flag,
});

/** `offset` is ours: bytes of the log already received (absent for SkyPilot's clients). */
export const LogsBody = v.object({
  cluster_name: name,
  job_id: v.nullable(v.pipe(v.number(), v.integer())),
  follow: v.optional(v.boolean(), true),
  tail: v.optional(v.nullable(v.pipe(v.number(), v.integer())), 0),
  offset: v.optional(v.nullable(v.pipe(v.number(), v.integer())), null),
});

export const DownloadLogsBody = v.object({
  cluster_name: name,
  job_ids: v.nullable(v.array(v.string())),
  local_dir: v.optional(v.string(), "~/sky_logs"),
});

export const CostReportBody = v.object({
  days: v.optional(v.nullable(v.number()), 30),
  cluster_hashes: v.optional(v.nullable(v.array(v.string())), null),
  cluster_names: v.optional(v.nullable(v.array(v.string())), null),
});

export const ClusterEventsBody = v.object({
  cluster_name: optionalName,
  cluster_hash: optionalName,
  event_type: v.string(),
  include_timestamps: flag,
  limit: minutes,
});

/** A handle as JSON: enough for tables and ssh config (wire.md §14.4). */
export interface WireHandle {
  cluster_name: string;
  cluster_name_on_cloud: string;
  cluster_yaml: null;
  launched_nodes: number;
  launched_resources: Record<string, unknown>;
  stable_internal_external_ips: [string, string][] | null;
  stable_ssh_ports: number[] | null;
  docker_user: null;
  is_grpc_enabled: boolean;
  ssh_user: string | null;
  /** Ours: HOME of each node where it is not the login user's own. */
  node_homes?: (string | null)[];
}

/** How to log in by ssh (wire.md §6.6). Holds a secret. */
export interface CredentialsView {
  ssh_user: string;
  /** Where the client is to keep the key. */
  ssh_private_key: string;
  /** PEM; null: the caller's own keys. */
  ssh_private_key_content: string | null;
  ssh_control_name: string;
  ssh_proxy_command: string | null;
}

export interface LaunchResult {
  job_id: number | null;
  handle: WireHandle | null;
  credentials?: CredentialsView;
}

/** One cluster of `sky status` (wire.md §6.6). Times are whole unix seconds. */
export interface ClusterView {
  name: string;
  launched_at: number;
  status: "INIT" | "UP" | "STOPPED" | "AUTOSTOPPING" | "PENDING";
  autostop: number;
  to_down: boolean;
  cluster_hash: string;
  cluster_ever_up: boolean;
  user_hash: string;
  user_name: string;
  workspace: string;
  nodes: number;
  is_managed: boolean;
  handle?: WireHandle | null;
  credentials?: CredentialsView;
  last_use: string;
  status_updated_at: number;
  resources_str: string | null;
  resources_str_full: string | null;
  owner: string[] | null;
  metadata: Record<string, unknown> | null;
  config_hash: string | null;
  last_creation_yaml: string | null;
  last_creation_command: string | null;
  last_event: string | null;
  launch_status_reason: string | null;
  cloud: string | null;
  region: string | null;
  cpus: string | null;
  memory: string | null;
  accelerators: string | null;
  labels: Record<string, string>;
  cluster_name_on_cloud: string | null;
  node_names: string | null;
  priority: number | null;
  priority_class: string | null;
  links: Record<string, string> | null;
}

/** One job of `sky queue` (wire.md §6.8). Times are unix seconds. */
export interface JobView {
  job_id: number;
  job_name: string;
  username: string;
  user_hash: string;
  submitted_at: number;
  start_at: number | null;
  end_at: number | null;
  resources: string;
  status: string;
  log_path: string;
  metadata: Record<string, unknown>;
}

/** One row of `sky cost-report` (wire.md §6.18). */
export interface CostView {
  name: string;
  launched_at: number;
  duration: number | null;
  num_nodes: number;
  resources: Record<string, unknown> | null;
  cluster_hash: string;
  usage_intervals: [number, number | null][];
  status: string | null;
  user_hash: string;
  user_name: string;
  workspace: string;
  last_event: string | null;
  total_cost: number;
  cloud: string | null;
  region: string | null;
  cpus: string | null;
  memory: string | null;
  accelerators: string | null;
  resources_str: string | null;
  resources_str_full: string | null;
  labels: Record<string, string>;
  hourly_cost: number;
}
