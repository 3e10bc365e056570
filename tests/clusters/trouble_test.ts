/** What clusters/ does when machines can't be reached, or do not let us in: wait, say so once, forget nothing. */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { ssh } from "../../clouds/ssh/mod.ts";
import { Again } from "../../clusters/again.ts";
import { autostopTick, setAutostop } from "../../clusters/autostop.ts";
import { followJob } from "../../clusters/job_logs.ts";
import { cancelJobs } from "../../clusters/jobs.ts";
import { launch } from "../../clusters/launch.ts";
import { down } from "../../clusters/lifecycle.ts";
import { SkyError } from "../../core/errors.ts";
import { canServe, PoolSite } from "../clouds/ssh/site.ts";
import type { FakeCloud } from "../support/fake_cloud.ts";
import {
  ALL,
  inWorld,
  launchOptions,
  NO_END,
  type Server,
  task,
  textOf,
  until,
  type World,
} from "./world.ts";

const never = new AbortController().signal;
const MINUTE = 60_000;

const cutOff = () => new SkyError("network", "The connection to n1 broke");
const denied = () =>
  new SkyError("permission_denied", "Cannot connect to n1: its host key is not the one seen before", {
    hint: "Remove that line",
    details: { reason: "host_key_changed" },
  });

async function makeProject(world: World): Promise<string> {
  const source = join(world.folder, "proj");
  await Deno.mkdir(source);
  await Deno.writeTextFile(join(source, "main.py"), "print(1)");
  return source;
}

async function jobStatus(server: Server): Promise<string | undefined> {
  const cluster = await server.room.clusters.get("c1");
  return (await server.room.jobs.list(cluster!.hash))[0]?.status;
}

/** The process of the first job on node 0, once it runs. */
const running = (cloud: FakeCloud) => until(() => cloud.nodesOf("c1")[0]?.started[0], "it runs");

/** Of a log that may not have begun. */
const textIn = (path: string) => Deno.readTextFile(path).catch(() => "");

async function endOf(server: Server): Promise<string> {
  return await textOf((await followJob("c1", 1, ALL, server.context(), server.room)).log);
}

Deno.test("syncFiles waits for nodes whose connection broke, and says so once", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const source = await makeProject(world);
    let tries = 0;
    cloud.onUpload = (_node, target) => {
      if (target === "~/sky_workdir" && tries++ < 3) throw cutOff();
    };
    const ctx = server.context();
    const yaml = `num_nodes: 2\nworkdir: ${source}\nrun: echo hi`;
    const { jobId } = await launch(task(yaml), launchOptions(), ctx, server.room);
    assertEquals([jobId, tries], [1, 5]);
    const said = ctx.lines.filter((line) => line.includes("broke"));
    assertEquals(said, [
      "The connection to n1 broke. Syncing goes on when it is back, within 3 minutes.",
    ]);
    for (const node of cloud.nodesOf("c1")) {
      assertEquals(await Deno.readTextFile(join(node.home, "sky_workdir/main.py")), "print(1)");
    }
  });
});

Deno.test("syncFiles is cancelled at once while it waits, and waits no longer when another node failed", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const source = await makeProject(world);
    const job = task(`num_nodes: 2\nworkdir: ${source}\nrun: echo hi`);
    cloud.onUpload = () => Promise.reject(cutOff());
    const ctx = server.context();
    const launching = launch(job, launchOptions(), ctx, server.room);
    launching.catch(() => {});
    await until(() => ctx.lines.some((line) => line.includes("Syncing goes on")), "it waits");
    const cancelledAt = performance.now();
    ctx.cancel(new SkyError("request_cancelled", "gone"));
    await assertRejects(() => launching, SkyError, "gone");
    assert(performance.now() - cancelledAt < 1000);
    cloud.onUpload = ({ id }) =>
      Promise.reject(id.endsWith("0") ? cutOff() : new SkyError("disk_full", "full"));
    const began = performance.now();
    await assertRejects(
      () => launch(job, launchOptions(), server.context(), server.room),
      SkyError,
      "full",
    );
    assert(performance.now() - began < 5000);
  });
});

Deno.test("a launch given up with its place out of reach keeps the record and says what may be there", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    cloud.onProvision = () => Promise.reject(cutOff());
    cloud.onTerminate = () => Promise.reject(cutOff());
    const error = await assertRejects(
      () => launch(task("run: echo hi"), launchOptions(), server.context(), server.room),
      SkyError,
    );
    assertEquals([error.code, error.hint], ["network", "sky down c1"]);
    assertStringIncludes(error.message, "It may exist; once it can be reached");
    assertStringIncludes(error.message, "'sky down c1' cleans up");
    assertEquals((await server.room.clusters.get("c1"))?.status, "INIT");
    assertEquals(cloud.machines.size, 1);
    cloud.onTerminate = () => {};
    await down("c1", NO_END, server.context(), server.room);
    assertEquals([await server.room.clusters.get("c1"), cloud.machines.size], [null, 0]);
  });
});

Deno.test("a job on a machine that does not let us in runs on, its log says why once", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await launch(task("run: hang"), launchOptions(), server.context(), server.room);
    const process = await running(cloud);
    const log = endOf(server);
    cloud.unreachable = denied();
    process.print("one\n");
    process.print("two\n");
    const path = await until(async () => {
      const cluster = await server.room.clusters.get("c1");
      const file = join(world.home.clusters, cluster!.hash, "jobs", "1", "run.log");
      return (await textIn(file)).includes("WARNING") ? file : null;
    }, "it is said");
    assertEquals(await jobStatus(server), "RUNNING");
    // Who wants to end it is told at once that this can't be.
    const wish = { jobIds: null, all: true, allUsers: false };
    await assertRejects(() => cancelJobs("c1", wish, server.context(), server.room), SkyError, "host key");
    assertEquals(await jobStatus(server), "RUNNING");
    cloud.unreachable = null;
    assertEquals(await cancelJobs("c1", wish, server.context(), server.room), [1]);
    const text = await log;
    assertEquals(text.split("WARNING").length, 2, text);
    assertMatch(
      text,
      /WARNING: Cannot connect to n1: .* seen before\. Remove that line\. The job goes on;/,
    );
    assertMatch(text, /\) one\n.*\) two\n/);
    assertEquals(await Deno.readTextFile(path).then((all) => all.split("WARNING").length), 2);
    assertEquals(server.faults, []);
  });
});

Deno.test("a job whose driver was lost is looked after again, in its place", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await launch(task("run: hang"), launchOptions(), server.context(), server.room);
    const process = await running(cloud);
    cloud.unreachable = new SkyError(
      "not_supported",
      "Cannot reach Slurm cluster 't': it is not in the config",
    );
    await until(() => server.faults.length > 0, "it is lost");
    assertStringIncludes(server.faults[0] ?? "", "job 1 on cluster c1");
    assertEquals(await jobStatus(server), "RUNNING");
    cloud.unreachable = null;
    process.print("still here\n");
    process.exit(0);
    // By itself, after ten seconds.
    await until(async () => await jobStatus(server) === "SUCCEEDED", "it is found again", 20_000);
    assertStringIncludes(await endOf(server), ") still here\n");
    assertEquals([server.faults.length, cloud.nodesOf("c1")[0]?.started.length], [1, 1]);
  });
});

Deno.test("Again tells each fault of a subject once, and ends with its signal", async () => {
  const life = new AbortController();
  const faults: string[] = [];
  const again = new Again({
    what: "work",
    signal: life.signal,
    isDone: () => false,
    attempt: () => Promise.reject(new Error("no")),
    onFault: (error, what) => faults.push(`${what}: ${(error as Error).message}`),
  });
  for (const words of ["a", "a", "b"]) again.tell(new Error(words), "this");
  again.tell(new Error("b"), "that");
  assertEquals(faults, ["this: a", "this: b", "that: b"]);
  again.begin();
  again.begin();
  life.abort();
  await again.ended();
  again.begin();
  await again.ended();
  assertEquals(faults.length, 3);
});

Deno.test("autostopTick tries a cluster that makes trouble once a minute, and tells the trouble once", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await launch(task("run: echo hi"), launchOptions(), server.context(), server.room);
    await until(async () => await jobStatus(server) === "SUCCEEDED", "it is over");
    const change = { idleMinutes: 1, down: true, waitFor: "jobs" } as const;
    await setAutostop("c1", change, server.context(), server.room);
    cloud.onTerminate = () =>
      Promise.reject(new SkyError("network", "Cannot reach all hosts of cluster 'c1'"));
    world.clock += 2 * MINUTE;
    const tries = () => cloud.acts.filter((act) => act.startsWith("terminate")).length;
    for (let i = 0; i < 18; i++) {
      await autostopTick(never, server.room);
      world.clock += 10_000;
    }
    assertEquals([tries(), server.faults.length], [3, 1], server.faults.join("\n"));
    assertStringIncludes(server.faults[0] ?? "", "autostop of cluster c1");
    cloud.onTerminate = () => {};
    await autostopTick(never, server.room);
    assertEquals([await server.room.clusters.get("c1"), server.room.troubles.size], [null, 0]);
    assertEquals(server.faults.length, 1);
  });
});

Deno.test({
  name: "a job on an ssh host whose key changes runs on and is found again when the key is accepted",
  ignore: !canServe,
  async fn() {
    await inWorld(async (world) => {
      await using site = await PoolSite.open(world.folder, { count: 1 });
      {
        await using server = await world.serve();
        const [host] = site.hosts;
        const go = join(host!.home, "go");
        const yaml =
          `resources:\n  infra: ssh/lab\nrun: |\n  echo begun\n  until [ -e '${go}' ]; do sleep 0.1; done\n` +
          "  echo over\n";
        await launch(task(yaml), launchOptions(), server.context(), server.room);
        const log = endOf(server);
        const cluster = (await server.room.clusters.get("c1"))!;
        const path = join(world.home.clusters, cluster.hash, "jobs", "1", "run.log");
        await until(async () => (await textIn(path)).includes("begun\n"), "it runs");
        await host!.stop();
        await host!.makeHostKey();
        await host!.restart();
        const said = await until(
          async () => /WARNING: .*its host key.*/.exec(await textIn(path))?.[0],
          "it is said",
          30_000,
        );
        assertEquals(await jobStatus(server), "RUNNING");
        const keys = /sed -i \d+d '([^']+)'/.exec(said)?.[1];
        assert(keys !== undefined, said);
        await Deno.writeTextFile(go, "");
        await Deno.remove(keys);
        const text = await log;
        assertMatch(text, /\) begun\n[^]*WARNING[^]*\) over\n/);
        assertEquals(await jobStatus(server), "SUCCEEDED");
        assertEquals(server.faults, []);
        await down("c1", NO_END, server.context(), server.room);
        assertEquals(await site.leftovers(), ["go on h1"]);
      }
    }, { more: () => [ssh] });
  },
});

Deno.test({
  name:
    "a cluster of which a host is away is not taken down in part over and over, and goes when the host is back",
  ignore: !canServe,
  async fn() {
    await inWorld(async (world) => {
      await using site = await PoolSite.open(world.folder, { count: 2 });
      await using server = await world.serve();
      const [, second] = site.hosts;
      const yaml = "resources:\n  infra: ssh/lab\nnum_nodes: 2\nrun: echo over";
      const flags = launchOptions({ idleMinutes: 1, down: true, waitFor: "jobs" });
      await launch(task(yaml), flags, server.context(), server.room);
      await until(async () => await jobStatus(server) === "SUCCEEDED", "it is over", 20_000);
      await second!.stop();
      const error = await assertRejects(() => down("c1", NO_END, server.context(), server.room), SkyError);
      assertMatch(error.message, /Cannot reach all hosts of cluster 'c1': node1 /);
      for (let i = 0; i < 24; i++) {
        await autostopTick(never, server.room);
        world.clock += 10_000;
      }
      assertEquals((await server.room.clusters.get("c1"))?.status, "AUTOSTOPPING");
      assertEquals(server.faults.length, 1, server.faults.join("\n"));
      await second!.restart();
      world.clock += MINUTE;
      await autostopTick(never, server.room);
      assertEquals(await server.room.clusters.get("c1"), null);
      assertEquals(await site.leftovers(), []);
    }, { more: () => [ssh] });
  },
});
