/** The README's TypeScript example is taken out of it and run as it stands, but for where the sdk lies. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { dirname, fromFileUrl, join, resolve, toFileUrl } from "@std/path";
import { finish, TestSky } from "../support/sky.ts";

const root = resolve(dirname(fromFileUrl(import.meta.url)), "..", "..");
const EXAMPLE = /<!-- example: run as a test by tests\/e2e\/sdk_example_test\.ts -->\s+```ts\n([\s\S]*?)```/;

Deno.test("the README's example type-checks, launches, follows the job and gets its exit code", async () => {
  await using sky = await TestSky.make({
    DENO_DIR: Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`,
  });
  const readme = await Deno.readTextFile(join(root, "README.md"));
  const example = EXAMPLE.exec(readme)?.[1];
  assert(example !== undefined, "README.md has the marked example");
  assert(example.trimEnd().split("\n").length <= 15, "it is short");
  const sdk = toFileUrl(join(root, "sdk", "mod.ts")).href;
  const program = join(sky.work, "example.ts");
  const tell =
    "\nawait Deno.stdout.write(new TextEncoder().encode(`job ${job_id}, exit code ${exitCode}\\n`));\n";
  await Deno.writeTextFile(program, example.replace(`"./sdk/mod.ts"`, JSON.stringify(sdk)) + tell);

  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", "--check", "--no-prompt", "--config", join(root, "deno.json"), program],
    clearEnv: true,
    env: sky.env,
    cwd: sky.work,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const { code, stdout, stderr } = await finish(child, ["example.ts"], 60_000);
  assertEquals(code, 0, stdout + stderr);
  assertMatch(stdout, /\(sky-cmd, pid=\d+\) hello from the SDK\n|\(task, pid=\d+\) hello from the SDK\n/);
  assertMatch(stdout, /\njob 1, exit code 0\n$/);
  assert(!stdout.includes("\x1b"), "no colours into a pipe");
  assertEquals(stderr, "");
  const clusters: { name: string }[] = JSON.parse(await sky.ok(["status", "-o", "json"]));
  assertEquals(clusters.map(({ name }) => name), ["my-cluster"]);
});
