/** Bad input: one clear line, the right exit code, nothing lost, no stack trace. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { TestSky } from "../support/sky.ts";

/** argv, exit code, a piece of stderr. Files named here are made by the test. */
const ROWS: readonly (readonly [string[], number, string])[] = [
  [["launch", "--badopt"], 2, "Error: No such option: --badopt"],
  [["lunch"], 2, "No such command 'lunch'."],
  [["launch", "--num-nodes", "abc"], 2, "Invalid value for '--num-nodes': 'abc' is not a valid integer."],
  [["launch", "--workdir", "/nope"], 2, "Invalid value for '--workdir': Directory '/nope' does not exist."],
  [["exec"], 2, "Missing argument '[CLUSTER]' and '[ENTRYPOINT]...'"],
  [["exec", "nope", "echo hi"], 1, "sky.exceptions.ClusterDoesNotExist: Cluster 'nope' does not exist."],
  [["launch", "-c", "a_b@c", "-y", "echo x"], 1, "sky.exceptions.InvalidClusterNameError"],
  [["launch", "--cpus", "abc", "-y", "echo x"], 1, `ValueError: The "cpus" field should be either a number`],
  [
    ["launch", "--env", "NOT_SET_ANYWHERE", "-y", "echo x"],
    2,
    "NOT_SET_ANYWHERE is not set in local environment.",
  ],
  [["launch", "--infra", "nocloud", "-y", "echo x"], 1, "ValueError: Cloud 'nocloud' is not a valid cloud"],
  [
    ["launch", "-y", "unknown_key.yaml"],
    1,
    "Invalid task YAML: Instead of 'resource', did you mean 'resources'?",
  ],
  [["launch", "-y", "wrong_type.yaml"], 1, "Invalid task YAML"],
  [["launch", "-y", "duplicate.yaml"], 1, "Aborted!"],
  [["launch", "-y", "no_workdir.yaml"], 1, "Workdir must be a valid directory"],
  [["api", "logs", "zzzz"], 1, "sky.exceptions.ClientError: Failed to stream logs: Request 'zzzz' not found"],
  [["api", "logs"], 2, "Invalid value: Please provide the request ID or log path."],
  [["down"], 2, "`sky down` requires either a cluster name or glob"],
];

const FILES: Readonly<Record<string, string>> = {
  "unknown_key.yaml": "resource:\n  cpus: 2\nrun: echo x\n",
  "wrong_type.yaml": "num_nodes: [1]\nrun: echo x\n",
  "duplicate.yaml": "run: echo x\nrun: echo y\n",
  "no_workdir.yaml": "workdir: ./nonexistent\nrun: echo x\n",
};

Deno.test("every kind of bad input gets one clear line and its exit code", async (t) => {
  await using sky = await TestSky.make();
  for (const [name, text] of Object.entries(FILES)) await Deno.writeTextFile(join(sky.work, name), text);
  for (const [args, code, text] of ROWS) {
    await t.step(`sky ${args.join(" ")}`, async () => {
      const ran = await sky.run(args);
      assertEquals(ran.code, code, ran.stdout + ran.stderr);
      assertStringIncludes(ran.stderr, text);
      assert(!/^\s+at .*:\d+:\d+/m.test(ran.stderr), `no stack trace: ${ran.stderr}`);
    });
  }
});

Deno.test("a broken YAML path asks before it is run as a command", async () => {
  await using sky = await TestSky.make();
  await Deno.writeTextFile(join(sky.work, "tabs.yaml"), "run:\n\t- x\n");
  await Deno.writeTextFile(join(sky.work, "twice.yaml"), "run: x\nrun: y\n");
  for (
    const [path, reason] of [["nope.yaml", "does not exist"], ["tabs.yaml", "invalid configuration"], [
      "twice.yaml",
      "invalid configuration",
    ]] as const
  ) {
    const ran = await sky.run(["launch", "-y", path], { stdin: "n\n" });
    assertEquals(ran.code, 1);
    assertStringIncludes(ran.stdout, reason);
    assertStringIncludes(ran.stderr, "Aborted!");
  }
});

Deno.test("odd commands reach the job unharmed: quotes, newlines, dollars, unicode, 200 KB", async () => {
  await using sky = await TestSky.make();
  await sky.ok(["launch", "-c", "odd", "-y", "-d", "true"]);
  const odd = `printf '%s\\n' "it's" 'a "b" $HOME' 'ünï→'\nprintf 'two\\n'`;
  const out = await sky.ok(["exec", "odd", odd]);
  for (const line of ["it's", 'a "b" $HOME', "ünï→", "two"]) assertStringIncludes(out, `) ${line}\n`);
  const long = `echo ${"x".repeat(100_000)} | wc -c`;
  assertStringIncludes(await sky.ok(["exec", "odd", long]), ") 100001\n");
  await Deno.writeTextFile(join(sky.work, "long.yaml"), `run: |\n  echo ${"y".repeat(200_000)} | wc -c\n`);
  assertStringIncludes(await sky.ok(["exec", "odd", "long.yaml"]), ") 200001\n");
});

Deno.test("odd output survives: no newline, invalid UTF-8, long lines, payload text", async () => {
  await using sky = await TestSky.make();
  const script = String.raw`printf 'bad \377\376 bytes\n'; head -c 3000000 /dev/zero | tr '\0' z; echo;
echo '<sky-payload>"<heartbeat></heartbeat>"</sky-payload>'; printf 'no newline'`;
  const out = await sky.ok(["launch", "-c", "out", "-y", script]);
  assertStringIncludes(out, "no newline");
  assert((out.match(/z/g) ?? []).length >= 3_000_000);
  assertStringIncludes(out, "heartbeat");
  assertStringIncludes(out, "✓ Job finished (status: SUCCEEDED).");
});
