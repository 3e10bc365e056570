import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { type Blocked, type Candidate, choose, optimize, planTask } from "../../clusters/optimize.ts";
import { SkyError } from "../../core/errors.ts";
import { newResources } from "../../core/resources.ts";
import { newTask } from "../../core/task_yaml.ts";
import { FakeCloud, fakeLaunched, type FakeOffer } from "../support/fake_cloud.ts";
import { random } from "./random.ts";
import { inWorld, task } from "./world.ts";

const AWS: readonly FakeOffer[] = [
  { region: "us-east-1", instanceType: "m6i.large", cpus: 2, memory: 8, hourlyCost: 0.096 },
  { region: "us-west-2", instanceType: "m6i.large", cpus: 2, memory: 8, hourlyCost: 0.098 },
  { region: "us-east-1", instanceType: "m6i.xlarge", cpus: 4, memory: 16, hourlyCost: 0.192 },
  {
    region: "us-east-1",
    instanceType: "g4dn.xlarge",
    cpus: 4,
    memory: 16,
    accelerators: { T4: 1 },
    hourlyCost: 0.526,
  },
  {
    region: "us-east-1",
    instanceType: "g4dn.2xlarge",
    cpus: 8,
    memory: 32,
    accelerators: { T4: 1 },
    hourlyCost: 0.752,
  },
];
const GCP: readonly FakeOffer[] = [
  {
    region: "us-central1",
    zone: "us-central1-a",
    instanceType: "n2-standard-2",
    cpus: 2,
    memory: 8,
    hourlyCost: 0.097,
  },
];

function gcp(folder: string) {
  return [new FakeCloud({ folder: join(folder, "gcp"), name: "gcp", displayName: "GCP", offers: GCP })];
}

function trimmed(lines: readonly string[]): string[] {
  return lines.map((line) => line.trimEnd());
}

Deno.test("optimize prints the table of cli.md §12.1", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    const ctx = server.context();
    await optimize(
      { name: null, execution: "serial", tasks: [task("resources: {cpus: 2+}\nrun: x")] },
      ctx,
      server.room,
    );
    assertEquals(ctx.lines, [
      "Considered resources (1 node):",
      "------------------------------------------------------------------------------------",
      " INFRA                 INSTANCE        vCPUs   Mem(GB)   GPUS   COST ($)   CHOSEN   ",
      "------------------------------------------------------------------------------------",
      " AWS (us-east-1)       m6i.large       2       8         -      0.10          ✔     ",
      " GCP (us-central1-a)   n2-standard-2   2       8         -      0.10                ",
      "------------------------------------------------------------------------------------",
    ]);
    assertEquals(ctx.statuses, ["[bold cyan]Optimizing[/]", null]);
  }, { offers: AWS, more: gcp });
});

Deno.test("optimize counts all nodes and names the cheapest of several types", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    const ctx = server.context();
    const yaml = task("num_nodes: 2\nresources: {accelerators: T4}\nrun: x");
    await optimize({ name: null, execution: "serial", tasks: [yaml] }, ctx, server.room);
    assertEquals(trimmed(ctx.lines).slice(0, 1), ["Considered resources (2 nodes):"]);
    assert(ctx.lines.some((line) => /g4dn.xlarge +4 +16 +T4:1 +1.05 +✔/.test(line)));
    assertEquals(ctx.lines.slice(-3), [
      "🔍 Multiple AWS instances satisfy T4:1. The cheapest (gpus=T4:1, g4dn.xlarge, ...) is considered among: " +
      "g4dn.xlarge, g4dn.2xlarge.",
      "To list more details, run: sky gpus list T4",
      "",
    ]);
  }, { offers: AWS, more: gcp });
});

Deno.test("optimize of several tasks prints the best plan first", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    const ctx = server.context();
    const tasks = [task("name: a\nrun: x"), task("name: b\nresources: {accelerators: T4}\nrun: x")];
    await optimize({ name: "p", execution: "serial", tasks }, ctx, server.room);
    assertEquals(trimmed(ctx.lines).slice(0, 7), [
      "Best plan:",
      "--------------------------------------------------------------------------",
      " TASK   #NODES   INFRA             INSTANCE      vCPUs   Mem(GB)   GPUS",
      "--------------------------------------------------------------------------",
      " a      1        AWS (us-east-1)   m6i.large     2       8         -",
      " b      1        AWS (us-east-1)   g4dn.xlarge   4       16        T4:1",
      "--------------------------------------------------------------------------",
    ]);
    assert(ctx.lines.includes("Considered resources for task 'b' (1 node):"));
  }, { offers: AWS });
});

Deno.test("optimize keeps the order of ordered resources", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    const ctx = server.context();
    const yaml = "resources:\n  ordered:\n    - {accelerators: T4}\n    - {cpus: 2}\nrun: x";
    const plan = await planTask(task(yaml), { quiet: false }, ctx, server.room);
    assertEquals(plan?.chosen.resources.instanceType, "g4dn.xlarge");
    assertEquals(
      ctx.lines[0],
      "Using user-specified accelerators list (will be tried in the listed order): <Cloud>({'T4': 1}), " +
        "<Cloud>(cpus=2)",
    );
    const rows = ctx.lines.filter((line) => line.startsWith(" AWS") || line.startsWith(" GCP"));
    assertEquals(rows.map((row) => row.trim().split(/\s+/)[2]), [
      "g4dn.xlarge",
      "m6i.large",
      "n2-standard-2",
    ]);
    const any = await planTask(task(yaml.replace("ordered", "any_of")), { quiet: true }, ctx, server.room);
    assertEquals(any?.chosen.resources.instanceType, "m6i.large");
  }, { offers: AWS, more: gcp });
});

Deno.test("planTask says why nothing fits", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    cloud.noOffer = { hint: null, similar: ["V100:8", "V100:4"] };
    const ctx = server.context();
    const error = await assertRejects(
      () => planTask(task("resources: {accelerators: V100:2}\nrun: x"), { quiet: false }, ctx, server.room),
      SkyError,
    );
    assertEquals(ctx.lines, [
      "No resource satisfying <Cloud>({'V100': 2}) on [AWS, GCP].",
      "Did you mean: ['V100:4', 'V100:8']",
    ]);
    assertEquals(error.code, "resources_unavailable");
    // deno-lint-ignore no-control-regex -- colours
    assertEquals(error.message.replace(/\x1b\[\d+m/g, "").split("\n"), [
      "Catalog does not contain any instances satisfying the request: 1x <Cloud>({'V100': 2}).",
      "To fix: relax or change the resource requirements.",
      "Try one of these offered accelerators: ['V100:4', 'V100:8']",
      "",
      "Hint: sky gpus list to list available accelerators.",
      "      sky check to check the enabled clouds.",
      "Hint: Check Per Resource Hint",
      "      ",
    ]);
    cloud.noOffer = { hint: "sold out", similar: [] };
    const cpus = server.context();
    await assertRejects(
      () => planTask(task("num_nodes: 2\nresources: {cpus: 3}\nrun: x"), { quiet: false }, cpus, server.room),
      SkyError,
    );
    assertEquals(cpus.lines, [
      "No resource satisfying 2x <Cloud>(cpus=3) on [AWS, GCP].",
      '- Try specifying a different CPU count, or add "+" to the end of the CPU count to allow for larger instances.',
      "AWS: sold out",
    ]);
  }, { offers: AWS, more: gcp });
});

Deno.test("planTask names a cloud that is not enabled, and no cloud at all", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const ctx = server.context();
    const azure = await assertRejects(
      () => planTask(task("resources: {infra: azure}\nrun: x"), { quiet: true }, ctx, server.room),
      SkyError,
    );
    assertEquals(
      azure.message,
      "Task 'sky-cmd' requires azure which is not enabled. To enable access, change the task cloud requirement or " +
        "run: sky check azure",
    );
    cloud.enabled = false;
    await server.room.settings.delete("enabled_clouds:default");
    const none = await assertRejects(
      () => planTask(task("run: x"), { quiet: true }, ctx, server.room),
      SkyError,
    );
    assertEquals([none.code, none.message], [
      "no_infra_enabled",
      "Cloud access is not set up. Run: sky check",
    ]);
  });
});

Deno.test("this machine is taken when asked for, or when nothing else is enabled", async () => {
  const more = (folder: string) => [
    new FakeCloud({ folder: join(folder, "local"), name: "local", displayName: "Local", offers: [{}] }),
  ];
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const cloudFor = async (yaml: string) =>
      (await planTask(task(yaml), { quiet: true }, server.context(), server.room))?.chosen.resources.cloud;
    assertEquals(await cloudFor("run: x"), "aws");
    assertEquals(await cloudFor("resources: {infra: local}\nrun: x"), "local");
    cloud.enabled = false;
    await server.room.settings.delete("enabled_clouds:default");
    assertEquals(await cloudFor("run: x"), "local");
  }, { offers: AWS, more });
});

Deno.test("choose follows the failover order of appendix A.10", () => {
  const of = (cloud: string, region: string, hourlyCost: number): Candidate => {
    const resources = fakeLaunched(cloud, { region, hourlyCost, accelerators: { A100: 8 } });
    return { resources, cost: hourlyCost, wish: newResources(), position: 0 };
  };
  const candidates = [of("aws", "us-east-1", 32.7), of("aws", "eu-west-1", 35), of("gcp", "us-central1", 33)];
  const blocked: Blocked[] = [];
  const order: string[] = [];
  for (;;) {
    const chosen = choose(candidates, { kind: "any_of", blocked });
    if (chosen === null) break;
    order.push(`${chosen.resources.cloud} ${chosen.resources.region}`);
    blocked.push(chosen.resources);
  }
  assertEquals(order, ["aws us-east-1", "gcp us-central1", "aws eu-west-1"]);
});

Deno.test("choose never takes what is blocked or dearer than another choice", () => {
  const next = random(11);
  for (let round = 0; round < 2000; round++) {
    const candidates: Candidate[] = Array.from({ length: next.below(12) }, () => {
      const cost = next.below(6);
      const resources = fakeLaunched(next.pick(["aws", "gcp"]), {
        region: next.pick(["a", "b", "c"]),
        hourlyCost: cost,
      });
      return { resources, cost, wish: newResources(), position: next.below(3) };
    }).sort((a, b) => a.position - b.position);
    const blocked: Blocked[] = candidates.filter(() => next.below(3) === 0).map(({ resources }) => ({
      ...resources,
      region: next.below(2) === 0 ? null : resources.region,
    }));
    const free = candidates.filter(({ resources }) =>
      !blocked.some((entry) =>
        entry.cloud === resources.cloud && (entry.region === null || entry.region === resources.region)
      )
    );
    const any = choose(candidates, { kind: "any_of", blocked });
    assertEquals(any === null, free.length === 0);
    assert(any === null || (free.includes(any) && free.every((other) => any.cost <= other.cost)));
    const ordered = choose(candidates, { kind: "ordered", blocked });
    const first = Math.min(...free.map((each) => each.position));
    assert(ordered === null || ordered.position === first);
    assert(
      ordered === null ||
        free.filter((each) => each.position === first).every((other) => ordered.cost <= other.cost),
    );
  }
});

Deno.test("planTask never plans what the wish excludes", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    const next = random(5);
    for (let round = 0; round < 60; round++) {
      cloud.offered = Array.from({ length: 1 + next.below(6) }, (_, i) => ({
        region: next.pick(["r1", "r2"]),
        instanceType: `t${i}`,
        cpus: 1 << next.below(4),
        memory: 4 << next.below(4),
        hourlyCost: next.below(100) / 100,
      }));
      const wish = newResources({
        cpus: next.below(2) === 0 ? null : `${1 << next.below(4)}+`,
        maxHourlyCost: next.below(3) === 0 ? next.below(100) / 100 : null,
        region: next.below(3) === 0 ? "r1" : null,
      });
      const fitting = cloud.offered.filter((offer) =>
        (wish.cpus === null || offer.cpus! >= Number.parseFloat(wish.cpus)) &&
        (wish.maxHourlyCost === null || offer.hourlyCost! <= wish.maxHourlyCost) &&
        (wish.region === null || offer.region === wish.region)
      );
      const wanted = newTask({ resources: { kind: "any_of", candidates: [wish] }, run: "x" });
      try {
        const plan = await planTask(wanted, { quiet: true }, server.context(), server.room);
        const cost = plan?.chosen.cost ?? NaN;
        assertEquals(cost, Math.min(...fitting.map((offer) => offer.hourlyCost!)));
      } catch (error) {
        if (!(error instanceof SkyError)) throw error;
        assertEquals(fitting.length, 0, error.message);
      }
    }
  });
});
