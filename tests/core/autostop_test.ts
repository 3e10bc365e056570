import { assertEquals } from "@std/assert";
import { autostopYaml, parseAutostop, parseWaitFor } from "../../core/autostop.ts";
import { assertRefuses } from "./refusal.ts";

Deno.test("parseAutostop reads every form of domain.md 1.3.7", () => {
  const base = { enabled: true, idleMinutes: 0, down: false, waitFor: null };
  assertEquals(parseAutostop(false), { ...base, enabled: false });
  assertEquals(parseAutostop(true), base);
  assertEquals(parseAutostop(10), { ...base, idleMinutes: 10 });
  assertEquals(parseAutostop(-1), { ...base, enabled: false });
  assertEquals(parseAutostop("10h"), { ...base, idleMinutes: 600 });
  assertEquals(parseAutostop("2d"), { ...base, idleMinutes: 2880 });
  assertEquals(parseAutostop({}), base);
  assertEquals(parseAutostop({ idle_minutes: 5, down: true, wait_for: "None" }), {
    enabled: true,
    idleMinutes: 5,
    down: true,
    waitFor: "none",
  });
  assertRefuses(() => parseAutostop("soon"), "invalid_argument", "Invalid time format: soon");
  assertRefuses(() => parseWaitFor("ssh"), "invalid_argument", /^Unsupported autostop wait mode: 'ssh'\./);
});

Deno.test("autostopYaml reads back to the same wish", () => {
  for (const wish of [false, true, 10, "1w", { idle_minutes: 3, down: true, wait_for: "jobs" }]) {
    const parsed = parseAutostop(wish);
    assertEquals(parseAutostop(autostopYaml(parsed)), parsed);
  }
});
