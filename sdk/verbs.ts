/**
 * The sdk as plain functions over one connection, as SkyPilot's users know them. A door: it reads the environment.
 * Everything that is not a cluster verb is client.ts's.
 */
import process from "node:process";
import type { ClusterView, CostView, JobView, LaunchResult, WireHandle } from "../api/clusters.ts";
import type { RequestPayload } from "../api/requests.ts";
import type { WaitFor } from "../core/cluster.ts";
import { type Env, userHome } from "../core/paths.ts";
import { generatedClusterName } from "../core/names.ts";
import type { Dag, Task } from "../core/task.ts";
import { absolutePaths, dumpDag } from "../core/task_yaml.ts";
import type { RequestId, Sky, StatusQuery } from "./client.ts";
import { openConfig } from "./config_paths.ts";
import { connect } from "./connect.ts";
import type { LogSink } from "./sink.ts";
import { STDOUT } from "./stdout.ts";

let current: Promise<Sky> | undefined;

/** Use this client from now on, e.g. one of `createSky`. */
export function useConnection(sky: Sky): void {
  current = Promise.resolve(sky);
}

/** The client that all functions here share: of the configured server, a local one is started if need be. */
export function connection(): Promise<Sky> {
  return current ??= open();
}

/** Let go of the shared connection; the next call opens another. */
export async function close(): Promise<void> {
  const sky = await current;
  current = undefined;
  sky?.close();
}

const env: Env = (name) => Deno.env.get(name);

async function open(): Promise<Sky> {
  const cwd = Deno.cwd();
  const config = (await openConfig(env, cwd, []))();
  const command = ["sdk", ...process.argv.slice(1, 2)].join(" ");
  const sky = await connect({ env, cwd, command, config, start: true, variables: Deno.env.toObject() });
  if (sky === undefined) throw new Error("connect() started no server");
  return sky;
}

export interface LaunchOptions {
  /** Made up when absent. */
  clusterName?: string;
  dryrun?: boolean;
  /** Remove the cluster when its jobs are done (with `idleMinutes`: when idle for so long). */
  down?: boolean;
  idleMinutes?: number;
  retryUntilUp?: boolean;
  noSetup?: boolean;
  fast?: boolean;
}

/** Launch a task on a new or existing cluster. The result: job id and handle. */
export async function launch(
  task: Task | Dag,
  options: LaunchOptions = {},
): Promise<RequestId<LaunchResult>> {
  const sky = await connection();
  const { text, blobId } = await prepared(sky, task, { workdirOnly: false });
  const random = Array.from(
    crypto.getRandomValues(new Uint8Array(2)),
    (byte) => byte.toString(16).padStart(2, "0"),
  );
  return await sky.launch({
    task: text,
    cluster_name: options.clusterName ?? generatedClusterName(sky.user.name, random.join("")),
    dryrun: options.dryrun ?? false,
    down: options.down ?? false,
    idle_minutes_to_autostop: options.idleMinutes ?? null,
    retry_until_up: options.retryUntilUp ?? false,
    no_setup: options.noSetup ?? false,
    fast: options.fast ?? false,
  }, { blobId });
}

/** Run a task on a cluster that is up: no provisioning, no setup. */
export async function exec(
  task: Task | Dag,
  options: { clusterName: string; dryrun?: boolean },
): Promise<RequestId<LaunchResult>> {
  const sky = await connection();
  const { text, blobId } = await prepared(sky, task, { workdirOnly: true });
  return await sky.exec(
    { task: text, cluster_name: options.clusterName, dryrun: options.dryrun ?? false },
    { blobId },
  );
}

async function prepared(
  sky: Sky,
  task: Task | Dag,
  options: { workdirOnly: boolean },
): Promise<{ text: string; blobId: string | null }> {
  const dag: Dag = "tasks" in task ? task : { name: task.name, execution: "serial", tasks: [task] };
  const base = { cwd: Deno.cwd(), home: userHome(env) };
  const absolute = { ...dag, tasks: dag.tasks.map((each) => absolutePaths(each, base)) };
  const uploaded = await sky.uploadMounts(absolute, options);
  return { text: dumpDag(uploaded.dag), blobId: uploaded.blobId };
}

export interface StartOptions {
  idleMinutes?: number;
  waitFor?: WaitFor;
  retryUntilUp?: boolean;
  down?: boolean;
}

/** Start a stopped cluster again. */
export async function start(
  clusterName: string,
  options: StartOptions = {},
): Promise<RequestId<WireHandle | null>> {
  return await (await connection()).start({
    cluster_name: clusterName,
    idle_minutes_to_autostop: options.idleMinutes ?? null,
    wait_for: options.waitFor ?? null,
    retry_until_up: options.retryUntilUp ?? false,
    down: options.down ?? false,
  });
}

/** Stop a cluster; its disk stays. Cancels what else is going on there. */
export async function stop(clusterName: string, options: { purge?: boolean } = {}): Promise<RequestId<null>> {
  return await (await connection()).stop({ cluster_name: clusterName, purge: options.purge ?? false });
}

/** Remove a cluster and its disk. Cancels what else is going on there. */
export async function down(clusterName: string, options: { purge?: boolean } = {}): Promise<RequestId<null>> {
  return await (await connection()).down({ cluster_name: clusterName, purge: options.purge ?? false });
}

/** Stop (or remove) a cluster after so many idle minutes; negative: never. */
export async function autostop(
  clusterName: string,
  idleMinutes: number,
  options: { waitFor?: WaitFor; down?: boolean } = {},
): Promise<RequestId<null>> {
  return await (await connection()).autostop({
    cluster_name: clusterName,
    idle_minutes: idleMinutes,
    wait_for: options.waitFor ?? null,
    down: options.down ?? false,
  });
}

/** Clusters by name or glob; all of mine without names. */
export async function status(
  clusterNames: readonly string[] | null = null,
  options: { refresh?: "NONE" | "AUTO" | "FORCE"; allUsers?: boolean } = {},
): Promise<RequestId<ClusterView[]>> {
  return await (await connection()).status({
    cluster_names: clusterNames === null ? null : [...clusterNames],
    refresh: options.refresh ?? "NONE",
    all_users: options.allUsers ?? false,
  });
}

/** Jobs of a cluster. */
export async function queue(
  clusterName: string,
  options: { skipFinished?: boolean; allUsers?: boolean } = {},
): Promise<RequestId<JobView[]>> {
  return await (await connection()).queue({
    cluster_name: clusterName,
    skip_finished: options.skipFinished ?? false,
    all_users: options.allUsers ?? false,
  });
}

/** Job id → status; the latest job without ids. */
export async function jobStatus(
  clusterName: string,
  jobIds: readonly number[] | null = null,
): Promise<RequestId<Record<string, string | null>>> {
  return await (await connection()).jobStatus({ cluster_name: clusterName, job_ids: jobIds && [...jobIds] });
}

/** Cancel jobs of a cluster; without ids the latest running one. */
export async function cancel(
  clusterName: string,
  options: { jobIds?: readonly number[]; all?: boolean; allUsers?: boolean } = {},
): Promise<RequestId<null>> {
  return await (await connection()).cancel({
    cluster_name: clusterName,
    job_ids: options.jobIds === undefined ? null : [...options.jobIds],
    all: options.all ?? false,
    all_users: options.allUsers ?? false,
  });
}

/** What clusters have cost in the last days. */
export async function costReport(days = 30): Promise<RequestId<CostView[]>> {
  return await (await connection()).costReport({ days });
}

/** Wait for a request; its result. Throws its error. */
export async function get<R>(id: RequestId<R>): Promise<R> {
  return await (await connection()).get(id);
}

/** Follow a request's log (to stdout, unless told otherwise), then its result. Throws its error. */
export async function streamAndGet<R>(id: RequestId<R>, sink: LogSink = STDOUT): Promise<R> {
  return await (await connection()).streamAndGet(id, sink);
}

/** Cancel requests by id or unique prefix, or all of mine; the ids that were cancelled. */
export async function apiCancel(ids: string | readonly string[] | "all"): Promise<string[]> {
  const sky = await connection();
  const list = ids === "all" ? null : typeof ids === "string" ? [ids] : [...ids];
  return await sky.call("apiCancel", { request_ids: list, user_id: sky.user.id });
}

/** Requests, newest first: those under way, or all. */
export async function apiStatus(query: StatusQuery = {}): Promise<RequestPayload[]> {
  return await (await connection()).apiStatus(query);
}

/** Follow a job's log (to stdout, unless told otherwise); the job's exit code: 0, 100–103. */
export async function tailLogs(
  clusterName: string,
  jobId: number | null = null,
  options: { follow?: boolean; tail?: number; sink?: LogSink } = {},
): Promise<number> {
  const { follow = true, tail = 0, sink = STDOUT } = options;
  return await (await connection()).tailLogs(
    { cluster_name: clusterName, job_id: jobId, follow, tail },
    sink,
  );
}

/** Download job logs below `~/sky_logs`; job id → local path. */
export async function downloadLogs(
  clusterName: string,
  jobIds: readonly number[] | null = null,
): Promise<Record<string, string>> {
  return await (await connection()).fetchLogs({
    cluster_name: clusterName,
    job_ids: jobIds?.map(String) ?? null,
  });
}
