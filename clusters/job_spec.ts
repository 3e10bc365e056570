/**
 * What a job runs and in which environment (domain.md §5.5–5.6): the spec kept in its row, and from it the starts
 * of both phases on every node. Pure. Leaves running them to gang.ts, wrapping the script to the clouds.
 */
import type { CommandRunner, JobStart, NodeInfo } from "../clouds/cloud.ts";
import { cyan } from "../core/ansi.ts";
import type { ClusterRecord, LaunchedResources } from "../core/cluster.ts";
import type { JobRecord } from "../core/job.ts";
import type { Task } from "../core/task.ts";
import { type Member, sourceKey } from "./gang.ts";

/** In `JobRecord.spec`, as JSON. Holds secrets. */
export interface JobSpec {
  readonly setup: string | null;
  readonly run: string | null;
  /** The task's envs and secrets (secrets win), without those that depend on job or node. */
  readonly env: Readonly<Record<string, string>>;
  readonly userName: string;
}

/** One node of the cluster as a job needs it, cluster order, head first. */
export interface JobNode {
  readonly runner: CommandRunner;
  readonly ip: string;
}

export interface JobPlace {
  readonly cluster: Pick<ClusterRecord, "name" | "numNodes" | "resources">;
  /** As shown, e.g. `AWS`. */
  readonly cloudName: string;
  readonly nodes: readonly JobNode[];
}

export function specOf(task: Task, options: { setup: boolean; userName: string }): JobSpec {
  return {
    setup: options.setup ? task.setup : null,
    run: task.run,
    env: { ...task.envs, ...task.secrets },
    userName: options.userName,
  };
}

export function parseSpec(job: Pick<JobRecord, "spec">): JobSpec {
  return JSON.parse(job.spec) as JobSpec;
}

/** Nodes in cluster order with their addresses. */
export function jobNodes(runners: readonly CommandRunner[], infos: readonly NodeInfo[]): JobNode[] {
  return runners.map((runner, i) => {
    const info = infos.find((node) => node.id === runner.nodeId) ?? infos[i];
    return { runner, ip: info?.internalIp ?? "127.0.0.1" };
  });
}

/** Setup runs on every node of the cluster, whatever the job asked for. */
export function setupMembers(job: JobRecord, script: string, place: JobPlace): Member[] {
  const ips = place.nodes.map((node) => node.ip).join("\n");
  return place.nodes.map((node, i) => ({
    key: sourceKey("setup", i),
    runner: node.runner,
    prefix: (pid) => `${cyan(`(setup pid=${pid}${ipSuffix(node, i)})`)} `,
    start: {
      logDir: job.logDir,
      phase: "setup",
      output: "tasks/setup.log",
      script,
      env: {
        ...sharedEnv(job, place),
        SKYPILOT_SETUP_NODE_IPS: ips,
        SKYPILOT_SETUP_NODE_RANK: String(i),
        SKYPILOT_SETUP_NUM_GPUS_PER_NODE: String(gpusPerNode(job)),
      },
    },
  }));
}

/** One member per node the job was placed on, in rank order. */
export function runMembers(job: JobRecord, script: string, place: JobPlace): Member[] {
  const ips = job.nodes.map((index) => place.nodes[index]?.ip ?? "").join("\n");
  return job.nodes.map((index, rank) => {
    const node = place.nodes[index];
    if (node === undefined) {
      throw new Error(`job ${job.id} was placed on node ${index}, which does not exist`);
    }
    return {
      key: sourceKey("run", index),
      runner: node.runner,
      prefix: (pid) =>
        `${cyan(runLabel(job, { node, index, rank, pid, clusterNodes: place.nodes.length }))} `,
      start: {
        logDir: job.logDir,
        phase: "run",
        output: runOutput({ index, rank, clusterNodes: place.nodes.length }),
        script,
        env: {
          ...sharedEnv(job, place),
          SKYPILOT_NODE_IPS: ips,
          SKYPILOT_NODE_RANK: String(rank),
          SKYPILOT_NUM_GPUS_PER_NODE: String(gpusPerNode(job)),
          SKYPILOT_INTERNAL_JOB_ID: String(job.id),
          ...visibleDevices(job, { rank, resources: place.cluster.resources }),
        },
      },
    } satisfies Member;
  });
}

/** `sky-<time>_<cluster>_<job id>`, the same however often it is asked for. */
export function taskId(job: Pick<JobRecord, "id" | "submittedAt">, clusterName: string): string {
  return `sky-${timestamp(job.submittedAt)}_${clusterName}_${job.id}`;
}

/** `2026-11-24-07-01-00-123000`, UTC. */
export function timestamp(ms: number): string {
  const [date = "", time = ""] = new Date(ms).toISOString().split("T");
  const [clock = "", fraction = "000Z"] = time.split(".");
  return `${date}-${clock.replaceAll(":", "-")}-${fraction.slice(0, 3)}000`;
}

/** Directory below `~/sky_logs`: `1-train`, `1--` without a name. */
export function logDirOf(id: number, name: string | null): string {
  return `${id}-${name ?? "-"}`;
}

function sharedEnv(job: JobRecord, place: JobPlace): Record<string, string> {
  const { cloudName, cluster } = place;
  const spec = parseSpec(job);
  return {
    ...spec.env,
    SKYPILOT_TASK_ID: taskId(job, cluster.name),
    SKYPILOT_CLUSTER_INFO: JSON.stringify({
      cluster_name: cluster.name,
      cloud: cloudName,
      region: cluster.resources.region,
      zone: cluster.resources.zone,
    }),
    SKYPILOT_USER: spec.userName,
    SKYPILOT_NUM_NODES: String(job.numNodes),
  };
}

function gpusPerNode(job: JobRecord): number {
  const [count = 0] = Object.values(job.accelerators ?? {});
  return Math.ceil(count);
}

/** The GPUs it got; on a machine with GPUs a job without any sees none, so that it takes nobody's. */
function visibleDevices(
  job: JobRecord,
  options: { rank: number; resources: LaunchedResources },
): Record<string, string> {
  const gpus = job.gpus[options.rank] ?? [];
  if (gpus.length > 0) return { CUDA_VISIBLE_DEVICES: gpus.join(",") };
  return options.resources.accelerators === null ? {} : { CUDA_VISIBLE_DEVICES: "" };
}

function runOutput(where: { index: number; rank: number; clusterNodes: number }): string {
  if (where.clusterNodes === 1) return "tasks/run.log";
  return `tasks/${where.rank}-${nodeName(where.index)}.log`;
}

function runLabel(
  job: JobRecord,
  where: { node: JobNode; index: number; rank: number; pid: number; clusterNodes: number },
): string {
  if (where.clusterNodes === 1) return `(${job.name ?? "task"}, pid=${where.pid})`;
  const { index, rank, pid, node } = where;
  return `(${nodeName(index)}, rank=${rank}, pid=${pid}${ipSuffix(node, index)})`;
}

/** Lines from other nodes than the head say which one. */
function ipSuffix(node: JobNode, index: number): string {
  return index === 0 ? "" : `, ip=${node.ip}`;
}

function nodeName(index: number): string {
  return index === 0 ? "head" : `worker${index}`;
}

/** What kill needs to know of every phase a job may have anywhere. */
export function everyPhase(
  job: Pick<JobRecord, "logDir">,
  nodes: readonly JobNode[],
): { runner: CommandRunner; start: Pick<JobStart, "logDir" | "phase"> }[] {
  const phases = ["setup", "run"] as const;
  return nodes.flatMap((node) =>
    phases.map((phase) => ({ runner: node.runner, start: { logDir: job.logDir, phase } }))
  );
}
