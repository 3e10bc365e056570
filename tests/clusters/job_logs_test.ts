import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { costReport, usedTime } from "../../clusters/cost.ts";
import { clusterEvents, endpoints, nodesOf } from "../../clusters/events.ts";
import { exec } from "../../clusters/exec.ts";
import { downloadLogs, followJob } from "../../clusters/job_logs.ts";
import { launch } from "../../clusters/launch.ts";
import { down } from "../../clusters/lifecycle.ts";
import { lastLines } from "../../clusters/tail.ts";
import { SkyError } from "../../core/errors.ts";
import { random } from "./random.ts";
import { ALL, inWorld, launchOptions, NO_END, task, textOf, until } from "./world.ts";

Deno.test("followJob begins at any byte and gives the rest", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await launch(task("run: hang"), launchOptions(), server.context(), server.room);
    const process = await until(() => cloud.nodesOf("c1")[0]?.started[0], "it runs");
    process.print("one\ntwo\n");
    const live = await followJob("c1", 1, ALL, server.context(), server.room);
    const early = followJob("c1", 1, { ...ALL, offset: 10 }, server.context(), server.room);
    const reading = textOf(live.log);
    process.print("three\n");
    process.exit(0);
    const whole = await reading;
    const end = "(task, pid=100) three\n✓ Job finished (status: SUCCEEDED).\n";
    assert(whole.endsWith(end), whole);
    const last = await followJob("c1", 1, { ...ALL, tail: 1 }, server.context(), server.room);
    assertEquals(await textOf(last.log), end, "the viewer's own last line is not counted");
    const bytes = await new Response((await followJob("c1", 1, ALL, server.context(), server.room)).log)
      .bytes();
    for (const offset of [0, 1, 57, bytes.length - 1, bytes.length]) {
      const followed = await followJob("c1", 1, { ...ALL, offset }, server.context(), server.room);
      assertEquals(followed.offset, offset);
      assertEquals(await new Response(followed.log).bytes(), bytes.slice(offset));
      assertEquals(await followed.exitCode, 0);
    }
    assertEquals(await new Response((await early).log).bytes(), bytes.slice(10));
  });
});

Deno.test("followJob without follow ends where the log ends now, with 0", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await launch(task("run: hang"), launchOptions(), server.context(), server.room);
    (await until(() => cloud.nodesOf("c1")[0]?.started[0], "it runs")).print("so far\n");
    const peek = async () => {
      const followed = await followJob("c1", 1, { ...ALL, follow: false }, server.context(), server.room);
      return { text: await textOf(followed.log), code: await followed.exitCode };
    };
    await until(async () => (await peek()).text.endsWith("so far\n"), "it is merged");
    assertEquals((await peek()).code, 0);
    const tail = await followJob("c1", 1, { ...ALL, follow: false, tail: 1 }, server.context(), server.room);
    assertEquals(await textOf(tail.log), "(task, pid=100) so far\n");
  });
});

Deno.test("followJob leaves when its reader or its request does", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    await launch(task("run: hang"), launchOptions(), server.context(), server.room);
    const reader = await followJob("c1", 1, ALL, server.context(), server.room);
    await reader.log.cancel();
    assertEquals(await reader.exitCode, 101);
    const ctx = server.context();
    const cut = await followJob("c1", 1, ALL, ctx, server.room);
    const reading = textOf(cut.log);
    ctx.cancel();
    await reading;
    assertEquals(await cut.exitCode, 101);
  });
});

Deno.test("followJob tells of jobs that are not there", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    await assertRejects(
      () => followJob("c1", 1, ALL, server.context(), server.room),
      SkyError,
      "does not exist",
    );
    await launch(task("name: nothing"), launchOptions(), server.context(), server.room);
    const none = await followJob("c1", null, ALL, server.context(), server.room);
    assertEquals([await textOf(none.log), await none.exitCode], [
      "Skip streaming logs as no job has been submitted.\n",
      102,
    ]);
    const unknown = await followJob("c1", 7, ALL, server.context(), server.room);
    assertEquals([await textOf(unknown.log), await unknown.exitCode], [
      "Job 7 not found (see `sky queue`).\n",
      102,
    ]);
  });
});

Deno.test("lastLines finds where they begin, whatever the file looks like", async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "log");
  try {
    const next = random(3);
    for (let round = 0; round < 60; round++) {
      const lines = Array.from(
        { length: next.below(30) },
        () => "x".repeat(next.below(next.below(5) === 0 ? 90_000 : 20)),
      );
      const text = lines.map((line) => `${line}\n`).join("") + (next.below(2) === 0 ? "rest" : "");
      await Deno.writeTextFile(path, text);
      const count = 1 + next.below(10);
      const all = text === "" ? [] : text.replace(/\n$/, "").split("\n");
      const expected = all.slice(-count).join("\n");
      const found = text.slice(await lastLines(path, count)).replace(/\n$/, "");
      assert(found === expected, `round ${round}: last ${count} of ${all.length} lines`);
    }
    assertEquals(await lastLines(join(folder, "none"), 3), 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("downloadLogs copies merged and raw logs of the wanted jobs", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    await launch(task("name: a\nnum_nodes: 2\nrun: echo hi"), launchOptions(), server.context(), server.room);
    const second = task("name: b\nrun: echo two");
    await exec(second, { clusterName: "c1", dryrun: false }, server.context(), server.room);
    for (const id of [1, 2]) {
      await textOf((await followJob("c1", id, ALL, server.context(), server.room)).log);
    }
    const targetDir = join(world.folder, "out");
    const get = (jobIds: string[] | null) =>
      downloadLogs("c1", { jobIds, targetDir }, server.context(), server.room);
    assertEquals(await get(null), { 2: join(targetDir, "c1", "2-b") });
    assertEquals(Object.keys(await get(["1", "x"])), ["1"]);
    assertEquals(Object.keys(await get(["*"])), ["1", "2"]);
    const read = (path: string) => Deno.readTextFile(join(targetDir, "c1", "1-a", path));
    assertEquals(await read("tasks/0-head.log"), "hi\n");
    assertEquals(await read("worker1/tasks/1-worker1.log"), "hi\n");
    assert((await read("run.log")).includes("✓ Job finished"));
    assertEquals(await get(["9"]), {});
  });
});

Deno.test("costReport adds up intervals of existing and gone clusters", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    await launch(task("num_nodes: 2"), launchOptions({ clusterName: "gone" }), server.context(), server.room);
    world.clock += 3_600_000;
    await down("gone", NO_END, server.context(), server.room);
    world.clock += 3_600_000;
    await launch(task("name: x"), launchOptions({ clusterName: "here" }), server.context(), server.room);
    world.clock += 7_200_000;
    const report = await costReport({ days: 30, hashes: null, names: null }, server.room);
    assertEquals(
      report.map(({ history, totalCost }) => [history.name, history.status, totalCost.toFixed(2)]),
      [
        ["here", "UP", "1.00"],
        ["gone", null, "1.00"],
      ],
    );
    assertEquals(report[1]?.lastEvent, "Cluster was terminated by user.");
    assertEquals((await costReport({ days: 30, hashes: null, names: ["gone"] }, server.room)).length, 1);
    assertEquals(usedTime({ usage: [{ start: 1, end: 5 }, { start: 7, end: null }] }, 10), 7);
  }, { offers: [{ hourlyCost: 0.5 }] });
});

Deno.test("clusterEvents tells how a cluster came and went; endpoints and nodes where it is", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    await launch(
      task("resources: {ports: [8080, 9000-9001]}"),
      launchOptions(),
      server.context(),
      server.room,
    );
    const record = (await server.room.clusters.get("c1"))!;
    const ctx = server.context();
    assertEquals(await endpoints("c1", "8080", ctx, server.room), { 8080: "http://127.0.0.2:8080" });
    assertEquals(Object.keys(await endpoints("c1", null, ctx, server.room)), ["8080", "9000-9001"]);
    await assertRejects(
      () => endpoints("c1", "22", ctx, server.room),
      SkyError,
      "Port 22 is not exposed on cluster 'c1'.",
    );
    assertEquals((await nodesOf(record, ctx, server.room)).map((node) => node.internalIp), ["127.0.0.2"]);
    await down("c1", NO_END, server.context(), server.room);
    const events = await clusterEvents(
      { name: "c1" },
      { types: ["STATUS_CHANGE"], limit: null },
      server.room,
    );
    assertEquals(events.map((event) => event.reason), [
      "Provisioning on AWS",
      "Instances launched on AWS",
      "Cluster successfully provisioned with 1 node",
      "Cluster was terminated by user.",
    ]);
    assertEquals(
      (await clusterEvents({ name: "c1" }, { types: ["STATUS_CHANGE"], limit: 1 }, server.room)).length,
      1,
    );
  });
});
