/** The words of provisioning (cli.md §3.1): where, how many are up, and what failed everywhere. Pure. */
import { cloudDisplayName } from "../core/cloud_names.ts";
import type { LaunchedResources } from "../core/cluster.ts";
import { SkyError } from "../core/errors.ts";
import { infraCell } from "../core/infra.ts";
import { reprResources } from "../core/resources.ts";
import type { Task } from "../core/task.ts";

/** A place that was tried, and why it failed. */
export interface Attempt {
  readonly resources: LaunchedResources;
  readonly error: SkyError;
}

/** `AWS us-east-1 (us-east-1a)` for the line, `AWS in us-east-1` for the event. */
export function placeText(resources: LaunchedResources): { line: string; event: string } {
  const cloud = cloudDisplayName(resources.cloud);
  const { region, zone } = resources;
  if (resources.cloud === "ssh" && region !== null) {
    const pool = `${cloud} (${region.replace(/^ssh-/, "")})`;
    return { line: pool, event: pool };
  }
  if (region === null || resources.cloud === "kubernetes") return { line: cloud, event: cloud };
  return { line: `${cloud} ${region}${zone === null ? "" : ` (${zone})`}`, event: `${cloud} in ${region}` };
}

/** `Instance is up.`, `Pods are up.` */
export function nodesUpText(cloud: string, count: number): string {
  const noun = cloud === "kubernetes" || cloud === "ssh" ? "Pod" : "Instance";
  return count === 1 ? `${noun} is up.` : `${noun}s are up.`;
}

/** Every place failed. */
export function finalFailure(
  task: Pick<Task, "resources" | "numNodes">,
  attempts: readonly Attempt[],
): SkyError {
  const [first] = task.resources.candidates;
  const wanted = first === undefined ? "" : `${task.numNodes}x ${reprResources(first)}`;
  const blocks = attempts.flatMap(({ resources, error }) => [
    "",
    `✗ ${infraCell(resources, { full: true })} — ${resources.instanceType ?? "-"}`,
    ...error.message.split("\n").map((line) => `  ${line}`),
    ...(error.hint === undefined ? [] : [`  Hint: ${error.hint}`]),
  ]);
  const lines = [
    `Failed to provision all possible launchable resources. Relax the task's resource requirements: ${wanted}`,
    "To keep retrying until the cluster is up, use the `--retry-until-up` flag.",
    "Reasons for provision failures (for details, please check the log above):",
    `Provision failures (tried ${attempts.length} infra):`,
    ...blocks,
  ];
  return new SkyError("resources_unavailable", lines.join("\n"), {
    details: {
      failoverHistory: attempts.map(({ error }) => error.message),
      attempts: attempts.map(({ resources }) => resources),
    },
  });
}
