/**
 * THE TABLE: everything that can be asked of the server as a request. Read it first. Server routes, client
 * methods, request names and the coverage list of the wire tests are made from it; server/handlers/ must answer
 * each row or nothing compiles. Names and paths are in routes.ts, which clients load without the schemas. Pure.
 */
import * as checks from "./checks.ts";
import * as clusters from "./clusters.ts";
import * as places from "./places.ts";
import * as requests from "./requests.ts";
import { type BodyOf, type InputOf, type ResultOf, row, type } from "./operation.ts";
import { routes } from "./routes.ts";

const byClusterName = (body: { cluster_name: string }) => body.cluster_name;

export const operations = {
  launch: row(routes.launch, {
    body: clusters.LaunchBody,
    result: type<clusters.LaunchResult>(),
    lane: "long",
    cluster: byClusterName,
    lock: true,
  }),
  exec: row(routes.exec, {
    body: clusters.ExecBody,
    result: type<clusters.LaunchResult>(),
    lane: "long",
    cluster: byClusterName,
    lock: true,
  }),
  start: row(routes.start, {
    body: clusters.StartBody,
    result: type<clusters.WireHandle | null>(),
    lane: "long",
    cluster: byClusterName,
    lock: true,
  }),
  stop: row(routes.stop, {
    body: clusters.StopDownBody,
    result: type<null>(),
    cluster: byClusterName,
    lock: true,
    preempts: true,
  }),
  down: row(routes.down, {
    body: clusters.StopDownBody,
    result: type<null>(),
    cluster: byClusterName,
    lock: true,
    preempts: true,
  }),
  autostop: row(routes.autostop, {
    body: clusters.AutostopBody,
    result: type<null>(),
    cluster: byClusterName,
  }),
  status: row(routes.status, {
    body: clusters.StatusBody,
    result: type<clusters.ClusterView[]>(),
    lane: (body) => body.refresh === "NONE" || body.refresh === null ? "short" : "long",
  }),
  endpoints: row(routes.endpoints, {
    body: clusters.EndpointsBody,
    result: type<Record<string, string>>(),
    cluster: (body) => body.cluster,
  }),
  queue: row(routes.queue, {
    body: clusters.QueueBody,
    result: type<clusters.JobView[]>(),
    cluster: byClusterName,
  }),
  jobStatus: row(routes.jobStatus, {
    body: clusters.JobStatusBody,
    result: type<Record<string, string | null>>(),
    cluster: byClusterName,
  }),
  cancel: row(routes.cancel, {
    body: clusters.CancelBody,
    result: type<null>(),
    cluster: byClusterName,
  }),
  logs: row(routes.logs, {
    body: clusters.LogsBody,
    result: type<number>(),
    cluster: byClusterName,
  }),
  downloadLogs: row(routes.downloadLogs, {
    body: clusters.DownloadLogsBody,
    result: type<Record<string, string>>(),
    cluster: byClusterName,
  }),
  costReport: row(routes.costReport, {
    body: clusters.CostReportBody,
    result: type<clusters.CostView[]>(),
  }),
  clusterEvents: row(routes.clusterEvents, {
    body: clusters.ClusterEventsBody,
    result: type<string[] | { reason: string; transitioned_at: number }[]>(),
    cluster: (body) => body.cluster_name ?? "",
  }),
  optimize: row(routes.optimize, {
    body: checks.OptimizeBody,
    result: type<null>(),
  }),
  check: row(routes.check, {
    body: checks.CheckBody,
    result: type<checks.CheckResultView>(),
  }),
  enabledClouds: row(routes.enabledClouds, {
    body: checks.EnabledCloudsQuery,
    result: type<string[]>(),
  }),
  listAccelerators: row(routes.listAccelerators, {
    body: checks.ListAcceleratorsBody,
    result: type<checks.AcceleratorsView>(),
  }),
  listAcceleratorCounts: row(routes.listAcceleratorCounts, {
    body: checks.ListAcceleratorsBody,
    result: type<Record<string, number[]>>(),
  }),
  apiCancel: row(routes.apiCancel, {
    body: requests.ApiCancelBody,
    result: type<string[]>(),
  }),
  workspaces: row(routes.workspaces, {
    body: checks.NoBody,
    result: type<Record<string, Record<string, unknown>>>(),
  }),
  storageLs: row(routes.storageLs, {
    body: checks.NoBody,
    result: type<Record<string, unknown>[]>(),
  }),
  volumes: row(routes.volumes, {
    body: checks.VolumesQuery,
    result: type<Record<string, unknown>[]>(),
  }),
  managedJobs: row(routes.managedJobs, {
    body: checks.ManagedJobsBody,
    result: type<checks.ManagedJobsView>(),
  }),
  managedJobsList: row(routes.managedJobsList, {
    body: checks.ManagedJobsBody,
    result: type<Record<string, unknown>[]>(),
  }),
  pools: row(routes.pools, {
    body: checks.PoolNamesBody,
    result: type<Record<string, unknown>[]>(),
  }),
  services: row(routes.services, {
    body: checks.ServiceNamesBody,
    result: type<Record<string, unknown>[]>(),
  }),
  poolsUp: row(routes.poolsUp, { body: places.PoolsUpBody, result: type<null>(), lane: "long" }),
  poolsDown: row(routes.poolsDown, { body: places.PoolsDownBody, result: type<null>(), lane: "long" }),
  gpuAvailability: row(routes.gpuAvailability, {
    body: places.GpuAvailabilityBody,
    result: type<places.GpuAvailabilityView>(),
  }),
  nodeInfo: row(routes.nodeInfo, { body: places.NodeInfoBody, result: type<places.NodeInfoView>() }),
  slurmGpus: row(routes.slurmGpus, { body: places.SlurmGpusBody, result: type<places.SlurmGpusView>() }),
  slurmNodes: row(routes.slurmNodes, {
    body: places.SlurmNodesBody,
    result: type<places.SlurmNodeView[]>(),
  }),
} as const;

export type Operations = typeof operations;
export type OperationKey = keyof Operations;
export type Body<K extends OperationKey> = BodyOf<Operations[K]>;
export type Input<K extends OperationKey> = InputOf<Operations[K]>;
export type Result<K extends OperationKey> = ResultOf<Operations[K]>;
