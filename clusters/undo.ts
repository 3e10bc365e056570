/** Taking down what a launch that failed has made. Leaves what comes next to provision.ts. */
import type { Cloud } from "../clouds/cloud.ts";
import type { ClusterRecord } from "../core/cluster.ts";
import { cloudDisplayName } from "../core/cloud_names.ts";
import type { Context } from "../core/context.ts";
import { describe, SkyError } from "../core/errors.ts";
import { cloudContext, cloudOf } from "./asker.ts";
import type { Room } from "./room.ts";
import { isUnreachable } from "./waiting.ts";

const TEARDOWN_TRIES = 3;

/**
 * Take down what a failed attempt has made. Three failures to do so end the search: better no cluster than a leak. The
 * record stays then, so that what may be there is not forgotten.
 */
export async function undo(cluster: ClusterRecord, ctx: Context, room: Room): Promise<void> {
  const saved = await room.clusters.get(cluster.name);
  const handle = saved?.hash === cluster.hash ? saved.handle : cluster.handle;
  if (handle === null) return;
  const cloud: Cloud = await cloudOf(cluster, room);
  for (let tries = 1;; tries++) {
    try {
      return await cloud.terminate(handle, cloudContext(cloud, ctx, room));
    } catch (error) {
      ctx.signal.throwIfAborted();
      if (tries < TEARDOWN_TRIES) continue;
      if (isUnreachable(error)) throw mayBeThere(cluster, error);
      throw new SkyError(
        "command_failed",
        `Failed to terminate what was made of cluster '${cluster.name}' on ` +
          `${cloudDisplayName(cluster.resources.cloud)}, which can cause resource leakage: ${
            describe(error)
          }`,
        { hint: `sky down ${cluster.name}`, cause: error },
      );
    }
  }
}

function mayBeThere(cluster: ClusterRecord, cause: SkyError): SkyError {
  const { name, resources } = cluster;
  return new SkyError(
    cause.code,
    `Cannot tell whether anything was made of cluster '${name}' on ${cloudDisplayName(resources.cloud)}: ` +
      `${
        describe(cause)
      }. It may exist; once it can be reached, 'sky launch -c ${name}' goes on with it and ` +
      `'sky down ${name}' cleans up.`,
    { hint: `sky down ${name}`, cause },
  );
}
