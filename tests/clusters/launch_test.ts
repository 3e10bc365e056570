import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { followJob } from "../../clusters/job_logs.ts";
import { launch } from "../../clusters/launch.ts";
import { stop } from "../../clusters/lifecycle.ts";
import { SkyError } from "../../core/errors.ts";
import { FailingCloud, FakeCloud } from "../support/fake_cloud.ts";
import { ALL, inWorld, launchOptions, NO_END, task, textOf, until } from "./world.ts";

const OFFERS = [{ region: "us-east-1", instanceType: "m6i.large", cpus: 2, memory: 8, hourlyCost: 0.096 }];

Deno.test("launch makes a cluster, runs the job and says so line by line", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    const ctx = server.context({ command: "sky launch -c c1 'echo hi'" });
    const { jobId, cluster } = await launch(
      task("name: hello\nrun: echo hi"),
      launchOptions(),
      ctx,
      server.room,
    );
    assertEquals(jobId, 1);
    assertEquals(cluster?.status, "UP");
    assertEquals(cluster?.lastUse, "sky launch -c c1 'echo hi'");
    assertEquals(cluster?.nameOnCloud, "c1-abcdef12");
    assertEquals(ctx.lines, [
      "Considered resources (1 node):",
      "----------------------------------------------------------------------------",
      " INFRA             INSTANCE    vCPUs   Mem(GB)   GPUS   COST ($)   CHOSEN   ",
      "----------------------------------------------------------------------------",
      " AWS (us-east-1)   m6i.large   2       8         -      0.10          ✔     ",
      "----------------------------------------------------------------------------",
      "⚙︎ Launching on AWS us-east-1.",
      "└── Instance is up.",
      "✓ Cluster launched: c1.  View logs: sky logs --provision c1",
      "⚙︎ Syncing files.",
      "⚙︎ Job submitted, ID: 1",
      "",
    ]);
    const followed = await followJob("c1", 1, ALL, ctx, server.room);
    assertEquals(
      await textOf(followed.log),
      "├── Waiting for task resources on 1 node.\n" +
        "└── Job started. Streaming logs... (Ctrl-C to exit log streaming; job will not be killed)\n" +
        "(hello, pid=100) hi\n" +
        "✓ Job finished (status: SUCCEEDED).\n",
    );
    assertEquals(await followed.exitCode, 0);
    assertEquals(server.faults, []);
  }, { offers: OFFERS });
});

Deno.test("launch saves the record with a handle before the machines are made", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    let seen: unknown;
    cloud.onProvision = async () => {
      const record = await server.room.clusters.get("c1");
      seen = [record?.status, record?.handle, record?.launchReason];
    };
    await launch(task("run: echo hi"), launchOptions(), server.context(), server.room);
    assertEquals(seen, [
      "INIT",
      { version: 1, name: "c1-abcdef12", count: 1 },
      "Provisioning on AWS in us-east-1",
    ]);
  }, { offers: OFFERS });
});

Deno.test("launch on an UP cluster looks it over, syncs, runs setup again and adds a job", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const yaml = task("setup: echo preparing\nrun: echo hi");
    await launch(yaml, launchOptions(), server.context(), server.room);
    const ctx = server.context();
    const { jobId } = await launch(yaml, launchOptions(), ctx, server.room);
    assertEquals(jobId, 2);
    assertEquals(ctx.lines, [
      "⚙︎ Launching on AWS us-east-1.",
      "└── Instance is up.",
      "✓ Cluster launched: c1.  View logs: sky logs --provision c1",
      "⚙︎ Syncing files.",
      "✓ Setup detached.",
      "⚙︎ Job submitted, ID: 2",
      "",
    ]);
    const { log } = await followJob("c1", null, ALL, ctx, server.room);
    const text = await textOf(log);
    assertStringIncludes(text, "(setup pid=102) preparing\n(task, pid=103) hi\n");
    assertEquals(cloud.machines.size, 1);
  }, { offers: OFFERS });
});

Deno.test("launch restarts a STOPPED cluster and forgets its autostop", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await launch(task("run: echo hi"), launchOptions({ idleMinutes: 5 }), server.context(), server.room);
    await stop("c1", NO_END, server.context(), server.room);
    assertEquals((await server.room.clusters.get("c1"))?.status, "STOPPED");
    const { cluster, jobId } = await launch(
      task("run: echo hi"),
      launchOptions(),
      server.context(),
      server.room,
    );
    assertEquals([cluster?.status, cluster?.autostop.idleMinutes, jobId], ["UP", -1, 2]);
    assertEquals(cloud.acts.map((act) => act.split(" ")[0]), ["provision", "stop", "provision"]);
  });
});

Deno.test("launch refuses what the existing cluster does not serve", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    await launch(task("run: echo hi"), launchOptions(), server.context(), server.room);
    const error = await assertRejects(
      () =>
        launch(
          task("resources:\n  accelerators: V100:4\nrun: echo hi"),
          launchOptions(),
          server.context(),
          server.room,
        ),
      SkyError,
    );
    assertEquals(error.code, "resources_mismatch");
    assertStringIncludes(error.message, "  Requested:\t{1x <Cloud>({'V100': 4})}");
    await assertRejects(
      () => launch(task("num_nodes: 2\nrun: echo hi"), launchOptions(), server.context(), server.room),
      SkyError,
      "do not match",
    );
  });
});

Deno.test("launch --fast skips machines and setup when nothing changed", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const yaml = task("setup: echo preparing\nrun: echo hi");
    await launch(yaml, launchOptions(), server.context(), server.room);
    const ctx = server.context();
    await launch(yaml, launchOptions({ fast: true }), ctx, server.room);
    assertEquals(ctx.lines, ["⚙︎ Syncing files.", "⚙︎ Job submitted, ID: 2", ""]);
    assertEquals(cloud.acts.length, 1);
    await launch(
      task("setup: echo other\nrun: echo hi"),
      launchOptions({ fast: true }),
      server.context(),
      server.room,
    );
    assertEquals(cloud.acts.length, 2);
  });
});

Deno.test("launch without setup or run says so", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    const ctx = server.context();
    await launch(task("setup: echo no\nrun: echo hi"), launchOptions({ noSetup: true }), ctx, server.room);
    assert(ctx.lines.includes("Setup commands skipped."));
    const empty = server.context();
    const { jobId } = await launch(task("name: nothing"), launchOptions(), empty, server.room);
    assertEquals(jobId, null);
    assertEquals(empty.lines.slice(-2), ["Run commands not specified or empty.", ""]);
  });
});

Deno.test("launch --dryrun plans and touches nothing", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const ctx = server.context();
    const { jobId, cluster } = await launch(
      task("run: echo hi"),
      launchOptions({ dryrun: true }),
      ctx,
      server.room,
    );
    assertEquals([jobId, cluster], [null, null]);
    assertEquals(ctx.lines.at(-1), "Dryrun finished.");
    assertEquals(cloud.acts, []);
    assertEquals(await server.room.clusters.list(), []);
    await launch(task("run: echo hi"), launchOptions(), server.context(), server.room);
    const again = server.context();
    await launch(task("run: echo two"), launchOptions({ dryrun: true }), again, server.room);
    assertEquals(again.lines[0], "Dryrun complete. Would have run:");
    assert(again.lines.includes("run: echo two"));
    assert(!again.lines.some((line) => line.startsWith("_")), "the task only, as the user would write it");
  });
});

Deno.test("launch sets autostop by flags, then YAML, and bumps no minutes to one", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    const autostopOf = async (name: string) => {
      const { idleMinutes, down, waitFor } = (await server.room.clusters.get(name))!.autostop;
      return [idleMinutes, down, waitFor];
    };
    const yaml = task("resources:\n  autostop: {idle_minutes: 7, down: true, wait_for: none}\nrun: echo hi");
    await launch(yaml, launchOptions({ clusterName: "yaml" }), server.context(), server.room);
    assertEquals(await autostopOf("yaml"), [7, true, "none"]);
    const ctx = server.context();
    await launch(task("run: echo hi"), launchOptions({ clusterName: "down", down: true }), ctx, server.room);
    assertEquals(await autostopOf("down"), [1, true, "jobs_and_ssh"]);
    assert(
      ctx.lines.includes(
        "The cluster will be torn down after 1 minutes of idleness (after all jobs finish).",
      ),
    );
    const flags = launchOptions({ clusterName: "flags", idleMinutes: 10 });
    await launch(yaml, flags, server.context(), server.room);
    assertEquals((await autostopOf("flags"))[0], 10);
    await launch(
      task("run: echo hi"),
      launchOptions({ clusterName: "flags", idleMinutes: -1 }),
      server.context(),
      server.room,
    );
    assertEquals((await autostopOf("flags"))[0], -1);
  });
});

Deno.test("launch fails over to the next cheapest place and takes down what failed", async () => {
  const more = (folder: string) => [
    new FailingCloud({
      folder: join(folder, "failing"),
      name: "gcp",
      displayName: "GCP",
      offers: [{ region: "r1", hourlyCost: 0.01 }, { region: "r2", hourlyCost: 0.02 }],
    }),
  ];
  await inWorld(async (world) => {
    await using server = await world.serve();
    const ctx = server.context();
    const { cluster } = await launch(task("run: echo hi"), launchOptions(), ctx, server.room);
    assertEquals(cluster?.resources.cloud, "aws");
    const gcp = world.clouds.get("gcp") as FakeCloud;
    assertEquals(gcp.acts.map((act) => act.split(" ")[0]), [
      "provision",
      "terminate",
      "provision",
      "terminate",
    ]);
    assertEquals(ctx.lines.filter((line) => line.includes("Trying other")), [
      "↺ Trying other potential resources.",
      "↺ Trying other potential resources.",
    ]);
    assertEquals(ctx.lines.filter((line) => line.startsWith("Considered resources")).length, 3);
  }, { offers: OFFERS, more });
});

Deno.test("launch with nowhere left drops the record and lists what failed", async () => {
  const more = (folder: string) => [
    new FailingCloud({
      folder: join(folder, "f"),
      name: "gcp",
      displayName: "GCP",
      offers: [{ region: "r1" }],
    }),
  ];
  await inWorld(async (world) => {
    await using server = await world.serve();
    const ctx = server.context();
    const error = await assertRejects(
      () => launch(task("resources:\n  infra: gcp\nrun: x"), launchOptions(), ctx, server.room),
      SkyError,
    );
    assertEquals(
      error.message,
      "Failed to provision all possible launchable resources. Relax the task's resource requirements: 1x GCP()\n" +
        "To keep retrying until the cluster is up, use the `--retry-until-up` flag.\n" +
        "Reasons for provision failures (for details, please check the log above):\n" +
        "Provision failures (tried 1 infra):\n\n" +
        "✗ GCP (r1) — 2CPU--4GB\n" +
        "  Failed to acquire resources in r1.",
    );
    assert(ctx.lines.includes("⨯ Failed to provision resources.  View logs: sky logs --provision c1"));
    assertEquals(await server.room.clusters.list(), []);
  }, { more });
});

Deno.test("launch --retry-until-up waits and can be cancelled at once", async () => {
  const more = (folder: string) => [
    new FailingCloud({ folder: join(folder, "f"), name: "gcp", displayName: "GCP" }),
  ];
  await inWorld(async (world) => {
    await using server = await world.serve();
    const ctx = server.context();
    const launching = launch(
      task("resources:\n  infra: gcp\nrun: x"),
      launchOptions({ retryUntilUp: true }),
      ctx,
      server.room,
    );
    launching.catch(() => {});
    await until(() => ctx.lines.some((line) => line.startsWith("↺ Retry after 30s")), "it waits");
    const began = performance.now();
    ctx.cancel();
    await assertRejects(() => launching);
    assert(performance.now() - began < 1000);
    assertEquals((await server.room.clusters.get("c1"))?.status, "INIT");
  }, { more });
});

Deno.test("launch cancelled while machines are made keeps the record", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const ctx = server.context();
    const begun = Promise.withResolvers<void>();
    cloud.onProvision = (_spec, { signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        begun.resolve();
      });
    const launching = launch(task("run: x"), launchOptions(), ctx, server.room);
    launching.catch(() => {});
    await begun.promise;
    ctx.cancel(new SkyError("request_cancelled", "gone"));
    await assertRejects(() => launching, SkyError, "gone");
    const record = await server.room.clusters.get("c1");
    assertEquals([record?.status, record?.handle?.version], ["INIT", 1]);
    // The next launch takes the half-made cluster up where it is.
    cloud.onProvision = () => {};
    const { cluster } = await launch(task("run: echo x"), launchOptions(), server.context(), server.room);
    assertEquals([cluster?.status, cluster?.hash], ["UP", record?.hash]);
  });
});

Deno.test("launch finds a cluster that vanished and makes it anew", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const first = await launch(task("run: echo hi"), launchOptions(), server.context(), server.room);
    cloud.machines.clear();
    const ctx = server.context();
    const second = await launch(task("run: echo hi"), launchOptions(), ctx, server.room);
    assertStringIncludes(ctx.lines[0] ?? "", "The cluster 'c1' (status: UP) was not found on the cloud");
    assert(first.cluster?.hash !== second.cluster?.hash);
    assertEquals(second.jobId, 1);
  });
});

Deno.test("launch syncs workdir and file mounts to every node", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const source = join(world.folder, "proj");
    await Deno.mkdir(source);
    await Deno.writeTextFile(join(source, "main.py"), "print(1)");
    const ctx = server.context();
    const yaml =
      `num_nodes: 2\nworkdir: ${source}\nfile_mounts:\n  data: ${source}/main.py\n  ~/m: ${source}\nrun: x`;
    await launch(task(yaml), launchOptions(), ctx, server.room);
    for (const node of cloud.nodesOf("c1")) {
      assertEquals(node.uploads.slice(0, 3).map((upload) => upload.target), [
        "~/sky_workdir",
        "~/sky_workdir/data",
        "~/m",
      ]);
      assertEquals(await Deno.readTextFile(join(node.home, "sky_workdir/main.py")), "print(1)");
    }
    assertEquals(ctx.lines.slice(-10), [
      "└── Instances are up.",
      "✓ Cluster launched: c1.  View logs: sky logs --provision c1",
      "⚙︎ Syncing files.",
      `  Syncing workdir (to 2 nodes): ${source} -> ~/sky_workdir`,
      "✓ Synced workdir.",
      `  Syncing (to 2 nodes): ${source}/main.py -> data`,
      `  Syncing (to 2 nodes): ${source} -> ~/m`,
      "✓ Synced file_mounts.",
      "⚙︎ Job submitted, ID: 1",
      "",
    ]);
  });
});

Deno.test("launch refuses a missing workdir before anything is made", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await assertRejects(
      () => launch(task("workdir: /nowhere\nrun: x"), launchOptions(), server.context(), server.room),
      SkyError,
      "Workdir must be a valid directory (or a symlink to a directory). /nowhere not found.",
    );
    assertEquals(cloud.acts, []);
  });
});

Deno.test("launch resumed after a crash at any step makes one cluster and one job", async () => {
  for (const step of ["provision", "sync", "autostop", "submit job"]) {
    for (const when of ["before", "after"] as const) {
      await inWorld(async (world, cloud) => {
        const requestId = crypto.randomUUID();
        const steps = new Map<string, unknown>();
        const yaml = task("run: echo once");
        {
          await using server = await world.serve();
          const onStep = (name: string, at: string) => {
            if (name === step && at === when) throw new Error("crash");
          };
          const ctx = server.context({ requestId, steps, onStep });
          await assertRejects(
            () => launch(yaml, launchOptions({ idleMinutes: 9 }), ctx, server.room),
            Error,
            "crash",
          );
        }
        await using server = await world.serve();
        const ctx = server.context({ requestId, steps });
        const { jobId, cluster } = await launch(yaml, launchOptions({ idleMinutes: 9 }), ctx, server.room);
        const where = `crash ${when} ${step}`;
        assertEquals([jobId, cluster?.hash, cluster?.autostop.idleMinutes], [1, requestId, 9], where);
        const followed = await followJob("c1", 1, ALL, ctx, server.room);
        assertEquals((await textOf(followed.log)).split("once").length, 2, where);
        assertEquals(cloud.machines.size, 1, where);
        assertEquals(cloud.nodesOf("c1")[0]?.started.length, 1, where);
        assertEquals((await server.room.jobs.list(requestId)).length, 1, where);
        assertEquals(server.faults, [], where);
      });
    }
  }
});
