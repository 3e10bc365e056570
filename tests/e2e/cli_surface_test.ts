/** What every command has in common: help, completion, colours, pipes, JSON, and what is unknown. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { commands, type Entry, type EntryGroup, isEntryGroup } from "../../cli/commands/mod.ts";
import { finish, TestSky } from "../support/sky.ts";

function* paths(
  entries: readonly (Entry | EntryGroup)[],
  above: readonly string[] = [],
): Generator<string[]> {
  for (const entry of entries) {
    yield [...above, entry.name];
    if (isEntryGroup(entry)) yield* paths(entry.entries, [...above, entry.name]);
  }
}

/** A few at a time: the test's time is theirs. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  await Promise.all(Array.from({ length: 4 }, async () => {
    for (const item of rest) await work(item);
  }));
}

Deno.test("--help and -h of every command and group exit 0, with examples, and start nothing", async () => {
  await using sky = await TestSky.make();
  const all = [[], ...paths(commands)];
  assert(all.length > 25);
  await each(all, async (path) => {
    for (const flag of path.length === 1 ? ["--help", "-h"] : ["--help"]) {
      const ran = await sky.run([...path, flag]);
      assertEquals([path, ran.code, ran.stderr], [path, 0, ""]);
      assertStringIncludes(ran.stdout, `Usage: sky ${[...path, "["].join(" ")}`);
      assertMatch(ran.stdout, /\nExamples:\n {2}sky \S/, `sky ${path.join(" ")}`);
      assert(ran.stdout.split("\n").every((line) => line.length <= 80), `sky ${path.join(" ")} is too wide`);
    }
  });
  assertEquals(await sky.registration(), undefined);
});

Deno.test("--version answers without a server, as text and as JSON", async () => {
  await using sky = await TestSky.make();
  assertMatch(await sky.ok(["--version"]), /^\S.*\d+\.\d+\.\d+.*\n$/);
  const version = JSON.parse(await sky.ok(["--version", "-o", "json"]));
  assertEquals(
    Object.keys(version).filter((key) => ["version", "commit", "deno", "sqlite"].includes(key)).length,
    4,
  );
  assertEquals(await sky.registration(), undefined);
});

/** One call of click's protocol, for `sky <words> <TAB>`; the last word is the incomplete one. */
function tab(shell: string, line: string): Record<string, string> {
  const words = line.split(" ");
  return {
    _SKY_COMPLETE: `${shell}_complete`,
    COMP_WORDS: line,
    COMP_CWORD: shell === "fish" ? words.at(-1)! : String(words.length - 1),
  };
}

Deno.test("completion offers nothing without a server, at once, and starts none", async () => {
  await using sky = await TestSky.make();
  await each(["bash", "zsh", "fish"], async (shell) => {
    const ran = await sky.run([], { env: tab(shell, "sky down ") });
    assertEquals(ran, { code: 0, stdout: "", stderr: "" });
    // What needs no server is offered all the same.
    assertStringIncludes((await sky.run([], { env: tab(shell, "sky api st") })).stdout, "status");
    assertStringIncludes((await sky.run([], { env: tab(shell, "sky launch --num") })).stdout, "--num-nodes");
  });
  assertEquals(await sky.registration(), undefined);
  // A registration whose server died offers nothing, too.
  await sky.ok(["status"]);
  await sky.killServer();
  assertEquals(await sky.run([], { env: tab("bash", "sky down ") }), { code: 0, stdout: "", stderr: "" });
});

Deno.test("completion offers clusters and requests of a live server, in every shell's form", async () => {
  await using sky = await TestSky.make();
  await sky.ok(["launch", "-c", "train", "-y", "-d", "true"]);
  await sky.ok(["launch", "-c", "serve", "-y", "--async", "--cpus", "0.5", "true"]);
  for (const verb of ["down", "logs", "exec", "stop", "status", "queue"]) {
    assertEquals((await sky.run([], { env: tab("bash", `sky ${verb} tr`) })).stdout, "plain,train\n", verb);
  }
  assertEquals((await sky.run([], { env: tab("zsh", "sky down tr") })).stdout, "plain\ntrain\n_\n");
  assertEquals((await sky.run([], { env: tab("fish", "sky down tr") })).stdout, "plain,train\n");
  const both = (await sky.run([], { env: tab("bash", "sky down ") })).stdout;
  assertEquals(both.trim().split("\n").sort(), ["plain,serve", "plain,train"]);
  const requests = (await sky.run([], { env: tab("bash", "sky api logs ") })).stdout;
  assertMatch(requests, /^(plain,[0-9a-f-]+\n)+$/);
});

Deno.test("the completion scripts are installed once, taken out again, and bash's works", async () => {
  await using sky = await TestSky.make({ SHELL: "/bin/bash" });
  await Deno.writeTextFile(join(sky.home, ".bashrc"), "# mine\n");
  await sky.ok(["--install-shell-completion", "auto"]);
  await sky.ok(["--install-shell-completion", "bash"]);
  const rc = await Deno.readTextFile(join(sky.home, ".bashrc"));
  assertEquals(rc.split("sky-complete").length, 2);
  await sky.ok(["launch", "-c", "tabbed", "-y", "-d", "true"]);
  // The shell itself fills COMPREPLY; `sky` is a function, as an alias would be.
  const words = sky.program.map((word) => `'${word}'`).join(" ");
  const script = `sky() { ${words} "$@"; }; export -f sky; . ~/.sky/.sky-complete.bash
mkdir -p ~/bin; printf '#!/bin/sh\\nexec %s "$@"\\n' "${words}" >~/bin/sky; chmod +x ~/bin/sky; PATH=~/bin:$PATH
COMP_WORDS=(sky down t); COMP_CWORD=2; _sky_completion sky; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const child = new Deno.Command("bash", {
    args: ["--norc", "-c", script],
    clearEnv: true,
    env: sky.env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const ran = await finish(child, ["TAB"], 20_000);
  assertEquals(ran.stdout, "tabbed\n", ran.stderr);
  for (const shell of ["zsh", "fish"]) await sky.ok(["--install-shell-completion", shell]);
  for (const shell of ["bash", "zsh", "fish"]) await sky.ok(["--uninstall-shell-completion", shell]);
  assertEquals(await Deno.readTextFile(join(sky.home, ".bashrc")), "# mine\n");
});

Deno.test("`| head -1` ends quietly: exit 0 of the whole pipe, nothing on stderr", async () => {
  await using sky = await TestSky.make();
  await sky.ok(["launch", "-c", "long", "-y", "-d", "seq 1 200000"]);
  const words = sky.program.map((word) => `'${word}'`).join(" ");
  for (
    const args of ["logs long 1 --tail 0", "status", "--help", "api status -a", "launch --help", "queue long"]
  ) {
    const child = new Deno.Command("bash", {
      args: ["-o", "pipefail", "-c", `${words} ${args} | head -1`],
      clearEnv: true,
      env: sky.env,
      cwd: sky.work,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const { code, stdout, stderr } = await finish(child, [args], 20_000);
    assertEquals([args, code, stderr], [args, 0, ""]);
    assertEquals(stdout.split("\n").length, 2, args);
  }
});

Deno.test("colours: none into a pipe, some with FORCE_COLOR, none on a terminal with NO_COLOR", async () => {
  await using sky = await TestSky.make();
  await sky.ok(["launch", "-c", "hue", "-y", "-d", "true"]);
  for (
    const args of [["status"], ["queue", "hue"], ["logs", "hue", "1"], ["api", "status", "-a"], ["check"]]
  ) {
    const plain = await sky.run(args);
    for (const control of ["\x1b", "\r"]) {
      assert(!(plain.stdout + plain.stderr).includes(control), args.join(" "));
    }
  }
  assertStringIncludes(await sky.ok(["status"], { env: { FORCE_COLOR: "1" } }), "\x1b[");
  for (
    const [env, coloured] of [[{}, true], [{ NO_COLOR: "1" }, false], [{ TERM: "dumb" }, false]] as const
  ) {
    const terminal = sky.terminal(["status"], { env });
    assertEquals(await terminal.end(), 0);
    assertEquals(terminal.screen.includes("\x1b[1m"), coloured, JSON.stringify(env));
  }
});

Deno.test("-o json of every command that has it is JSON and nothing else", async () => {
  await using sky = await TestSky.make();
  await sky.ok(["launch", "-c", "js", "-y", "-d", "true"]);
  const cases = [
    ["status"],
    ["status", "-r"],
    ["status", "js"],
    ["queue"],
    ["queue", "js"],
    ["cost-report"],
    ["check"],
    ["gpus", "list"],
    ["jobs", "queue"],
    ["api", "status"],
    ["api", "status", "-a", "-l", "1"],
    ["api", "info"],
  ];
  await each(cases, async (args) => {
    const { code, stdout, stderr } = await sky.run([...args, "-o", "json"]);
    assertEquals([args, code, stderr], [args, 0, ""]);
    JSON.parse(stdout);
  });
  // With nobody there, too.
  await sky.ok(["down", "js", "-y"]);
  await sky.ok(["api", "stop"]);
  assertEquals(JSON.parse(await sky.ok(["api", "info", "-o", "json"])).server.status !== "HEALTHY", true);
  assertEquals(JSON.parse(await sky.ok(["status", "-o", "json"])), []);
});

Deno.test("what is unknown gets exit 2, its usage line and a suggestion", async () => {
  await using sky = await TestSky.make();
  const cases: [string[], string][] = [
    [["lunch"], "No such command 'lunch'. Did you mean 'launch'?"],
    [["api", "statsu"], "No such command 'statsu'. Did you mean 'status'?"],
    [["--nope"], "No such option: --nope"],
    [["status", "--nope"], "No such option: --nope"],
    [["launch", "--cpu", "2"], "--cpus"],
    [["status", "-o", "xml"], "'xml' is not"],
    [["api", "start", "--port", "x"], "'x' is not a valid integer"],
    [["stop", "--grace"], "--graceful"],
  ];
  await each(cases, async ([args, text]) => {
    const { code, stdout, stderr } = await sky.run(args);
    assertEquals([args, code, stdout], [args, 2, ""], stderr);
    assertStringIncludes(stderr, text);
    assertStringIncludes(stderr, "Usage: sky");
    assertMatch(stderr, /\nError: .*\n$/);
  });
  assertEquals(await sky.registration(), undefined);
});
