/** Getting hold of a cluster for a launch, start or exec, with the waiting said; an autostop under way is finished first. */
import { completeAutostop } from "./autostop.ts";
import type { Context } from "../core/context.ts";
import type { Guard } from "./guards.ts";
import { spinning } from "./lines.ts";
import type { Room } from "./room.ts";

/** The guard of the cluster, none of its autostop left. Rejects with the signal's reason. */
export async function enterCluster(name: string, ctx: Context, room: Room): Promise<Guard> {
  const before = await room.clusters.get(name);
  const autostopping = before?.status === "AUTOSTOPPING";
  let guard = room.guards.tryAcquire(name);
  if (guard === null || autostopping) {
    ctx.log.status(
      autostopping
        ? spinning(`Waiting for autostop to complete on '${name}'`)
        : spinning("Launching - blocked by other requests"),
    );
  }
  guard ??= await room.guards.acquire(name, ctx.signal);
  try {
    const now = await room.clusters.get(name);
    // Begun by a server that has died since: nobody else will finish it before the next tick.
    if (now?.status === "AUTOSTOPPING") await completeAutostop(now, { guard, signal: ctx.signal }, room);
    ctx.log.status(null);
    if (autostopping) {
      const after = await room.clusters.get(name);
      const status = after?.hash === before.hash ? after.status : "TERMINATED";
      ctx.log.line(`Autostop completed. Cluster status: ${status}`);
    }
    return guard;
  } catch (error) {
    guard[Symbol.dispose]();
    throw error;
  }
}
