import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { autostopTick } from "../../clusters/autostop.ts";
import { exec } from "../../clusters/exec.ts";
import { followJob } from "../../clusters/job_logs.ts";
import { launch } from "../../clusters/launch.ts";
import { down, start, type StartOptions, stop } from "../../clusters/lifecycle.ts";
import { SkyError } from "../../core/errors.ts";
import { ALL, inWorld, launchOptions, NO_END, type Server, task, textOf, until } from "./world.ts";

const START: StartOptions = {
  idleMinutes: null,
  waitFor: null,
  retryUntilUp: false,
  down: false,
  force: false,
};

async function running(server: Server): Promise<void> {
  await launch(task("run: hang"), launchOptions(), server.context(), server.room);
}

Deno.test("stop ends jobs, keeps the machines' disks and the job ids", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await running(server);
    const follower = await followJob("c1", 1, ALL, server.context(), server.room);
    await stop("c1", NO_END, server.context(), server.room);
    const text = await textOf(follower.log);
    assertStringIncludes(
      text,
      "ERROR: Job 1 was ended with its cluster.\n✓ Job finished (status: FAILED_DRIVER).\n",
    );
    assertEquals(await follower.exitCode, 100);
    const record = (await server.room.clusters.get("c1"))!;
    assertEquals([record.status, record.lastEvent], ["STOPPED", "Cluster was stopped by user."]);
    assertEquals(cloud.nodesOf("c1")[0]?.state, "stopped");
    await start("c1", START, server.context(), server.room);
    const { jobId } = await exec(
      task("run: echo"),
      { clusterName: "c1", dryrun: false },
      server.context(),
      server.room,
    );
    assertEquals(jobId, 2);
  });
});

Deno.test("stop refuses spot machines and clouds that cannot", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    await launch(task("run: echo"), launchOptions(), server.context(), server.room);
    const error = await assertRejects(() => stop("c1", NO_END, server.context(), server.room), SkyError);
    assertEquals(error.code, "not_supported");
    assertStringIncludes(error.message, "Stopping cluster 'c1'... skipped.");
    assertStringIncludes(error.message, "  To terminate the cluster instead, run: ");
  }, { capabilities: { stop: false } });
});

Deno.test("down removes machines, record, jobs and files, and is fine with nothing", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await running(server);
    const { hash } = (await server.room.clusters.get("c1"))!;
    const follower = await followJob("c1", 1, ALL, server.context(), server.room);
    const process = await until(() => cloud.nodesOf("c1")[0]?.started[0], "it runs");
    await down("c1", NO_END, server.context(), server.room);
    assertEquals(process.alive, false);
    await textOf(follower.log);
    assertEquals(await follower.exitCode, 100);
    assertEquals([await server.room.clusters.list(), await server.room.jobs.list(hash)], [[], []]);
    const logs = join(world.home.clusters, hash);
    await autostopTick(new AbortController().signal, server.room);
    assert((await Deno.stat(logs)).isDirectory, "its followers can still read");
    world.clock += 11 * 60_000;
    await autostopTick(new AbortController().signal, server.room);
    await assertRejects(() => Deno.stat(logs), Deno.errors.NotFound);
    assertEquals(cloud.machines.size, 0);
    const ctx = server.context();
    await down("c1", NO_END, ctx, server.room);
    assertEquals(ctx.lines, ["Cluster 'c1' is already terminated. Skipped."]);
    const typo = await assertRejects(() => down("c2", NO_END, server.context(), server.room), SkyError);
    assertEquals(typo.code, "cluster_not_found");
    assertEquals(server.faults, []);
  });
});

Deno.test("down carries on after a crash in its middle", async () => {
  await inWorld(async (world, cloud) => {
    const steps = new Map<string, unknown>();
    {
      await using server = await world.serve();
      await running(server);
      cloud.onTerminate = () => Promise.reject(new Error("crash"));
      await assertRejects(() => down("c1", NO_END, server.context({ steps }), server.room), Error, "crash");
    }
    cloud.onTerminate = () => {};
    await using server = await world.serve();
    await down("c1", NO_END, server.context({ steps }), server.room);
    assertEquals(await server.room.clusters.list(), []);
    assertEquals(cloud.acts.filter((act) => act.startsWith("terminate")).length, 2);
  });
});

Deno.test("down keeps the record when the cloud fails, unless it purges", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await running(server);
    cloud.onTerminate = () => Promise.reject(new SkyError("network", "no route"));
    await assertRejects(() => down("c1", NO_END, server.context(), server.room), SkyError, "no route");
    assert(await server.room.clusters.get("c1") !== null);
    // It is still there, so jobs are placed on it again.
    const options = { clusterName: "c1", dryrun: false };
    const { jobId } = await exec(task("run: echo"), options, server.context(), server.room);
    const after = await followJob("c1", jobId!, ALL, server.context(), server.room);
    await textOf(after.log);
    assertEquals(await after.exitCode, 0);
    const ctx = server.context();
    await down("c1", { ...NO_END, purge: true }, ctx, server.room);
    assertEquals(ctx.lines, ["Purging cluster 'c1' although it could not be terminated: no route"]);
    assertEquals(await server.room.clusters.list(), []);
  });
});

Deno.test("down --graceful cancels jobs first", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    await running(server);
    const follower = await followJob("c1", 1, ALL, server.context(), server.room);
    await down("c1", { ...NO_END, graceful: true }, server.context(), server.room);
    assertStringIncludes(await textOf(follower.log), "✓ Job finished (status: CANCELLED).");
  });
});

Deno.test("start revives a stopped cluster with its autostop, and leaves an UP one alone", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await launch(task("run: echo"), launchOptions({ idleMinutes: 10 }), server.context(), server.room);
    await stop("c1", NO_END, server.context(), server.room);
    const ctx = server.context();
    const record = await start("c1", START, ctx, server.room);
    assertEquals([record.status, record.autostop.idleMinutes], ["UP", 10]);
    assertEquals(ctx.lines, [
      "⚙︎ Launching on AWS.",
      "└── Instance is up.",
      "✓ Cluster launched: c1.  View logs: sky logs --provision c1",
      "Restored the autostop setting of cluster 'c1': after 10 minutes of idleness.",
    ]);
    const again = server.context();
    await start("c1", START, again, server.room);
    assertEquals(again.lines, ["Cluster 'c1' is already up."]);
    assertEquals(cloud.acts.length, 3);
    const forcing = { ...START, force: true, idleMinutes: 3, down: true };
    const forced = await start("c1", forcing, server.context(), server.room);
    assertEquals([forced.autostop.idleMinutes, forced.autostop.down], [3, true]);
    assertEquals(cloud.acts.length, 4);
  });
});

Deno.test("start of a cluster that was up says how to try again and goes nowhere else", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await launch(task("run: echo"), launchOptions(), server.context(), server.room);
    await stop("c1", NO_END, server.context(), server.room);
    cloud.onProvision = () => Promise.reject(new SkyError("resources_unavailable", "none left"));
    const error = await assertRejects(() => start("c1", START, server.context(), server.room), SkyError);
    assertStringIncludes(
      error.message,
      "Failed to launch cluster 'c1' (previous status: STOPPED). To retry launching the cluster, run: sky start c1",
    );
    assertEquals((await server.room.clusters.get("c1"))?.status, "INIT");
  });
});

Deno.test("start of nothing and of another workspace are errors", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    await assertRejects(() => start("c1", START, server.context(), server.room), SkyError, "does not exist");
    await launch(task("run: echo"), launchOptions(), server.context(), server.room);
    const foreign = { ...server.context(), workspace: "other" };
    const error = await assertRejects(() => down("c1", NO_END, foreign, server.room), SkyError);
    assertEquals(
      error.message,
      "The cluster 'c1' is in workspace 'default', but the active workspace is 'other'.",
    );
  });
});
