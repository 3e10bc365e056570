/** Autostop with the server dead, and who is logged in: tells nodes when to end themselves. The loop is guard_text.ts's. */
import type { Handle } from "../../core/cluster.ts";
import { SkyError } from "../../core/errors.ts";
import type { CloudContext, GuardPolicy } from "../cloud.ts";
import { sshShell } from "../transport/ssh/mod.ts";
import { ALREADY, ARM_GUARD, DISARM_GUARD, GUARD, NO_NODE } from "./guard_text.ts";
import { readHandle } from "./handle.ts";
import { LOGINS } from "./node_texts.ts";
import { placesOf } from "./nodes.ts";
import { onHost, sshContext } from "./state.ts";

const ARM_MS = 30_000;
/** Seconds between a guard's looks; of silence after which it takes the server for dead. */
const LOOK_S = 15;
const SILENT_S = 180;
const WAITS = { none: "0", jobs: "1", jobs_and_ssh: "2" } as const;

/** Arm, renew or (null) disarm the guards of all nodes. Throws network when one is out of reach. */
export async function guard(handle: Handle, policy: GuardPolicy | null, ctx: CloudContext): Promise<void> {
  const places = await placesOf(readHandle(handle), ctx);
  await Promise.all(places.map(async (place) => {
    if (place.node === null) return;
    const { home } = place.node;
    if (policy === null) {
      await onHost(place, DISARM_GUARD, { args: [home], ctx });
      return;
    }
    const idleSince = Math.max(0, Math.floor((ctx.now() - policy.lastActiveAt) / 1000));
    const { code, stderr } = await sshShell(place.ssh, sshContext(ctx)).detach(GUARD, {
      first: ARM_GUARD,
      args: [
        home,
        String(policy.idleMinutes * 60),
        policy.down ? "1" : "0",
        WAITS[policy.waitFor],
        policy.busy ? "1" : "0",
        places.length > 1 ? "1" : "0",
        String(idleSince),
        String(LOOK_S),
        String(SILENT_S),
      ],
      signal: ctx.signal,
      timeoutMs: ARM_MS,
      processes: ctx.processes ?? null,
    });
    if (code === 0 || code === ALREADY || code === NO_NODE) return;
    throw new SkyError(
      "command_failed",
      `Cannot arm autostop on host '${place.ssh.name}': ${
        stderr.trim().slice(0, 200) || `exit code ${code}`
      }`,
    );
  }));
}

/** How many logins with a terminal there are on the hosts, of the user that clusters use. */
export async function logins(handle: Handle, ctx: CloudContext): Promise<number> {
  const places = await placesOf(readHandle(handle), ctx);
  const counts = await Promise.all(places.map(async (place) => {
    const { stdout } = await onHost(place, LOGINS, { ctx });
    return Number(stdout.trim()) || 0;
  }));
  return counts.reduce((sum, count) => sum + count, 0);
}
