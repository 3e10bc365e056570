/** What the server reads before it gives up. */
import { assertEquals } from "@std/assert";
import { HURRIED, parseDag } from "../../core/task_yaml.ts";
import { assertRefuses } from "./refusal.ts";

const variables = (count: number) =>
  `envs:\n${Array.from({ length: count }, (_, i) => `  KEY_${i}: value ${i}\n`).join("")}run: 'true'\n`;

Deno.test("parseDag within the server's limits takes 5,000 variables and tells the limit of what is beyond", () => {
  const limits = HURRIED;
  assertEquals(Object.keys(parseDag(variables(5_000), { limits }).tasks[0]?.envs ?? {}).length, 5_000);
  assertEquals(Object.keys(parseDag(variables(50_000)).tasks[0]?.envs ?? {}).length, 50_000);
  const refused = (text: string, words: RegExp) =>
    assertRefuses(() => parseDag(text, { limits }), "invalid_task", words);
  const beyond = /^Invalid YAML: more than 50000 tokens in "<unicode string>", line \d+, column \d+$/;
  refused(variables(50_000), beyond);
  refused(`x: [${"1,".repeat(30_000)}1]`, beyond);
  refused(`run: "${"x".repeat(3 * 1024 * 1024)}"`, /^Invalid YAML: the text is larger than 2 MB in /);
});
