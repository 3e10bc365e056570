/** Nodes that stay away while something is done on them: it waits, can be cancelled, and when given up forgets nothing. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { Field, type Kind, tell } from "./field.ts";

/** Our way to them: the cable, or with Slurm what leads to the login node. */
async function cut(field: Field): Promise<void> {
  for (const node of field.ways) await field.fleet.part(node);
}
async function heal(field: Field): Promise<void> {
  for (const node of field.ways) await field.fleet.join(node);
}

async function cancelledSync(kind: Kind): Promise<void> {
  await using field = await Field.open(kind, { nodes: 1 });
  await Deno.mkdir(join(field.sky.work, "proj"));
  await Deno.writeTextFile(join(field.sky.work, "proj", "file"), "from the workdir\n");
  const parts = { infra: field.infra(0), more: ["workdir: ./proj"], run: "cat file" };
  const file = await field.task("away", parts);
  await field.sky.ok(["launch", "-c", "away", "-y", file], { timeoutMs: 90_000 });
  await cut(field);
  const client = field.watch(["exec", "away", file]);
  await client.until("Syncing goes on when it is back");
  const began = performance.now();
  await field.sky.ok(["api", "cancel", "-a", "-y"]);
  const { code, stderr } = await client.end(10_000);
  const seconds = (performance.now() - began) / 1000;
  assertEquals(code === 0, false, stderr);
  // Two programs start and end in it.
  assert(seconds < 4, `cancelled after ${seconds} s`);
  await heal(field);
  assertStringIncludes(
    await field.sky.ok(["exec", "away", file], { timeoutMs: 90_000 }),
    ") from the workdir\n",
  );
  await tell(kind, "cancel of a sync that waits", `after ${seconds.toFixed(1)} s`);
  await field.clear();
}

Deno.test("ssh: a sync that waits for its host is cancelled at once", () => cancelledSync("ssh"));
Deno.test("slurm: a sync that waits for the login node is cancelled at once", () => cancelledSync("slurm"));

Deno.test("slurm: a launch given up while the login node is away keeps the record, and can go on or be cleaned up", async () => {
  await using field = await Field.open("slurm", { nodes: 2 });
  await Deno.mkdir(join(field.sky.home, ".sky"), { recursive: true });
  await Deno.writeTextFile(join(field.sky.home, ".sky", "config.yaml"), "slurm:\n  provision_timeout: 5\n");
  const file = await field.task("gone", { infra: "slurm/fleet", run: "echo here" });
  await field.sky.ok(["api", "start"]);
  const clients = ["one", "two"].map((name) => field.watch(["launch", "-c", name, "-y", file]));
  await Promise.all(clients.map((client) => client.until("Launching on")));
  await cut(field);
  for (const client of clients) {
    const { code, stdout, stderr } = await client.end(120_000);
    assertEquals(code, 1, stdout);
    assertStringIncludes(stdout, "Waiting for it to come back");
    assertMatch(stderr, /It may exist; once it can be reached, 'sky launch -c \w+' goes on with it/);
    assert(!/This is a bug/.test(stderr), stderr);
  }
  assertEquals(await field.status("one"), "INIT");
  await heal(field);
  await field.sky.ok(["down", "one", "-y"], { timeoutMs: 60_000 });
  assertStringIncludes(
    await field.sky.ok(["launch", "-c", "two", "-y", file], { timeoutMs: 90_000 }),
    ") here\n",
  );
  await tell("slurm", "launch given up", "the record stays, launch goes on, down cleans up");
  await field.clear();
});
