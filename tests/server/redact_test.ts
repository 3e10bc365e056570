/** What is shown of a body. */
import { assert, assertEquals } from "@std/assert";
import { redactBody } from "../../server/redact.ts";

const shown = async (task: string) =>
  (await redactBody({ task, cluster_name: "c" }) as { task: string }).task;

Deno.test("redactBody hides secrets in task and dag, keeps everything else", async () => {
  assertEquals(await redactBody({ task: "run: x\nsecrets:\n  A: hunter2\n", cluster_name: "c" }), {
    task: "run: x\nsecrets:\n  A: <redacted>\n",
    cluster_name: "c",
  });
  assert(!JSON.stringify(await redactBody({ dag: "secrets: {A: hunter2}" })).includes("hunter2"));
  assertEquals(await redactBody(null), null);
  assertEquals(await redactBody([1]), [1]);
  assertEquals(await shown("run: |\n  echo 'no secret here'\n"), "run: |\n  echo 'no secret here'\n");
});

Deno.test("redactBody is not fooled by keys spelled with escapes, nor by text that is no YAML", async () => {
  assert(!(await shown('"s\\x65crets":\n  A: hunter2\n')).includes("hunter2"));
  assert(!(await shown('"\\u0073ecrets": {"A": "hunter2"}')).includes("hunter2"));
  assert(!(await shown("secrets: [hunter2\n")).includes("hunter2"));
  assert(!(await shown("envs:\n  SKYPILOT_DOCKER_PASSWORD: hunter2\n")).includes("hunter2"));
  assert(!(await shown("x: 1\n---\nsecrets:\n  A: hunter2\n")).includes("hunter2"));
});

Deno.test("redactBody takes no time for large texts: plain ones stay, doubtful ones are hidden whole", async () => {
  const large = `run: |\n${"  echo line\n".repeat(500_000)}`;
  const before = performance.now();
  assertEquals(await shown(large), large);
  assertEquals(await shown(`secrets:\n  A: hunter2\n${large}`), "<redacted>");
  assert(performance.now() - before < 1000);
});
