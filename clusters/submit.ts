/** A task becomes a job of a cluster, once per request (domain.md §5.2). Leaves running it to keeper.ts. */
import type { ClusterRecord } from "../core/cluster.ts";
import type { Context } from "../core/context.ts";
import { demandText, type Resources } from "../core/resources.ts";
import type { Task } from "../core/task.ts";
import { specOf } from "./job_spec.ts";
import { spinning, starting } from "./lines.ts";
import type { Room } from "./room.ts";

export interface SubmitOptions {
  readonly cluster: ClusterRecord;
  /** The candidate that the cluster serves. */
  readonly wish: Resources;
  /** Run the task's setup inside the job. */
  readonly setup: boolean;
}

/** The job's id, or null for a task with nothing to run. */
export async function submitJob(
  task: Task,
  options: SubmitOptions,
  ctx: Context,
  room: Room,
): Promise<number | null> {
  const { cluster, wish } = options;
  const spec = specOf(task, { setup: options.setup, userName: ctx.user.name });
  if (spec.run === null && spec.setup === null) {
    ctx.log.line("Run commands not specified or empty.");
    return null;
  }
  return await ctx.step("submit job", async () => {
    ctx.log.status(spinning("Submitting job"));
    const inserting = room.jobs.insert({
      clusterHash: cluster.hash,
      name: task.name,
      logName: task.name ?? "-",
      userId: ctx.user.id,
      userName: ctx.user.name,
      submittedAt: ctx.now(),
      resources: demandText({ kind: "any_of", candidates: [wish] }, { numNodes: task.numNodes }),
      numNodes: task.numNodes,
      accelerators: wish.accelerators,
      spec: JSON.stringify(spec),
      requestId: ctx.requestId,
      gitCommit: gitCommitOf(task),
    });
    // Both in one commit.
    const used = room.clusters.update(cluster, { lastUse: ctx.command, lastActiveAt: ctx.now() });
    const [{ job }] = await Promise.all([inserting, used]);
    // From here on it goes by itself: the request may end, the server too.
    const keeper = await room.keepers.of(cluster);
    await keeper.add(job, { signal: ctx.signal });
    ctx.log.status(null);
    ctx.log.line(starting(`Job submitted, ID: ${job.id}`));
    return job.id;
  });
}

function gitCommitOf(task: Task): string | null {
  const metadata = task.sections["_metadata"];
  if (metadata === null || typeof metadata !== "object" || !("git_commit" in metadata)) return null;
  return typeof metadata.git_commit === "string" ? metadata.git_commit : null;
}
