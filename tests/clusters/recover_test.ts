import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { exec } from "../../clusters/exec.ts";
import { followJob } from "../../clusters/job_logs.ts";
import { cancelJobs } from "../../clusters/jobs.ts";
import { launch } from "../../clusters/launch.ts";
import { SkyError } from "../../core/errors.ts";
import { ALL, inWorld, launchOptions, type Server, task, textOf, until } from "./world.ts";

async function hashOf(server: Server): Promise<string> {
  return (await server.room.clusters.get("c1"))!.hash;
}
async function statusOf(server: Server, id = 1): Promise<string | undefined> {
  return (await server.room.jobs.get(await hashOf(server), id))?.status;
}
async function whole(server: Server, id: number): Promise<{ text: string; code: number }> {
  const followed = await followJob("c1", id, ALL, server.context(), server.room);
  return { text: await textOf(followed.log), code: await followed.exitCode };
}

Deno.test("recoverJobs goes on with a running job without touching it", async () => {
  await inWorld(async (world, cloud) => {
    {
      await using server = await world.serve();
      await launch(
        task("name: t\nrun: |\n  echo before\n  hang"),
        launchOptions(),
        server.context(),
        server.room,
      );
      await until(() => cloud.nodesOf("c1")[0]?.started[0], "it runs");
    }
    const process = cloud.nodesOf("c1")[0]!.started[0]!;
    process.print("while nobody looked\n");
    await using server = await world.serve();
    assertEquals(await statusOf(server), "RUNNING");
    process.print("after\n");
    process.exit(0);
    assertEquals(await whole(server, 1), {
      text: "├── Waiting for task resources on 1 node.\n" +
        "└── Job started. Streaming logs... (Ctrl-C to exit log streaming; job will not be killed)\n" +
        "(t, pid=100) before\n(t, pid=100) while nobody looked\n(t, pid=100) after\n" +
        "✓ Job finished (status: SUCCEEDED).\n",
      code: 0,
    });
    assertEquals([process.signals, cloud.nodesOf("c1")[0]?.started.length], [[], 1]);
    assertEquals(server.faults, []);
  });
});

Deno.test("recoverJobs finds the exit code of a job that ended meanwhile", async () => {
  await inWorld(async (world, cloud) => {
    {
      await using server = await world.serve();
      await launch(task("run: hang"), launchOptions(), server.context(), server.room);
      await until(() => cloud.nodesOf("c1")[0]?.started[0], "it runs");
    }
    cloud.nodesOf("c1")[0]?.started[0]?.exit(42);
    await using server = await world.serve();
    const { text, code } = await whole(server, 1);
    assertStringIncludes(text, "return code list: [42]");
    assertEquals(code, 100);
  });
});

Deno.test("recoverJobs fails a job whose process is gone without a code", async () => {
  await inWorld(async (world, cloud) => {
    {
      await using server = await world.serve();
      await launch(task("run: hang"), launchOptions(), server.context(), server.room);
      await until(() => cloud.nodesOf("c1")[0]?.started[0], "it runs");
    }
    cloud.nodesOf("c1")[0]?.started[0]?.vanish();
    await using server = await world.serve();
    await whole(server, 1);
    assertEquals(await statusOf(server), "FAILED_DRIVER");
  });
});

Deno.test("recoverJobs keeps the order of the queue", async () => {
  await inWorld(async (world, cloud) => {
    {
      await using server = await world.serve();
      await launch(task("run: hang"), launchOptions(), server.context(), server.room);
      for (let i = 0; i < 3; i++) {
        await exec(
          task("run: echo next"),
          { clusterName: "c1", dryrun: false },
          server.context(),
          server.room,
        );
      }
      assertEquals(await statusOf(server, 2), "PENDING");
      await until(() => cloud.nodesOf("c1")[0]?.started[0], "the first one runs");
    }
    await using server = await world.serve();
    assertEquals(await statusOf(server, 2), "PENDING");
    cloud.nodesOf("c1")[0]?.started[0]?.exit(0);
    await whole(server, 4);
    const jobs = await server.room.jobs.list(await hashOf(server));
    assertEquals(jobs.map((job) => job.status), Array(4).fill("SUCCEEDED"));
    assert(jobs.every((job, i) => i === 0 || job.startedAt! > jobs[i - 1]!.startedAt!));
    assertEquals(cloud.nodesOf("c1")[0]?.started.length, 4);
  }, { capacity: { cpus: 0.5, memoryGb: 1, accelerators: null } });
});

Deno.test("recoverJobs ends a cancelled job as cancelled, though its processes died before", async () => {
  await inWorld(async (world, cloud) => {
    {
      await using server = await world.serve();
      await launch(task("run: hang"), launchOptions(), server.context(), server.room);
      await until(() => cloud.nodesOf("c1")[0]?.started[0], "it runs");
      // The mark is written, then the machine goes out of reach: as far as a crash in the middle would get.
      cloud.unreachable = new SkyError("network", "no route");
      const ctx = server.context();
      const cancelling = cancelJobs("c1", { jobIds: null, all: false, allUsers: false }, ctx, server.room);
      cancelling.catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    cloud.unreachable = null;
    cloud.nodesOf("c1")[0]?.started[0]?.exit(143);
    await using server = await world.serve();
    const { text, code } = await whole(server, 1);
    assertStringIncludes(text, "✓ Job finished (status: CANCELLED).\n");
    assert(!text.includes("ERROR"), text);
    assertEquals(code, 103);
  });
});

Deno.test("recoverJobs tells the same codes after a crash in the middle of ending a gang", async () => {
  await inWorld(async (world, cloud) => {
    {
      await using server = await world.serve();
      await launch(task("num_nodes: 2\nrun: hang"), launchOptions(), server.context(), server.room);
      await until(() => cloud.nodesOf("c1")[1]?.started[0], "both run");
    }
    const nodes = cloud.nodesOf("c1");
    nodes[0]?.started[0]?.exit(5);
    // A first server settled the codes and died; the other process meanwhile ended well.
    {
      await using server = await world.serve();
      const hash = await hashOf(server);
      await until(async () => (await server.room.jobs.get(hash, 1))?.status === "FAILED", "it is over");
      assertEquals((await server.room.jobs.get(hash, 1))?.exitCodes, [5, 137]);
    }
  });
});

Deno.test("openRoom does not wait long for machines that do not answer", async () => {
  await inWorld(async (world, cloud) => {
    {
      await using server = await world.serve();
      await launch(task("run: hang"), launchOptions(), server.context(), server.room);
      await until(() => cloud.nodesOf("c1")[0]?.started[0], "it runs");
    }
    cloud.unreachable = new SkyError("network", "no route");
    const began = performance.now();
    await using server = await world.serve();
    assert(performance.now() - began < 4000);
    assertEquals(await statusOf(server), "RUNNING");
    cloud.unreachable = null;
    cloud.nodesOf("c1")[0]?.started[0]?.exit(0);
    await until(async () => await statusOf(server) === "SUCCEEDED", "it is found again");
  });
});
