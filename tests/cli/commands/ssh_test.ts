import { assertEquals, assertStringIncludes } from "@std/assert";
import { inputOf, keysOf, sky } from "./fake_sky.ts";

const answers = { poolsUp: () => null, poolsDown: () => null };

Deno.test("ssh up and down submit and show what the server says", async () => {
  const log = "Found 1 Node Pool: lab\n✓ 🎉 SSH Node Pools set up successfully.\n";
  const up = await sky(["ssh", "up"], { answers, logs: { poolsUp: () => log } });
  assertEquals([up.code, up.text, keysOf(up)], [0, log, ["poolsUp"]]);
  assertEquals(inputOf(up, "poolsUp"), { infra: null });
  const down = await sky(["ssh", "down", "--infra", "ssh/lab"], { answers, logs: { poolsDown: () => "" } });
  assertEquals([down.code, inputOf(down, "poolsDown")], [0, { infra: "lab" }]);
  const later = await sky(["ssh", "up", "--infra", "lab", "--async"], { answers });
  assertStringIncludes(later.text, "Request submitted with ID: ");
});

Deno.test("ssh up of a file that is not there says so", async () => {
  const ran = await sky(["ssh", "up", "-f", "/nowhere/pools.yaml"], { answers });
  assertEquals([ran.code, keysOf(ran)], [1, []]);
  assertStringIncludes(ran.err + ran.text, "No such file: /nowhere/pools.yaml");
});
