import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { exec } from "../../clusters/exec.ts";
import { followJob } from "../../clusters/job_logs.ts";
import { jobQueue } from "../../clusters/jobs.ts";
import { launch } from "../../clusters/launch.ts";
import type { Room } from "../../clusters/room.ts";
import type { Task } from "../../core/task.ts";
import { SkyError } from "../../core/errors.ts";
import type { FakeCloud, FakeProcess } from "../support/fake_cloud.ts";
import { ALL, inWorld, launchOptions, type Server, task, textOf, until } from "./world.ts";

async function start(server: Server, job: Task, numNodes = 1): Promise<number> {
  const wide: Task = { ...job, numNodes };
  const { jobId } = await launch(wide, launchOptions(), server.context(), server.room);
  return jobId ?? 0;
}

function processOf(cloud: FakeCloud, node: number, index = 0): FakeProcess | undefined {
  return cloud.nodesOf("c1")[node]?.started[index];
}

async function endOf(server: Server, jobId: number): Promise<{ text: string; code: number }> {
  const followed = await followJob("c1", jobId, ALL, server.context(), server.room);
  return { text: await textOf(followed.log), code: await followed.exitCode };
}

async function jobOf(room: Room, id: number) {
  const [job] = await room.jobs.list((await room.clusters.get("c1"))!.hash, { ids: [id] });
  return job!;
}

Deno.test("runPhase prefixes lines of several nodes and knows their ranks", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const id = await start(server, task("run: |\n  env SKYPILOT_NODE_RANK\n  env SKYPILOT_NODE_IPS"), 2);
    const { text, code } = await endOf(server, id);
    assertStringIncludes(text, "(head, rank=0, pid=100) SKYPILOT_NODE_RANK=0\n");
    assertStringIncludes(text, "(worker1, rank=1, pid=100, ip=127.0.0.3) SKYPILOT_NODE_RANK=1\n");
    assertStringIncludes(text, "(head, rank=0, pid=100) SKYPILOT_NODE_IPS=127.0.0.2\n");
    assertStringIncludes(text, "├── Waiting for task resources on 2 nodes.\n");
    assertEquals(code, 0);
    assertEquals(processOf(cloud, 0)?.start.output, "tasks/0-head.log");
    assertEquals(processOf(cloud, 1)?.start.output, "tasks/1-worker1.log");
  });
});

Deno.test("runPhase ends the others with 137 when one fails", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const id = await start(server, task("run: hang"), 3);
    const second = await until(() => processOf(cloud, 1), "it runs");
    await until(() => processOf(cloud, 2) && processOf(cloud, 0), "all run");
    second.print("about to fail");
    second.exit(7);
    const { text, code } = await endOf(server, id);
    assertStringIncludes(text, "(worker1, rank=1, pid=100, ip=127.0.0.3) about to fail\n");
    assertStringIncludes(
      text,
      "ERROR: Job 1 failed with return code list: [137, 7, 137] (A Worker failed with return code 7, " +
        "SkyPilot cleaned up the processes on other nodes with return code 137)\n",
    );
    assertEquals(code, 100);
    assertEquals((await jobOf(server.room, id)).exitCodes, [137, 7, 137]);
    assertEquals(processOf(cloud, 0)?.signals, ["TERM"]);
  });
});

Deno.test("runPhase lets a node end with 0 before the others", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const id = await start(server, task("run: hang"), 2);
    await until(() => processOf(cloud, 0) && processOf(cloud, 1), "both run");
    processOf(cloud, 0)?.exit(0);
    processOf(cloud, 1)?.print("still here\n");
    processOf(cloud, 1)?.exit(0);
    const { text, code } = await endOf(server, id);
    assertStringIncludes(text, "still here");
    assertEquals(code, 0);
    assertEquals(processOf(cloud, 1)?.signals, []);
  });
});

Deno.test("a failing job says its code, a segmentation fault says so", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    const three = await endOf(server, await start(server, task("run: exit 3")));
    assertStringIncludes(
      three.text,
      "ERROR: Job 1 failed with return code list: [3] \n✓ Job finished (status: FAILED).\n",
    );
    const segv = await endOf(server, await start(server, task("run: exit 139")));
    assertStringIncludes(segv.text, "[139] (likely due to Segmentation Fault)\n");
    assertEquals([three.code, segv.code], [100, 100]);
  });
});

Deno.test("setup runs on every node of the cluster, though the job takes fewer", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await start(server, task("run: echo first"), 3);
    const id = await start(
      server,
      task("setup: env SKYPILOT_SETUP_NODE_RANK\nrun: env SKYPILOT_NUM_NODES"),
      1,
    );
    const { text } = await endOf(server, id);
    assertStringIncludes(text, "(setup pid=101) SKYPILOT_SETUP_NODE_RANK=0\n");
    assertStringIncludes(text, "(setup pid=101, ip=127.0.0.4) SKYPILOT_SETUP_NODE_RANK=2\n");
    assertStringIncludes(text, "(head, rank=0, pid=102) SKYPILOT_NUM_NODES=1\n");
    assertEquals(cloud.nodesOf("c1").map((node) => node.started.length), [3, 2, 2]);
  });
});

Deno.test("a failing setup ends the job before its run", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const id = await start(server, task("setup: exit 2\nrun: echo never"));
    const { text, code } = await endOf(server, id);
    assertStringIncludes(
      text,
      "ERROR: Job 1's setup failed. Failed workers: (pid=100, returncode=2). See error logs above for more details.\n" +
        "✓ Job finished (status: FAILED_SETUP).\n",
    );
    assert(!text.includes("never"));
    assertEquals(code, 100);
    assertEquals(cloud.nodesOf("c1")[0]?.started.length, 1);
    assertEquals((await server.room.clusters.get("c1"))?.status, "UP");
  });
});

Deno.test("a job of setup alone succeeds with it", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    const { text, code } = await endOf(server, await start(server, task("setup: echo ready")));
    assertStringIncludes(text, "(setup pid=100) ready\n✓ Job finished (status: SUCCEEDED).\n");
    assertEquals(code, 0);
  });
});

Deno.test("a process that vanishes without a code is the driver's failure", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const id = await start(server, task("run: hang"));
    (await until(() => processOf(cloud, 0), "it runs")).vanish();
    const { text, code } = await endOf(server, id);
    assertStringIncludes(text, "ERROR: Job 1's run process vanished without an exit code");
    assertEquals([code, (await jobOf(server.room, id)).status], [100, "FAILED_DRIVER"]);
  });
});

Deno.test("a job's environment holds what the task and the cluster say, and its row forgets secrets", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const id = await start(
      server,
      task("name: t\nenvs: {A: one, B: two}\nsecrets: {B: secret}\nrun: echo hi"),
    );
    await endOf(server, id);
    const env = processOf(cloud, 0)?.start.env ?? {};
    assertEquals([env["A"], env["B"], env["SKYPILOT_USER"]], ["one", "secret", "alice"]);
    assertEquals(JSON.parse(env["SKYPILOT_CLUSTER_INFO"] ?? ""), {
      cluster_name: "c1",
      cloud: "AWS",
      region: null,
      zone: null,
    });
    assertEquals([env["SKYPILOT_INTERNAL_JOB_ID"], env["SKYPILOT_NUM_GPUS_PER_NODE"]], ["1", "0"]);
    assert(/^sky-\d{4}(-\d\d){5}-\d{6}_c1_1$/.test(env["SKYPILOT_TASK_ID"] ?? ""));
    assertEquals("CUDA_VISIBLE_DEVICES" in env, false);
    assert(!(await jobOf(server.room, id)).spec.includes("secret"));
  });
});

Deno.test("jobs on GPUs get their own and wait for each other", async () => {
  const gpus = { accelerators: { H100: 2 } };
  const capacity = { cpus: 8, memoryGb: 8, accelerators: { name: "H100", indexes: [4, 5] } };
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const wants = (n: number) => task(`resources:\n  accelerators: H100:${n}\nrun: hang`);
    await start(server, wants(2));
    const ctx = server.context();
    const ids: (number | null)[] = [];
    for (const job of [wants(1), wants(1), task("run: echo cpu only")]) {
      ids.push((await exec(job, { clusterName: "c1", dryrun: false }, server.context(), server.room)).jobId);
    }
    const statuses = async () =>
      (await jobQueue("c1", { skipFinished: false, allUsers: true }, ctx, server.room)).map((job) =>
        job.status
      );
    // Newest first: the CPU job would fit, but stands behind those that do not.
    assertEquals(await statuses(), ["PENDING", "PENDING", "PENDING", "RUNNING"]);
    const first = await until(() => processOf(cloud, 0), "the first one runs");
    assertEquals(first.start.env["CUDA_VISIBLE_DEVICES"], "4,5");
    first.exit(0);
    await endOf(server, ids[2] ?? 0);
    await until(() => processOf(cloud, 0, 3), "all run");
    assertEquals(await statuses(), ["SUCCEEDED", "RUNNING", "RUNNING", "SUCCEEDED"]);
    const later = ["2--", "3--", "4--"].map((logDir) => cloud.nodesOf("c1")[0]?.process(logDir, "run"));
    assertEquals(later.map((each) => each?.start.env["CUDA_VISIBLE_DEVICES"]), ["4", "5", ""]);
    for (const each of later.slice(0, 2)) each?.exit(0);
    await endOf(server, ids[0] ?? 0);
    await endOf(server, ids[1] ?? 0);
  }, { offers: [gpus], capacity });
});

Deno.test("a machine that cannot be reached does not fail its job", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const id = await start(server, task("run: hang"));
    const process = await until(() => processOf(cloud, 0), "it runs");
    cloud.unreachable = new SkyError("network", "no route");
    process.print("written in the dark\n");
    process.exit(0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assertEquals((await jobOf(server.room, id)).status, "RUNNING");
    cloud.unreachable = null;
    const { text, code } = await endOf(server, id);
    assertStringIncludes(text, "written in the dark\n");
    assertEquals(code, 0);
    assertEquals(server.faults, []);
  });
});

Deno.test("a hundred megabytes of output stream through bounded memory", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const id = await start(server, task("run: hang"));
    const process = await until(() => processOf(cloud, 0), "it runs");
    // One array told a hundred times: what grows is what we keep.
    const block = new TextEncoder().encode(`${"x".repeat(99)}\n`.repeat(10_486));
    for (let i = 0; i < 100; i++) process.print(block);
    process.exit(0);
    const before = Deno.memoryUsage();
    const followed = await followJob("c1", id, ALL, server.context(), server.room);
    let bytes = 0;
    let most = 0;
    for await (const chunk of followed.log) {
      bytes += chunk.length;
      const { rss } = Deno.memoryUsage();
      most = Math.max(most, rss - before.rss);
    }
    assert(bytes > 100 * 1024 * 1024, `${bytes} bytes arrived`);
    assert(most < 150 * 1024 * 1024, `memory grew by ${most >> 20} MiB`);
    assertEquals(await followed.exitCode, 0);
  });
});
