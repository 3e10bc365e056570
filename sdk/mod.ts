/**
 * The door of the sdk for other programs:
 *
 *     import { launch, Resources, streamAndGet, tailLogs, Task } from "./sdk/mod.ts";
 *     const task = Task({ run: "echo hello", resources: Resources({ cpus: 2 }) });
 *     const { job_id } = await streamAndGet(await launch(task, { clusterName: "demo" }));
 *     const code = await tailLogs("demo", job_id);
 */
export type {
  ClusterView,
  CostView,
  JobView,
  LaunchResult,
  WireHandle as ClusterHandle,
} from "../api/clusters.ts";
export type { RequestPayload } from "../api/requests.ts";
export { type ErrorCode, isSkyError, SkyError } from "../core/errors.ts";
export type { Dag } from "../core/task.ts";
export { parseDag } from "../core/task_yaml.ts";
export {
  createSky,
  type LogSink,
  type RequestId,
  type Sky,
  type SkyOptions,
  type StatusQuery,
} from "./client.ts";
export { connect, type ConnectOptions, resolveEndpoint, userIdentity } from "./connect.ts";
export { NO_SINK } from "./sink.ts";
export { STDOUT } from "./stdout.ts";
export { Resources, type ResourcesWish, Task, type TaskWish } from "./task.ts";
export * from "./verbs.ts";
