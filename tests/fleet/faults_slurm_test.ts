/** What clusters on Slurm must survive (real sshd and Slurm daemons, a real network). */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { until } from "../support/sky.ts";
import {
  autodownWithoutServer,
  bareNode,
  evilNode,
  fullDisk,
  powerOffUnderGang,
  secretsAndQuotes,
  slowLink,
} from "./faults.ts";
import { Field, tell } from "./field.ts";

Deno.test("slurm: a host powered off under a gang", () => powerOffUnderGang("slurm"));
Deno.test("slurm: a full disk on the host", () => fullDisk("slurm"));
Deno.test("slurm: a host without bash, rsync and setsid", () => bareNode("slurm"));
Deno.test("slurm: 100 ms of delay", () => slowLink("slurm"));
Deno.test("slurm: odd names and values arrive as they are, secrets stay secret", () =>
  secretsAndQuotes("slurm"));
Deno.test("slurm: a node that means ill", () => evilNode("slurm"));
Deno.test("slurm: autodown holds with the server dead", () => autodownWithoutServer("slurm"));

/** A cluster of one node; resolves with the name of its host once its job runs. */
async function hanging(field: Field, name: string, options: { run: string; more?: readonly string[] }) {
  const file = await field.task(name, {
    infra: field.wide,
    run: `echo "at $(hostname) now"\n${options.run}`,
  });
  const client = field.watch(["launch", "-c", name, "-y", ...options.more ?? [], file]);
  await client.until(" now\n");
  return { client, host: Number(/\) at n(\d+) now/.exec(client.text)![1]) };
}

async function gone(field: Field, name: string, timeoutMs: number): Promise<void> {
  await until(async () => await field.status(name, { refresh: true }) === undefined, {
    what: `${name} to be found gone`,
    timeoutMs,
  });
}

Deno.test("slurm: what the administrator and the daemons do to an allocation", async () => {
  await using field = await Field.open("slurm", { nodes: 3 });
  const { fleet, sky } = field;
  const time = ["--config", "slurm.sbatch_options.time=1"];
  const limit = await hanging(field, "limit", { run: "sleep 987", more: time });

  // Drained: it waits, says why, and goes on once nodes are back.
  await fleet.admin("scontrol", "update", "nodename=n[2-4]", "state=drain", "reason=test");
  const file = await field.task("drained", { infra: field.wide, run: "echo drained-no-more" });
  const screen = sky.terminal(["launch", "-c", "drained", "-y", file]);
  await screen.until(/pending: [A-Z]\w+/i);
  await tell("slurm", "node drained during launch", /pending: [^\n\r)]*/i.exec(screen.text)![0]);
  await fleet.admin("scontrol", "update", "nodename=n[2-4]", "state=resume");
  await screen.until(") drained-no-more", 60_000);
  assertEquals(await screen.end(), 0);
  await sky.ok(["down", "drained", "-y"]);

  // A slurmd that is away for a moment is no matter.
  const brief = await hanging(field, "brief", { run: "sleep 5\nexit 7" });
  await fleet.killSlurmd(brief.host);
  await new Promise((resolve) => setTimeout(resolve, 2000));
  await fleet.startSlurmd(brief.host);
  const ended = await brief.client.end();
  assertStringIncludes(ended.stdout, "return code list: [7]");
  await tell("slurm", "slurmd killed, back after 2 s", "job goes on, exit code found");
  await sky.ok(["down", "brief", "-y"]);

  // Cancelled behind our back.
  const taken = await hanging(field, "taken", { run: "sleep 987" });
  const newest = (await fleet.admin("squeue", "-h", "-S", "-i", "-o", "%i")).split("\n")[0]!;
  await fleet.admin("scancel", newest);
  await gone(field, "taken", 30_000);
  const cut = await taken.client.end();
  assertEquals(cut.code === 0, false, cut.stdout);
  await tell(
    "slurm",
    "allocation scancelled behind our back",
    `client exit ${cut.code}; found gone by status -r`,
  );

  // Killed for good: Slurm gives the node up, and so do we.
  const lost = await hanging(field, "lost", { run: "sleep 987" });
  await fleet.killSlurmd(lost.host);
  await gone(field, "lost", 90_000);
  await fleet.startSlurmd(lost.host);
  await tell(
    "slurm",
    "slurmd killed for good",
    `client exit ${(await lost.client.end()).code}; found gone by status -r`,
  );

  // The time limit.
  await gone(field, "limit", 120_000);
  const over = await limit.client.end();
  assertEquals(over.code === 0, false, over.stdout);
  await tell("slurm", "time limit reached", `client exit ${over.code}; found gone by status -r`);
  assertMatch(await sky.ok(["launch", "-c", "after", "-y", file]), /\) drained-no-more\n/);
  await field.clear();
});
