/**
 * THE TABLE: everything that can be asked of the server as a request. Read it first. Server routes, client
 * methods, request names and the coverage list of the wire tests are made from it; server/handlers/ must answer
 * each row or nothing compiles. Pure.
 */
import * as checks from "./checks.ts";
import * as clusters from "./clusters.ts";
import * as requests from "./requests.ts";
import { type BodyOf, type InputOf, queued, type ResultOf, streaming, type } from "./operation.ts";

const byClusterName = (body: { cluster_name: string }) => body.cluster_name;

export const operations = {
  launch: queued({
    name: "sky.launch",
    path: "/launch",
    body: clusters.LaunchBody,
    result: type<clusters.LaunchResult>(),
    lane: "long",
    cluster: byClusterName,
    lock: true,
  }),
  exec: queued({
    name: "sky.exec",
    path: "/exec",
    body: clusters.ExecBody,
    result: type<clusters.LaunchResult>(),
    lane: "long",
    cluster: byClusterName,
    lock: true,
  }),
  start: queued({
    name: "sky.start",
    path: "/start",
    body: clusters.StartBody,
    result: type<clusters.WireHandle | null>(),
    lane: "long",
    cluster: byClusterName,
    lock: true,
  }),
  stop: queued({
    name: "sky.stop",
    path: "/stop",
    body: clusters.StopDownBody,
    result: type<null>(),
    cluster: byClusterName,
    lock: true,
    preempts: true,
  }),
  down: queued({
    name: "sky.down",
    path: "/down",
    body: clusters.StopDownBody,
    result: type<null>(),
    cluster: byClusterName,
    lock: true,
    preempts: true,
  }),
  autostop: queued({
    name: "sky.autostop",
    path: "/autostop",
    body: clusters.AutostopBody,
    result: type<null>(),
    cluster: byClusterName,
  }),
  status: queued({
    name: "sky.status",
    path: "/status",
    body: clusters.StatusBody,
    result: type<clusters.ClusterView[]>(),
    lane: (body) => body.refresh === "NONE" || body.refresh === null ? "short" : "long",
  }),
  endpoints: queued({
    name: "sky.endpoints",
    path: "/endpoints",
    body: clusters.EndpointsBody,
    result: type<Record<string, string>>(),
    cluster: (body) => body.cluster,
  }),
  queue: queued({
    name: "sky.queue",
    path: "/queue",
    body: clusters.QueueBody,
    result: type<clusters.JobView[]>(),
    cluster: byClusterName,
  }),
  jobStatus: queued({
    name: "sky.job_status",
    path: "/job_status",
    body: clusters.JobStatusBody,
    result: type<Record<string, string | null>>(),
    cluster: byClusterName,
  }),
  cancel: queued({
    name: "sky.cancel",
    path: "/cancel",
    body: clusters.CancelBody,
    result: type<null>(),
    cluster: byClusterName,
  }),
  logs: streaming({
    name: "sky.logs",
    path: "/logs",
    body: clusters.LogsBody,
    result: type<number>(),
    cluster: byClusterName,
  }),
  downloadLogs: queued({
    name: "sky.download_logs",
    path: "/download_logs",
    body: clusters.DownloadLogsBody,
    result: type<Record<string, string>>(),
    cluster: byClusterName,
  }),
  costReport: queued({
    name: "sky.cost_report",
    path: "/cost_report",
    body: clusters.CostReportBody,
    result: type<clusters.CostView[]>(),
  }),
  clusterEvents: queued({
    name: "sky.cluster_events",
    path: "/cluster_events",
    body: clusters.ClusterEventsBody,
    result: type<string[] | { reason: string; transitioned_at: number }[]>(),
    cluster: (body) => body.cluster_name ?? "",
  }),
  optimize: queued({
    name: "sky.optimize",
    path: "/optimize",
    body: checks.OptimizeBody,
    result: type<null>(),
  }),
  check: queued({
    name: "sky.check",
    path: "/check",
    body: checks.CheckBody,
    result: type<checks.CheckResultView>(),
  }),
  enabledClouds: queued({
    name: "sky.enabled_clouds",
    method: "GET",
    path: "/enabled_clouds",
    body: checks.EnabledCloudsQuery,
    result: type<string[]>(),
  }),
  listAccelerators: queued({
    name: "sky.list_accelerators",
    path: "/list_accelerators",
    body: checks.ListAcceleratorsBody,
    result: type<checks.AcceleratorsView>(),
  }),
  listAcceleratorCounts: queued({
    name: "sky.list_accelerator_counts",
    path: "/list_accelerator_counts",
    body: checks.ListAcceleratorsBody,
    result: type<Record<string, number[]>>(),
  }),
  apiCancel: queued({
    name: "sky.api_cancel",
    path: "/api/cancel",
    body: requests.ApiCancelBody,
    result: type<string[]>(),
  }),
  workspaces: queued({
    name: "sky.workspaces.get",
    method: "GET",
    path: "/workspaces",
    body: checks.NoBody,
    result: type<Record<string, Record<string, unknown>>>(),
  }),
  storageLs: queued({
    name: "sky.storage_ls",
    method: "GET",
    path: "/storage/ls",
    body: checks.NoBody,
    result: type<Record<string, unknown>[]>(),
  }),
  volumes: queued({
    name: "sky.volume_list",
    method: "GET",
    path: "/volumes",
    body: checks.VolumesQuery,
    result: type<Record<string, unknown>[]>(),
  }),
  managedJobs: queued({
    name: "sky.jobs.queue_v2",
    path: "/jobs/queue/v2",
    body: checks.ManagedJobsBody,
    result: type<checks.ManagedJobsView>(),
  }),
  pools: queued({
    name: "sky.jobs.pool_status",
    path: "/jobs/pool_status",
    body: checks.PoolNamesBody,
    result: type<Record<string, unknown>[]>(),
  }),
  services: queued({
    name: "sky.serve.status",
    path: "/serve/status",
    body: checks.ServiceNamesBody,
    result: type<Record<string, unknown>[]>(),
  }),
} as const;

export type Operations = typeof operations;
export type OperationKey = keyof Operations;
export type Body<K extends OperationKey> = BodyOf<Operations[K]>;
export type Input<K extends OperationKey> = InputOf<Operations[K]>;
export type Result<K extends OperationKey> = ResultOf<Operations[K]>;
