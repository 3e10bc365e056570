/**
 * Nodes that can end themselves, so that autostop holds with the server dead: owns when their clouds are told to arm
 * or disarm them. What the nodes then do is each cloud's.
 */
import type { ClusterRecord } from "../core/cluster.ts";
import { isSkyError } from "../core/errors.ts";
import { type Asker, cloudContext, cloudOf, serverAsker } from "./asker.ts";
import type { Room } from "./room.ts";

/** Nodes believe a server dead that has been silent three times as long. */
const RENEW_MS = 60_000;

/** Arm the nodes of a cluster that is up, or tell them that we live. Does nothing while that is fresh. */
export async function keepGuarded(cluster: ClusterRecord, signal: AbortSignal, room: Room): Promise<void> {
  const { idleMinutes, down, waitFor, setAt } = cluster.autostop;
  if (idleMinutes < 0 || cluster.handle === null) return;
  const cloud = await cloudOf(cluster, room);
  if (cloud.guard === undefined) return;
  const known = room.guarded.get(cluster.hash);
  const policy = `${idleMinutes} ${down} ${waitFor} ${setAt}`;
  const now = room.now();
  if (known?.policy === policy && now - known.at < RENEW_MS) return;
  // Before the work: a tick that comes meanwhile need not do it, too.
  room.guarded.set(cluster.hash, { at: now, policy });
  try {
    const busy = (await room.jobs.list(cluster.hash, { active: true })).length > 0;
    // As isDue counts.
    const used = busy ? now : Math.max(cluster.lastActiveAt, setAt);
    await cloud.guard(
      cluster.handle,
      { idleMinutes, down, waitFor, busy, lastActiveAt: waitFor === "none" ? setAt : used },
      cloudContext(cloud, serverAsker(room, signal), room),
    );
  } catch (error) {
    room.guarded.delete(cluster.hash);
    // Nodes out of reach now: the next tick tries again, and what was armed before holds.
    if (!isSkyError(error, "network") && !isSkyError(error, "timeout")) throw error;
  }
}

/** The nodes forget about ending themselves. Throws network when that can't be told to one that was armed. */
export async function disarm(cluster: ClusterRecord, asker: Asker, room: Room): Promise<void> {
  if (cluster.autostop.idleMinutes < 0 || cluster.handle === null) return;
  const cloud = await cloudOf(cluster, room);
  room.guarded.delete(cluster.hash);
  await cloud.guard?.(cluster.handle, null, cloudContext(cloud, asker, room));
}
