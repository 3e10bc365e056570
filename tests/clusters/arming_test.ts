/** Autostop beyond the server's life: when clouds are told to guard their nodes, and who counts as using them. */
import { assertEquals, assertRejects } from "@std/assert";
import type { GuardPolicy } from "../../clouds/cloud.ts";
import { autostopTick, setAutostop } from "../../clusters/autostop.ts";
import { launch } from "../../clusters/launch.ts";
import { down } from "../../clusters/lifecycle.ts";
import { status } from "../../clusters/status.ts";
import { SkyError } from "../../core/errors.ts";
import { inWorld, launchOptions, NO_END, task } from "./world.ts";

const never = new AbortController().signal;
const MINUTE = 60_000;

Deno.test("autostopTick arms the nodes, renews that every minute, and disarms them when cancelled", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const told: (GuardPolicy | null)[] = [];
    let fails: SkyError | null = null;
    Object.assign(cloud, {
      guard(_handle: unknown, policy: GuardPolicy | null) {
        told.push(policy);
        return fails === null ? Promise.resolve() : Promise.reject(fails);
      },
    });
    await launch(task("run: hang"), launchOptions({ idleMinutes: 5 }), server.context(), server.room);
    await autostopTick(never, server.room);
    await autostopTick(never, server.room);
    assertEquals(told.map((policy) => [policy?.idleMinutes, policy?.down, policy?.busy]), [[5, false, true]]);
    world.clock += MINUTE;
    fails = new SkyError("network", "cut");
    await autostopTick(never, server.room);
    assertEquals(told.length, 2);
    // Not told: at the next tick, not a minute later.
    await autostopTick(never, server.room);
    assertEquals(told.length, 3);
    const off = { idleMinutes: -1, down: false, waitFor: null };
    // Nobody must be told that autostop is off while a node may still end itself.
    await assertRejects(() => setAutostop("c1", off, server.context(), server.room), SkyError, "cut");
    assertEquals((await server.room.clusters.get("c1"))?.autostop.idleMinutes, 5);
    fails = null;
    await setAutostop("c1", off, server.context(), server.room);
    assertEquals(told.at(-1), null);
    const before = told.length;
    world.clock += MINUTE;
    await autostopTick(never, server.room);
    assertEquals([told.length, server.faults], [before, []]);
    await down("c1", NO_END, server.context(), server.room);
  });
});

Deno.test("autostopTick counts logins as use for wait_for jobs_and_ssh only, and an unreachable cloud as unknown", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    let people: number | SkyError = 1;
    Object.assign(cloud, {
      logins: () => typeof people === "number" ? Promise.resolve(people) : Promise.reject(people),
    });
    const status = async () => (await server.room.clusters.get("c1"))?.status;
    await launch(task("num_nodes: 1"), launchOptions({ idleMinutes: 5 }), server.context(), server.room);
    world.clock += 6 * MINUTE;
    await autostopTick(never, server.room);
    assertEquals(await status(), "UP", "somebody is logged in");
    people = new SkyError("network", "cut");
    world.clock += 6 * MINUTE;
    await autostopTick(never, server.room);
    assertEquals([await status(), server.faults], ["UP", []]);
    people = 0;
    await autostopTick(never, server.room);
    assertEquals(await status(), "STOPPED");
  });
});

Deno.test("a cloud frees what it holds for a cluster that is purged, or proven gone", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const abandoned: unknown[] = [];
    Object.assign(cloud, {
      abandon(handle: unknown) {
        abandoned.push(handle);
        return Promise.resolve("It may still run there.");
      },
    });
    await launch(task("num_nodes: 1"), launchOptions(), server.context(), server.room);
    cloud.onTerminate = () => Promise.reject(new SkyError("network", "cut"));
    const ctx = server.context();
    await down("c1", { ...NO_END, purge: true }, ctx, server.room);
    assertEquals([abandoned.length, ctx.lines.at(-1)], [1, "It may still run there."]);
    cloud.onTerminate = () => {};
    await launch(task("num_nodes: 1"), launchOptions(), server.context(), server.room);
    cloud.machines.clear();
    assertEquals(
      await status({ names: null, refresh: "FORCE", allUsers: true }, server.context(), server.room),
      [],
    );
    assertEquals(abandoned.length, 2);
  });
});
