/**
 * How each row of the operations table is asked for: name, method, path. The part of the table that clients need to
 * run; operations.ts joins it with schemas, so that no client loads those. Pure.
 */

export interface Route {
  /** A queued request runs later; the answer of a streaming one is its log. */
  readonly kind: "queued" | "streaming";
  /** The stored request name with SkyPilot's prefix; clients choose the result decoder by it (wire.md §4.1). */
  readonly name: `sky.${string}`;
  readonly method: "GET" | "POST";
  readonly path: string;
  /**
   * Answered at once, from what the server knows, without effect: our own clients may ask it without making a
   * request of it, many in one exchange (server/direct/reads.ts).
   */
  readonly reads: (own: Readonly<Record<string, unknown>>) => boolean;
}

/** Where our own clients ask reads. */
export const READS_PATH = "/api/reads";
/** SkyPilot's clients ask by GET, with a body. */
export const SLURM_NODES_PATH = "/slurm_node_info";

const always = () => true;
const never = () => false;
const unrefreshed: Route["reads"] = ({ refresh = null }) => refresh === null || refresh === "NONE";

function post(name: Route["name"], path: string, reads: Route["reads"] = never): Route {
  return { kind: "queued", name, method: "POST", path, reads };
}

function get(name: Route["name"], path: string, reads: Route["reads"] = never): Route {
  return { ...post(name, path, reads), method: "GET" };
}

export const routes = {
  launch: post("sky.launch", "/launch"),
  exec: post("sky.exec", "/exec"),
  start: post("sky.start", "/start"),
  stop: post("sky.stop", "/stop"),
  down: post("sky.down", "/down"),
  autostop: post("sky.autostop", "/autostop"),
  status: post("sky.status", "/status", unrefreshed),
  endpoints: post("sky.endpoints", "/endpoints"),
  queue: post("sky.queue", "/queue"),
  jobStatus: post("sky.job_status", "/job_status"),
  cancel: post("sky.cancel", "/cancel"),
  logs: { ...post("sky.logs", "/logs"), kind: "streaming" },
  downloadLogs: post("sky.download_logs", "/download_logs"),
  costReport: post("sky.cost_report", "/cost_report"),
  clusterEvents: post("sky.cluster_events", "/cluster_events"),
  optimize: post("sky.optimize", "/optimize"),
  check: post("sky.check", "/check"),
  enabledClouds: get("sky.enabled_clouds", "/enabled_clouds", always),
  listAccelerators: post("sky.list_accelerators", "/list_accelerators"),
  listAcceleratorCounts: post("sky.list_accelerator_counts", "/list_accelerator_counts"),
  apiCancel: post("sky.api_cancel", "/api/cancel"),
  workspaces: get("sky.workspaces.get", "/workspaces", always),
  storageLs: get("sky.storage_ls", "/storage/ls"),
  volumes: get("sky.volume_list", "/volumes"),
  managedJobs: post("sky.jobs.queue_v2", "/jobs/queue/v2", always),
  /** What `sky.jobs.queue()` of SkyPilot's SDK still asks. */
  managedJobsList: post("sky.jobs.queue", "/jobs/queue", always),
  pools: post("sky.jobs.pool_status", "/jobs/pool_status", always),
  services: post("sky.serve.status", "/serve/status", always),
  poolsUp: post("sky.ssh_node_pools.up", "/ssh_node_pools/deploy"),
  poolsDown: post("sky.ssh_node_pools.down", "/ssh_node_pools/down"),
  gpuAvailability: post(
    "sky.realtime_kubernetes_gpu_availability",
    "/realtime_kubernetes_gpu_availability",
    always,
  ),
  nodeInfo: post("sky.kubernetes_node_info", "/kubernetes_node_info", always),
  slurmGpus: post("sky.realtime_slurm_gpu_availability", "/slurm_gpu_availability", always),
  slurmNodes: post("sky.slurm_node_info", SLURM_NODES_PATH, always),
} as const satisfies Readonly<Record<string, Route>>;
