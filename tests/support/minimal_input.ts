/** The least that each row of the operations table can be asked with: a row added there must be added here. */
import type { Input, OperationKey } from "../../api/operations.ts";
import { taskYaml } from "./official_client.ts";

const dag = taskYaml("true");
const cluster_name = "missing";
const request_options = { cluster_name: null, idle_minutes_to_autostop: null, down: false, dryrun: false };

export const MINIMAL: { readonly [K in OperationKey]: Input<K> } = {
  launch: { task: dag, cluster_name },
  exec: { task: dag, cluster_name },
  start: { cluster_name },
  stop: { cluster_name },
  down: { cluster_name },
  autostop: { cluster_name, idle_minutes: 5 },
  status: { cluster_names: null },
  endpoints: { cluster: cluster_name },
  queue: { cluster_name },
  jobStatus: { cluster_name, job_ids: null },
  cancel: { cluster_name, job_ids: null },
  logs: { cluster_name, job_id: null },
  downloadLogs: { cluster_name, job_ids: null },
  costReport: { days: 30 },
  clusterEvents: { cluster_name, event_type: "STATUS_CHANGE" },
  optimize: { dag, request_options },
  check: { clouds: ["aws"] },
  enabledClouds: {},
  listAccelerators: { name_filter: "H100" },
  listAcceleratorCounts: { name_filter: "H100" },
  apiCancel: { request_ids: [] },
  workspaces: {},
  storageLs: {},
  volumes: {},
  managedJobs: {},
  pools: { pool_names: null },
  services: { service_names: null },
  poolsUp: {},
  poolsDown: {},
  gpuAvailability: {},
  nodeInfo: {},
  slurmGpus: {},
  slurmNodes: {},
  managedJobsList: {},
};
