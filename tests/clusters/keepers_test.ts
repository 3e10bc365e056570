import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { followJob } from "../../clusters/job_logs.ts";
import { launch } from "../../clusters/launch.ts";
import { submitJob } from "../../clusters/submit.ts";
import { newResources } from "../../core/resources.ts";
import { ALL, inWorld, launchOptions, task, textOf, until } from "./world.ts";

Deno.test("JobKeepers lets a new keeper begin only when the old one has let go", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const { room } = server;
    await launch(task("name: t\nrun: hang"), launchOptions(), server.context(), room);
    const process = await until(() => cloud.nodesOf("c1")[0]?.started[0], "it runs");
    const cluster = (await room.clusters.get("c1"))!;
    for (let i = 0; i < 20; i++) {
      process.print(`line ${i}\n`);
      const leaving = room.keepers.release(cluster.hash);
      const next = room.keepers.of(cluster).then((keeper) => keeper.wake());
      await Promise.all([leaving, next]);
    }
    process.exit(0);
    const { log } = await followJob("c1", 1, ALL, server.context(), room);
    const numbers = [...(await textOf(log)).matchAll(/line (\d+)/g)].map((match) => Number(match[1]));
    assertEquals(numbers, Array.from({ length: 20 }, (_, i) => i));
    assertEquals(server.faults, []);
  });
});

Deno.test("submitJob resumed when its job is long over leaves it alone", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const job = task("run: echo once");
    const requestId = crypto.randomUUID();
    const { cluster } = await launch(job, launchOptions(), server.context({ requestId }), server.room);
    const read = async () => await textOf((await followJob("c1", 1, ALL, server.context(), server.room)).log);
    const before = await read();
    const again = server.context({ requestId });
    const options = { cluster: cluster!, wish: newResources(), setup: false };
    assertEquals(await submitJob(job, options, again, server.room), 1);
    assertEquals(await read(), before);
    assertEquals(cloud.nodesOf("c1")[0]?.started.length, 1);
    assertStringIncludes(again.lines.join("\n"), "Job submitted, ID: 1");
    assert(await submitJob(job, options, server.context(), server.room) === 2);
    await until(
      async () => (await server.room.jobs.get(cluster!.hash, 2))?.status === "SUCCEEDED",
      "it is over",
    );
  });
});
