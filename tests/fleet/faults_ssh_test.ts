/** What clusters on ssh hosts must survive (real sshd, a real network, real processes). */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
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

Deno.test("ssh: a host powered off under a gang", () => powerOffUnderGang("ssh"));
Deno.test("ssh: a full disk on the host", () => fullDisk("ssh"));
Deno.test("ssh: a host without bash, rsync and setsid", () => bareNode("ssh"));
Deno.test("ssh: 100 ms of delay", () => slowLink("ssh"));
Deno.test("ssh: odd names and values arrive as they are, secrets stay secret", () => secretsAndQuotes("ssh"));
Deno.test("ssh: a node that means ill", () => evilNode("ssh"));
Deno.test("ssh: autodown holds with the server dead", () => autodownWithoutServer("ssh"));

Deno.test("ssh: hosts that share one home keep their nodes apart", async () => {
  await using field = await Field.open("ssh", { nodes: 3, shared: true });
  const run = 'echo "$(hostname) $SKYPILOT_NODE_RANK" > ~/me\nsleep 1\necho "mine $(cat ~/me)"';
  const two = await field.task("two", { infra: field.wide, more: ["num_nodes: 2"], run });
  const one = await field.task("one", { infra: field.infra(2), run });
  const [wide, small] = await Promise.all([
    field.sky.ok(["launch", "-c", "two", "-y", two]),
    field.sky.ok(["launch", "-c", "one", "-y", one]),
  ]);
  const hosts = [...wide.matchAll(/\) mine (n\d) (\d)$/gm)].map(([, host, rank]) => `${host} ${rank}`).sort();
  assertEquals(hosts.length, 2, wide);
  assertEquals(new Set(hosts.map((line) => line.split(" ")[1])).size, 2, wide);
  assertEquals(new Set(hosts.map((line) => line.split(" ")[0])).size, 2, wide);
  assertStringIncludes(small, ") mine n3 0\n");
  await field.sky.ok(["down", "one", "-y"]);
  assertStringIncludes(await field.sky.ok(["exec", "two", "cat ~/me"]), ` 0\n`);
  await tell("ssh", "one home shared by all hosts", "all works, nodes kept apart");
  await field.clear();
});

Deno.test("ssh: a host whose key has changed is refused, and nothing is forgotten", async () => {
  await using field = await Field.open("ssh", { nodes: 1 });
  const { fleet, sky } = field;
  const file = await field.task("key", { infra: field.infra(0), run: "echo hi" });
  await sky.ok(["launch", "-c", "key", "-y", file]);
  await sky.ok(["api", "stop"]);
  await fleet.tool("newhostkey", "1");
  const refused = await sky.run(["exec", "key", "echo no"]);
  assertEquals(refused.code, 1, refused.stdout);
  assertMatch(refused.stderr, /host key|identification/i);
  assertStringIncludes(refused.stderr, "Cannot connect to n1");
  await tell("ssh", "host key changed", refused.stderr.trim().split("\n")[0]!);
  assertEquals(await field.status("key", { refresh: true }), "UP");
  const path = /\((\S*known_hosts)\b/.exec(refused.stderr)?.[1];
  assert(path !== undefined, refused.stderr);
  await Deno.remove(path);
  assertStringIncludes(await sky.ok(["exec", "key", "echo trusted"]), ") trusted\n");
  await field.clear();
});
