/** The cases of conformance.ts for a cloud that never has anything to give: every verb says so, nothing is left. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { autostopTick, setAutostop } from "../../clusters/autostop.ts";
import { exec } from "../../clusters/exec.ts";
import { followJob } from "../../clusters/job_logs.ts";
import { cancelJobs, jobQueue } from "../../clusters/jobs.ts";
import { launch } from "../../clusters/launch.ts";
import { down, start, stop } from "../../clusters/lifecycle.ts";
import { status } from "../../clusters/status.ts";
import { SkyError } from "../../core/errors.ts";
import { ALL, launchOptions, NO_END, type Server } from "../clusters/world.ts";
import { job, type Stage } from "./conformance.ts";

const NEVER = new AbortController().signal;

async function refused(stage: Stage, server: Server, more: readonly string[] = []): Promise<SkyError> {
  const wish = job(stage, ["echo never"], more);
  const error = await assertRejects(
    () => launch(wish, launchOptions(), server.context(), server.room),
    SkyError,
  );
  assertEquals(error.code, "resources_unavailable");
  assertEquals(await server.room.clusters.list(), []);
  return error;
}

async function absent(act: () => Promise<unknown>): Promise<void> {
  assertEquals((await assertRejects(act, SkyError)).code, "cluster_not_found");
}

async function withServer(stage: Stage, work: (server: Server) => Promise<void>): Promise<void> {
  await using server = await stage.world.serve();
  await refused(stage, server);
  await work(server);
  assertEquals(server.faults, []);
}

const OPTIONS = { clusterName: "c1", dryrun: false };
const START = { idleMinutes: null, waitFor: null, retryUntilUp: false, down: false, force: false };

export const REFUSALS: readonly { name: string; where?: () => boolean; run(stage: Stage): Promise<void> }[] =
  [
    {
      name: "launch says that there is nothing, and why",
      run: (stage) =>
        withServer(stage, async (server) => {
          assertStringIncludes((await refused(stage, server)).message, "Failed to");
          assertEquals(await stage.site.leftovers({ connected: true }), []);
        }),
    },
    {
      name: "exec, queue, logs, cancel, stop, start and autostop find no cluster",
      run: (stage) =>
        withServer(stage, async ({ room, context }) => {
          await absent(() => exec(job(stage, ["echo no"]), OPTIONS, context(), room));
          await absent(() => jobQueue("c1", { skipFinished: false, allUsers: true }, context(), room));
          await absent(() => followJob("c1", 1, ALL, context(), room));
          await absent(() => cancelJobs("c1", { jobIds: null, all: true, allUsers: true }, context(), room));
          await absent(() => stop("c1", NO_END, context(), room));
          await absent(() => start("c1", START, context(), room));
          await absent(() =>
            setAutostop("c1", { idleMinutes: 1, down: true, waitFor: null }, context(), room)
          );
          await autostopTick(NEVER, room);
        }),
    },
    {
      name: "down and status are fine with nothing",
      run: (stage) =>
        withServer(stage, async ({ room, context }) => {
          await down("c1", NO_END, context(), room);
          assertEquals(await status({ names: null, refresh: "FORCE", allUsers: true }, context(), room), []);
        }),
    },
    {
      name: "a gang is refused as a whole, again and again",
      run: (stage) =>
        withServer(stage, async (server) => {
          for (let i = 0; i < 3; i++) await refused(stage, server, ["num_nodes: 2"]);
          assertEquals(await stage.site.leftovers({ connected: true }), []);
        }),
    },
    {
      name: "crash recovery: the launch taken up again is refused as the first would have been",
      async run(stage) {
        const requestId = crypto.randomUUID();
        const steps = new Map<string, unknown>();
        {
          await using server = await stage.world.serve();
          const onStep = (): never => {
            throw new Error("crash");
          };
          const ctx = server.context({ requestId, steps, onStep });
          const wish = job(stage, ["echo never"]);
          await assertRejects(() => launch(wish, launchOptions(), ctx, server.room), Error, "crash");
        }
        await using server = await stage.world.serve();
        const ctx = server.context({ requestId, steps });
        const wish = job(stage, ["echo never"]);
        const error = await assertRejects(() => launch(wish, launchOptions(), ctx, server.room), SkyError);
        assertEquals(error.code, "resources_unavailable");
        assertEquals([await server.room.clusters.list(), server.faults], [[], []]);
      },
    },
  ];
