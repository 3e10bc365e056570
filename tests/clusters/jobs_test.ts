import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { exec } from "../../clusters/exec.ts";
import { followJob } from "../../clusters/job_logs.ts";
import { cancelJobs, type CancelOptions, jobQueue, jobStatus } from "../../clusters/jobs.ts";
import { launch } from "../../clusters/launch.ts";
import { stop } from "../../clusters/lifecycle.ts";
import { SkyError } from "../../core/errors.ts";
import { ALL, inWorld, launchOptions, NO_END, type Server, task, textOf, until } from "./world.ts";

const CPU1 = { capacity: { cpus: 0.5, memoryGb: 1, accelerators: null } };
const LATEST: CancelOptions = { jobIds: null, all: false, allUsers: false };

/** A cluster with room for one job, and `count` jobs in its queue. */
async function queueOf(server: Server, count: number, script = "hang"): Promise<void> {
  const job = task(`name: j\nrun: ${script}`);
  await launch(job, launchOptions(), server.context(), server.room);
  for (let i = 1; i < count; i++) {
    await exec(job, { clusterName: "c1", dryrun: false }, server.context(), server.room);
  }
}

async function statuses(server: Server): Promise<string[]> {
  const jobs = await jobQueue("c1", { skipFinished: false, allUsers: true }, server.context(), server.room);
  return jobs.reverse().map((job) => job.status);
}

Deno.test("jobQueue lists newest first, filters users and finished ones", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await queueOf(server, 2);
    const other = server.context({ userId: "99999999" });
    await exec(task("run: hang"), { clusterName: "c1", dryrun: false }, other, server.room);
    const list = (ctx: typeof other, options: { skipFinished: boolean; allUsers: boolean }) =>
      jobQueue("c1", options, ctx, server.room).then((jobs) => jobs.map((job) => job.id));
    assertEquals(await list(other, { skipFinished: false, allUsers: true }), [3, 2, 1]);
    assertEquals(await list(other, { skipFinished: false, allUsers: false }), [3]);
    (await until(() => cloud.nodesOf("c1")[0]?.started[0], "the first one runs")).exit(0);
    await until(async () => (await statuses(server))[1] === "RUNNING", "the second one runs");
    assertEquals(await list(other, { skipFinished: true, allUsers: true }), [3, 2]);
    const [job] = await jobQueue("c1", { skipFinished: false, allUsers: true }, other, server.room);
    assertEquals([job?.resources, job?.logDir, job?.name], ["1x[CPU:1+]", "3--", null]);
    await cancelJobs("c1", { ...LATEST, allUsers: true }, other, server.room);
  }, CPU1);
});

Deno.test("jobStatus answers for ids, unknown ones, the latest and none", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    await launch(task("name: nothing"), launchOptions(), server.context(), server.room);
    const ask = (ids: number[] | null) => jobStatus("c1", ids, server.context(), server.room);
    assertEquals(await ask(null), {});
    await exec(task("run: echo"), { clusterName: "c1", dryrun: false }, server.context(), server.room);
    await until(async () => (await ask([1]))["1"] === "SUCCEEDED", "it succeeds");
    assertEquals(await ask([1, 9]), { 1: "SUCCEEDED", 9: null });
    assertEquals(await ask(null), { 1: "SUCCEEDED" });
  });
});

Deno.test("cancelJobs ends the latest running job, proven dead, and the next one starts", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await queueOf(server, 2);
    const ctx = server.context();
    assertEquals(await cancelJobs("c1", LATEST, ctx, server.room), [1]);
    assertEquals(ctx.lines, ["Cancelling latest running job on cluster 'c1'...", "Cancelled job ID(s): 1"]);
    assertEquals(cloud.nodesOf("c1")[0]?.started[0]?.alive, false);
    await until(async () => (await statuses(server))[1] === "RUNNING", "the next one starts");
    const { log, exitCode } = await followJob("c1", 1, ALL, ctx, server.room);
    assertStringIncludes(await textOf(log), "✓ Job finished (status: CANCELLED).\n");
    assertEquals(await exitCode, 103);
    await cancelJobs("c1", LATEST, server.context(), server.room);
  }, CPU1);
});

Deno.test("cancelJobs of all starts none of those it is about to end", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await queueOf(server, 4);
    assertEquals(await cancelJobs("c1", { ...LATEST, all: true }, server.context(), server.room), [
      1,
      2,
      3,
      4,
    ]);
    assertEquals(cloud.nodesOf("c1")[0]?.started.length, 1);
    assertEquals(await statuses(server), ["CANCELLED", "CANCELLED", "CANCELLED", "CANCELLED"]);
    const ctx = server.context();
    assertEquals(await cancelJobs("c1", { ...LATEST, jobIds: [2, 9] }, ctx, server.room), []);
    assertEquals(ctx.lines.at(-1), "No jobs cancelled. They may be in terminal states.");
    const { log, exitCode } = await followJob("c1", 3, ALL, ctx, server.room);
    assertEquals(
      await textOf(log),
      "├── Waiting for task resources on 1 node.\n✓ Job finished (status: CANCELLED).\n",
    );
    assertEquals(await exitCode, 103);
  }, CPU1);
});

Deno.test("cancelJobs leaves other users' jobs alone unless asked", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    await queueOf(server, 1);
    const other = server.context({ userId: "99999999" });
    assertEquals(await cancelJobs("c1", { ...LATEST, all: true }, other, server.room), []);
    assertEquals(await cancelJobs("c1", { ...LATEST, allUsers: true }, server.context(), server.room), [1]);
  });
});

Deno.test("cancelJobs ends a setup and no run follows", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await launch(task("setup: hang\nrun: echo never"), launchOptions(), server.context(), server.room);
    await until(() => cloud.nodesOf("c1")[0]?.started[0], "setup runs");
    assertEquals(await statuses(server), ["SETTING_UP"]);
    await cancelJobs("c1", { ...LATEST, jobIds: [1] }, server.context(), server.room);
    assertEquals(await statuses(server), ["CANCELLED"]);
    assertEquals(cloud.nodesOf("c1")[0]?.started.length, 1);
  });
});

Deno.test("cancelJobs on an unreachable machine ends when its request is cancelled, and is carried out later", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await queueOf(server, 1);
    await until(() => cloud.nodesOf("c1")[0]?.started[0], "it runs");
    cloud.unreachable = new SkyError("network", "no route");
    const ctx = server.context();
    const cancelling = cancelJobs("c1", LATEST, ctx, server.room);
    cancelling.catch(() => {});
    await until(() => ctx.lines.length > 0, "it tries");
    ctx.cancel();
    await assertRejects(() => cancelling);
    assertEquals(await statuses(server), ["RUNNING"]);
    cloud.unreachable = null;
    await until(async () => (await statuses(server))[0] === "CANCELLED", "it is carried out");
  });
});

Deno.test("exec and the job verbs name what a cluster must be", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    const run = () =>
      exec(task("run: x"), { clusterName: "c1", dryrun: false }, server.context(), server.room);
    const missing = await assertRejects(run, SkyError);
    assertEquals([missing.code, missing.message.includes("Cluster 'c1' does not exist.")], [
      "cluster_not_found",
      true,
    ]);
    await launch(task("run: echo"), launchOptions(), server.context(), server.room);
    await stop("c1", NO_END, server.context(), server.room);
    const stopped = await assertRejects(run, SkyError);
    assertEquals(stopped.code, "cluster_not_up");
    assertStringIncludes(
      stopped.message,
      "Executing tasks: skipped for cluster 'c1' (status: STOPPED). It is only allowed for UP and AUTOSTOPPING clusters.",
    );
    await assertRejects(
      () => cancelJobs("c1", LATEST, server.context(), server.room),
      SkyError,
      "Cancelling jobs: skipped",
    );
  });
});

Deno.test("exec runs no setup, syncs no mounts and says little", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await launch(task("run: echo"), launchOptions(), server.context(), server.room);
    const ctx = server.context({ command: "sky exec c1 x" });
    const job = task(`setup: echo no\nrun: echo yes\nfile_mounts: {~/x: ${world.folder}}`);
    const { jobId } = await exec(job, { clusterName: "c1", dryrun: false }, ctx, server.room);
    assertEquals(ctx.lines, ["⚙︎ Job submitted, ID: 2"]);
    const { log } = await followJob("c1", jobId, ALL, ctx, server.room);
    const text = await textOf(log);
    assert(text.includes("yes") && !text.includes("no\n"), text);
    const uploads = cloud.nodesOf("c1")[0]?.uploads ?? [];
    assert(uploads.every((upload) => upload.target.startsWith("~/sky_logs/")), "only copies of logs");
    assertEquals((await server.room.clusters.get("c1"))?.lastUse, "sky exec c1 x");
  });
});

Deno.test("exec notices a cluster that is gone from its cloud", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await launch(task("run: echo"), launchOptions(), server.context(), server.room);
    cloud.machines.clear();
    world.clock += 60_000;
    const error = await assertRejects(
      () => exec(task("run: x"), { clusterName: "c1", dryrun: false }, server.context(), server.room),
      SkyError,
    );
    assertEquals(
      error.message,
      "Cluster 'c1' not found on the cloud provider. It was likely manually terminated in console.",
    );
    assertEquals(await server.room.clusters.list(), []);
  });
});
