/** Autostop and autodown end to end, at their shortest: one minute of idleness. The clusters wait it out side by side. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { TestSky, until } from "../support/sky.ts";

/** A minute, the tick after it, and room for a slow machine. */
const FIRED_MS = 110_000;

Deno.test("after an idle minute clusters stop or go, those with a running job stay, unless told to wait for none", async () => {
  await using sky = await TestSky.make();
  const launch = (name: string, command: string, ...flags: string[]) =>
    sky.ok(["launch", "-c", name, "--cpus", "0.1", "-y", "-d", ...flags, command]);
  const busy = "sleep 600";
  assertStringIncludes(
    await launch("stops", "echo idle", "-i", "0"),
    "The cluster will be stopped after 1 minutes of idleness (after all jobs finish).\n",
  );
  assertStringIncludes(
    await launch("goes", "echo idle", "--down"),
    "The cluster will be torn down after 1 minutes of idleness (after all jobs finish).\n",
  );
  await launch("busy", busy, "-i", "1");
  await launch("cancelled", "echo idle", "-i", "1");
  await sky.ok(["autostop", "cancelled", "--cancel", "-y"]);
  await launch("none", busy);
  assertStringIncludes(
    await sky.ok(["autostop", "none", "-i", "1", "--wait-for", "none", "-y"]),
    "The cluster will be autostopped after 1 minute of idleness.\n",
  );
  const before = await clusters(sky);
  assertEquals([...before.values()].map((cluster) => cluster.status), Array(5).fill("UP"));
  assertEquals([before.get("goes")?.autostop, before.get("goes")?.to_down], [1, true]);
  assertEquals(before.get("cancelled")?.autostop, -1);
  assertStringIncludes(await sky.ok(["status"]), "* 4 clusters have auto{stop,down} scheduled.");

  let now = before;
  await until(async () => {
    now = await clusters(sky);
    return !now.has("goes") && ["stops", "none"].every((name) => now.get(name)?.status === "STOPPED");
  }, { what: "autostop to fire", timeoutMs: FIRED_MS });
  assertEquals(now.get("busy")?.status, "UP");
  assertEquals(now.get("cancelled")?.status, "UP");
  assertStringIncludes(await sky.ok(["queue", "busy"]), "RUNNING");

  // What the stop ended is not run again, and autostop is off until it is set anew.
  await sky.ok(["start", "none", "-y"]);
  const queue = await sky.ok(["queue", "none"]);
  assert(!queue.includes("RUNNING") && queue.includes("FAILED_DRIVER"), queue);
  assertStringIncludes(await sky.ok(["cost-report"]), "TERMINATED");
});

interface Cluster {
  readonly name: string;
  readonly status: string;
  readonly autostop: number;
  readonly to_down: boolean;
}

async function clusters(sky: TestSky): Promise<Map<string, Cluster>> {
  const all: Cluster[] = JSON.parse(await sky.ok(["status", "-o", "json"]));
  return new Map(all.map((cluster) => [cluster.name, cluster]));
}
