import { assert, assertEquals, assertRejects } from "@std/assert";
import { autostopTick, autostopWish, isDue, setAutostop } from "../../clusters/autostop.ts";
import { exec } from "../../clusters/exec.ts";
import { launch } from "../../clusters/launch.ts";
import type { ClusterRecord, WaitFor } from "../../core/cluster.ts";
import { SkyError } from "../../core/errors.ts";
import { inWorld, launchOptions, type Server, task, until } from "./world.ts";

const never = new AbortController().signal;
const MINUTE = 60_000;

async function recordOf(server: Server): Promise<ClusterRecord | null> {
  return await server.room.clusters.get("c1");
}

Deno.test("isDue counts whole minutes since the last activity", () => {
  const at = (minutes: number, waitFor: WaitFor, busy: boolean) =>
    isDue(
      {
        autostop: { idleMinutes: 5, down: false, waitFor, setAt: 0 },
        lastActiveAt: 2 * MINUTE,
      } as ClusterRecord,
      { busy, now: minutes * MINUTE },
    );
  assertEquals([6.9, 7, 100].map((minutes) => at(minutes, "jobs", false)), [false, true, true]);
  assertEquals(at(100, "jobs", true), false);
  assertEquals(at(100, "jobs_and_ssh", true), false);
  assertEquals([4.9, 5].map((minutes) => at(minutes, "none", true)), [false, true]);
});

Deno.test("autostopTick stops a cluster once it is idle long enough", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await launch(task("run: hang"), launchOptions({ idleMinutes: 5 }), server.context(), server.room);
    world.clock += 60 * MINUTE;
    await autostopTick(never, server.room);
    assertEquals((await recordOf(server))?.status, "UP", "a job runs");
    (await until(() => cloud.nodesOf("c1")[0]?.started[0], "it runs")).exit(0);
    const { hash } = (await recordOf(server))!;
    await until(async () => (await server.room.jobs.list(hash, { active: true })).length === 0, "it is over");
    await until(async () => (await recordOf(server))!.lastActiveAt > world.clock - MINUTE, "its end counts");
    world.clock += 4 * MINUTE;
    await autostopTick(never, server.room);
    assertEquals((await recordOf(server))?.status, "UP");
    world.clock += MINUTE;
    await autostopTick(never, server.room);
    const record = (await recordOf(server))!;
    assertEquals([record.status, record.lastEvent], ["STOPPED", "Cluster was autostopped."]);
    assertEquals(cloud.nodesOf("c1")[0]?.state, "stopped");
    assertEquals(server.faults, []);
  });
});

Deno.test("autostopTick takes down, and with wait_for none even under a running job", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await launch(task("run: hang"), launchOptions(), server.context(), server.room);
    const change = { idleMinutes: 3, down: true, waitFor: "none" } as const;
    await setAutostop("c1", change, server.context(), server.room);
    await exec(task("run: echo"), { clusterName: "c1", dryrun: false }, server.context(), server.room);
    world.clock += 3 * MINUTE;
    await autostopTick(never, server.room);
    assertEquals(server.faults, []);
    assertEquals(await recordOf(server), null);
    assertEquals(cloud.machines.size, 0);
    const events = await server.room.clusters.events({ name: "c1" });
    assertEquals(events.slice(-2).map((event) => event.reason), [
      "Autodown triggered after 3 minutes of idleness.",
      "Cluster was autodowned.",
    ]);
  });
});

Deno.test("autostopTick leaves a cluster alone that somebody is working on", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    await launch(task("name: nothing"), launchOptions({ idleMinutes: 1 }), server.context(), server.room);
    world.clock += 10 * MINUTE;
    {
      using _busy = await server.room.guards.acquire("c1", never);
      await autostopTick(never, server.room);
      assertEquals((await recordOf(server))?.status, "UP");
    }
    await autostopTick(never, server.room);
    assertEquals((await recordOf(server))?.status, "STOPPED");
  });
});

Deno.test("an autostop cut short by a crash is finished by the next tick, or by who needs the cluster", async () => {
  for (const by of ["tick", "launch"] as const) {
    await inWorld(async (world, cloud) => {
      {
        await using server = await world.serve();
        await launch(
          task("name: nothing"),
          launchOptions({ idleMinutes: 1, down: true }),
          server.context(),
          server.room,
        );
        world.clock += 5 * MINUTE;
        cloud.onTerminate = () => Promise.reject(new Error("crash"));
        await autostopTick(never, server.room);
        assertEquals((await recordOf(server))?.status, "AUTOSTOPPING");
        assertEquals(server.faults.length, 1);
        await assertRejects(
          () => exec(task("run: x"), { clusterName: "c1", dryrun: false }, server.context(), server.room),
          SkyError,
          "Cannot execute on cluster 'c1': cluster is autostopping.",
        );
      }
      cloud.onTerminate = () => {};
      await using server = await world.serve();
      if (by === "tick") {
        await autostopTick(never, server.room);
        assertEquals(await recordOf(server), null);
        return;
      }
      const ctx = server.context();
      const { cluster } = await launch(task("run: echo"), launchOptions(), ctx, server.room);
      assertEquals(cluster?.status, "UP");
      assertEquals(ctx.lines[0], "Autostop completed. Cluster status: TERMINATED");
    });
  }
});

Deno.test("setAutostop wants an UP cluster and a cloud that can", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    const set = (idleMinutes: number, down: boolean) =>
      setAutostop("c1", { idleMinutes, down, waitFor: null }, server.context(), server.room);
    await assertRejects(() => set(5, false), SkyError, "does not exist");
    await launch(task("name: nothing"), launchOptions(), server.context(), server.room);
    const error = await assertRejects(() => set(5, false), SkyError);
    assertEquals([error.code, error.message], ["not_supported", "Autostop is not supported on AWS"]);
    await set(5, true);
    assertEquals((await recordOf(server))?.autostop.down, true);
    await set(-1, false);
    assertEquals((await recordOf(server))?.autostop.idleMinutes, -1);
  }, { capabilities: { stop: false } });
});

Deno.test("a launch with autostop skips clouds that cannot stop", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    const ctx = server.context();
    await assertRejects(
      () => launch(task("run: x"), launchOptions({ idleMinutes: 5 }), ctx, server.room),
      SkyError,
      "Autostop is not supported on AWS",
    );
    await launch(task("run: x"), launchOptions({ idleMinutes: 5, down: true }), ctx, server.room);
    assertEquals((await recordOf(server))?.status, "UP");
  }, { capabilities: { stop: false } });
});

Deno.test("autostopWish puts flags before YAML", () => {
  const yaml = task("resources:\n  autostop: {idle_minutes: 9, down: true}");
  const none = { idleMinutes: null, down: false, waitFor: null };
  assertEquals(autostopWish(task("run: x"), none), null);
  assertEquals(autostopWish(yaml, none), { idleMinutes: 9, down: true, waitFor: null });
  assertEquals(autostopWish(yaml, { ...none, idleMinutes: 3 }), {
    idleMinutes: 3,
    down: true,
    waitFor: null,
  });
  assertEquals(autostopWish(task("run: x"), { ...none, down: true }), {
    idleMinutes: 0,
    down: true,
    waitFor: null,
  });
  assertEquals(autostopWish(task("resources: {autostop: false}"), none)?.idleMinutes, -1);
  assert(true);
});
