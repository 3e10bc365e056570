import { assertEquals, assertRejects } from "@std/assert";
import { launch } from "../../clusters/launch.ts";
import { status, type StatusOptions } from "../../clusters/status.ts";
import { SkyError } from "../../core/errors.ts";
import { inWorld, launchOptions, type Server, task } from "./world.ts";

const ALL: StatusOptions = { names: null, refresh: "NONE", allUsers: true };

async function look(server: Server, options: Partial<StatusOptions> = {}): Promise<[string, string][]> {
  const records = await status({ ...ALL, ...options }, server.context(), server.room);
  return records.map((record) => [record.name, record.status]);
}

Deno.test("status lists newest first, by owner, names and globs", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    for (const [clusterName, userId] of [["a1", "abcdef12"], ["a2", "99999999"], ["b1", "abcdef12"]]) {
      const ctx = server.context({ userId: userId! });
      await launch(task("name: x"), launchOptions({ clusterName: clusterName! }), ctx, server.room);
    }
    const names = async (options: Partial<StatusOptions>) =>
      (await look(server, options)).map(([name]) => name);
    assertEquals(await names({}), ["b1", "a2", "a1"]);
    assertEquals(await names({ allUsers: false }), ["b1", "a1"]);
    assertEquals(await names({ names: ["a*", "nope"], allUsers: false }), ["a2", "a1"]);
    assertEquals(await names({ names: [] }), []);
  });
});

Deno.test("status --refresh forgets a cluster only after two proofs", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await launch(task("name: x"), launchOptions(), server.context(), server.room);
    const [nodes] = [...cloud.machines.values()];
    let looks = 0;
    const inspect = cloud.inspect.bind(cloud);
    cloud.inspect = async (handle, ctx) => {
      looks++;
      // Gone at the first look only, as a cloud that answers from a stale replica.
      return looks === 1 ? [] : await inspect(handle, ctx);
    };
    assertEquals(await look(server, { refresh: "FORCE" }), [["c1", "UP"]]);
    assertEquals(looks, 2);
    for (const node of nodes ?? []) node.state = "gone";
    const ctx = server.context();
    assertEquals(await status({ ...ALL, refresh: "FORCE" }, ctx, server.room), []);
    assertEquals(ctx.lines, ["Cluster terminated on the cloud: c1"]);
    assertEquals(await server.room.clusters.list(), []);
  });
});

Deno.test("status --refresh keeps what it cannot learn", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await launch(task("name: x"), launchOptions(), server.context(), server.room);
    cloud.unreachable = new SkyError("network", "no route");
    const ctx = server.context();
    const records = await status({ ...ALL, refresh: "FORCE" }, ctx, server.room);
    assertEquals(records.map((record) => record.status), ["UP"]);
    assertEquals(ctx.lines, ["Cannot refresh cluster 'c1', showing its last status: no route"]);
    cloud.unreachable = null;
    for (const node of cloud.nodesOf("c1")) node.state = "unknown";
    assertEquals(await look(server, { refresh: "FORCE" }), [["c1", "UP"]]);
  });
});

Deno.test("status --refresh sees stopped and abnormal machines", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await launch(
      task("num_nodes: 2\nrun: hang"),
      launchOptions({ idleMinutes: 9 }),
      server.context(),
      server.room,
    );
    const [head, worker] = cloud.nodesOf("c1");
    worker!.state = "stopped";
    assertEquals(await look(server, { refresh: "FORCE" }), [["c1", "INIT"]]);
    let record = (await server.room.clusters.get("c1"))!;
    assertEquals([record.lastEvent, record.autostop.idleMinutes], [
      "Cluster is abnormal because some but not all nodes are stopped. Transitioned to INIT.",
      9,
    ]);
    worker!.state = "up";
    assertEquals(await look(server, { refresh: "FORCE" }), [["c1", "UP"]]);
    for (const node of [head!, worker!]) node.die("stopped");
    assertEquals(await look(server, { refresh: "FORCE" }), [["c1", "STOPPED"]]);
    record = (await server.room.clusters.get("c1"))!;
    assertEquals(
      (await server.room.jobs.list(record.hash)).map((job) => job.status),
      ["FAILED_DRIVER"],
    );
  });
});

Deno.test("status AUTO looks only at what changes by itself, and not twice at once", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await launch(task("name: x"), launchOptions({ clusterName: "plain" }), server.context(), server.room);
    await launch(
      task("name: x"),
      launchOptions({ clusterName: "auto", idleMinutes: 5 }),
      server.context(),
      server.room,
    );
    const seen: string[] = [];
    const inspect = cloud.inspect.bind(cloud);
    cloud.inspect = (handle, ctx) => {
      seen.push(String(handle["name"]));
      return inspect(handle, ctx);
    };
    await look(server, { refresh: "AUTO" });
    world.clock += 5000;
    await look(server, { refresh: "AUTO" });
    await look(server, { refresh: "AUTO" });
    assertEquals(seen, ["auto-abcdef12"]);
  });
});

Deno.test("status does not wait for a cluster that is being launched", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const made = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    cloud.onProvision = () => {
      begun.resolve();
      return made.promise;
    };
    const launching = launch(task("name: x"), launchOptions(), server.context(), server.room);
    await begun.promise;
    assertEquals(await look(server, { refresh: "FORCE" }), [["c1", "INIT"]]);
    made.resolve();
    await launching;
    assertEquals(await look(server), [["c1", "UP"]]);
  });
});

Deno.test("a cluster name must fit its rule", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    const error = await assertRejects(
      () => launch(task("run: x"), launchOptions({ clusterName: "1st" }), server.context(), server.room),
      SkyError,
    );
    assertEquals(error.code, "invalid_cluster_name");
  });
});
