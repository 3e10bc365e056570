import { assertEquals, assertGreater } from "@std/assert";
import { chaos } from "./chaos.ts";

Deno.test("twenty cycles of kill -9 under mixed load break no promise", async () => {
  const result = await chaos({ seed: 20261124, cycles: 20 });
  assertEquals(result.violations, []);
  assertGreater(result.acknowledged, 20);
  assertGreater(result.jobsProven, 0);
  assertGreater(result.logBytes, 0);
});
