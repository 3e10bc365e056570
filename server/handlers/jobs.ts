/** Handlers about the jobs of clusters and their logs. snake_case ends here. */
import { relative } from "@std/path";
import { cancelJobs, downloadLogs, followJob, jobQueue, jobStatus } from "../../clusters/mod.ts";
import { clientLogs } from "../direct/client_folder.ts";
import type { HandlersOf } from "./handler.ts";
import { jobView } from "./views.ts";

export const jobHandlers: HandlersOf<"queue" | "jobStatus" | "cancel" | "logs" | "downloadLogs"> = {
  async queue(body, ctx, world) {
    const options = { skipFinished: body.skip_finished, allUsers: body.all_users };
    return (await jobQueue(body.cluster_name, options, ctx, world.room)).map(jobView);
  },
  async jobStatus(body, ctx, world) {
    return await jobStatus(body.cluster_name, body.job_ids, ctx, world.room);
  },
  async cancel(body, ctx, world) {
    const options = { jobIds: body.job_ids, all: body.all, allUsers: body.all_users };
    await cancelJobs(body.cluster_name, options, ctx, world.room);
    return null;
  },
  async logs(body, ctx, world) {
    const { cluster_name: name, job_id: jobId, offset, follow } = body;
    const tail = Math.max(0, body.tail ?? 0);
    const followed = await followJob(name, jobId, { offset, tail, follow }, ctx, world.room);
    // The log goes to the exchange that asked; this request's own log stays empty, which saves a file per reader.
    const part = { log: followed.reader, offset: followed.offset };
    await world.exchanges.deliver(ctx.requestId, part, ctx.signal);
    return await followed.exitCode;
  },
  async downloadLogs(body, ctx, world) {
    const folder = clientLogs(ctx.user.id, world.home);
    const targetDir = folder.path;
    const found = await downloadLogs(body.cluster_name, { jobIds: body.job_ids, targetDir }, ctx, world.room);
    // Named as clients name their folder on a server, wherever ours is (wire.md §12.4).
    return Object.fromEntries(
      Object.entries(found).map(([id, path]) => [id, `${folder.shown}/${relative(folder.path, path)}`]),
    );
  },
};
