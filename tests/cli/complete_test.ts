import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Command } from "../../cli/command.ts";
import type { Entry, EntryGroup } from "../../cli/commands/mod.ts";
import { splitWords } from "../../cli/complete.ts";
import { run, type World } from "../../cli/run.ts";
import type { Sky } from "../../sdk/client.ts";
import { testTerminal } from "../support/test_terminal.ts";

const LAUNCH: Command = {
  name: "launch",
  summary: "Launch.",
  help: "",
  examples: [],
  args: [{ name: "CLUSTER", required: false, many: false, complete: "cluster" }, {
    name: "ENTRYPOINT",
    required: false,
    many: true,
    complete: "file",
  }],
  options: [
    { name: "cluster", short: "c", kind: "text", complete: "cluster", help: "Name." },
    { name: "workdir", kind: "text", complete: "directory", help: "Dir." },
    { name: "wait-for", kind: "choice", choices: ["jobs_and_ssh", "jobs"], help: "What." },
    { name: "use-spot", kind: "pair", help: "Spot." },
    { name: "env", kind: "text", repeat: true, help: "Env." },
    { name: "yes", short: "y", kind: "flag", help: "Yes." },
    { name: "secret-thing", kind: "flag", hidden: true, help: "" },
  ],
  run: () => Promise.resolve(0),
};
const load = () => Promise.resolve(LAUNCH);
const COMMANDS: (Entry | EntryGroup)[] = [
  { name: "launch", summary: "Launch.", load },
  { name: "logs", summary: "Logs: of jobs.", load },
  { name: "ui", summary: "", hidden: true, load },
  { name: "api", summary: "Api.", entries: [{ name: "status", summary: "Status.", load }] },
];

async function tab(
  words: string[],
  options: { shell?: string; connect?: World["connectForCompletion"] } = {},
) {
  const { shell = "bash" } = options;
  const env: Record<string, string> = {
    _SKY_COMPLETE: `${shell}_complete`,
    COMP_WORDS: ["sky", ...words].join(" "),
  };
  env.COMP_CWORD = shell === "fish" ? words.at(-1) ?? "" : String(words.length);
  const test = testTerminal();
  const names = (kind: string, incomplete: string) =>
    Promise.resolve([`${kind}1`, `${incomplete}x`, "other"]);
  const fake = { complete: names, [Symbol.dispose]() {} } as unknown as Sky;
  const code = await run([], {
    out: test.terminal,
    env: (name) => env[name],
    cwd: "/",
    signal: new AbortController().signal,
    now: () => 0,
    connect: () => Promise.reject(new Error("may start a server")),
    connectForCompletion: options.connect ?? (() => Promise.resolve(fake)),
    commands: COMMANDS,
  });
  assertEquals([code, test.err()], [0, ""]);
  return test.out().split("\n").slice(0, -1);
}

Deno.test("completion offers commands, groups and options, hidden ones never", async () => {
  assertEquals(await tab(["l"]), ["plain,launch", "plain,logs"]);
  assertEquals(await tab([""]), ["plain,launch", "plain,logs", "plain,api"]);
  assertEquals(await tab(["api", ""]), ["plain,status"]);
  assertEquals(await tab(["--ver"]), ["plain,--version"]);
  assertEquals(await tab(["nope", ""]), []);
  assertEquals(await tab(["launch", "--s"]), []);
  assertEquals(await tab(["launch", "--use-spot", "--"]), [
    "plain,--cluster",
    "plain,--workdir",
    "plain,--wait-for",
    "plain,--env",
    "plain,--yes",
    "plain,--help",
  ]);
  assertEquals(await tab(["launch", "--env", "A=1", "--e"]), ["plain,--env"]);
  assertEquals(await tab(["launch", "--no"]), ["plain,--no-use-spot"]);
});

Deno.test("completion offers values: choices, names from the server, files", async () => {
  assertEquals(await tab(["launch", "--wait-for", "jobs"]), ["plain,jobs_and_ssh", "plain,jobs"]);
  assertEquals(await tab(["launch", "--wait-for=jobs_"]), ["plain,--wait-for=jobs_and_ssh"]);
  assertEquals(await tab(["launch", "-c", "cl"]), ["plain,cluster_name1", "plain,clx"]);
  assertEquals(await tab(["launch", "-yc", "cl"]), ["plain,cluster_name1", "plain,clx"]);
  assertEquals(await tab(["launch", "cl"]), ["plain,cluster_name1", "plain,clx"]);
  assertEquals(await tab(["launch", "c1", "ta"]), ["file,ta"]);
  assertEquals(await tab(["launch", "c1", "--", "-x"]), ["file,-x"]);
  assertEquals(await tab(["launch", "--workdir", "d"]), ["dir,d"]);
  assertEquals(await tab(["launch", "--env", "A"]), []);
});

Deno.test("completion offers nothing when the server is away or fails", async () => {
  assertEquals(await tab(["launch", "-c", ""], { connect: () => Promise.resolve(undefined) }), []);
  assertEquals(await tab(["launch", "-c", ""], { connect: () => Promise.reject(new Error("x")) }), []);
});

Deno.test("completion speaks zsh and fish", async () => {
  assertEquals(await tab(["lo"], { shell: "zsh" }), ["plain", "logs", "Logs: of jobs."]);
  assertEquals(await tab(["launch", "--wait-for", "jobs_"], { shell: "zsh" }), [
    "plain",
    "jobs_and_ssh",
    "_",
  ]);
  assertEquals(await tab(["lo"], { shell: "fish" }), ["plain,logs\tLogs: of jobs."]);
});

Deno.test("splitWords reads unfinished shell words", () => {
  assertEquals(splitWords(`sky launch 'a b' "c d"e f\\ g 'open q`), [
    "sky",
    "launch",
    "a b",
    "c de",
    "f g",
    "open q",
  ]);
});

Deno.test("completion scripts install once and uninstall without a trace", async () => {
  const home = await Deno.makeTempDir();
  const rc = `${home}/.bashrc`;
  await Deno.writeTextFile(rc, "alias x=y\n");
  const act = async (argv: string[], shell = "/bin/bash") => {
    const test = testTerminal();
    const env: Record<string, string> = { HOME: home, SHELL: shell };
    const code = await run(argv, {
      out: test.terminal,
      env: (name) => env[name],
      cwd: "/",
      signal: new AbortController().signal,
      now: () => 0,
      commands: COMMANDS,
    });
    return { code, out: test.out(), err: test.err() };
  };
  const installed = {
    code: 0,
    out: "Shell completion installed for bash\n" +
      "Completion will take effect once you restart the terminal: source ~/.bashrc\n",
    err: "",
  };
  assertEquals(await act(["--install-shell-completion", "auto"]), installed);
  const once = await Deno.readTextFile(rc);
  assertEquals(once, "alias x=y\n\n# For SkyPilot shell completion\n. ~/.sky/.sky-complete.bash\n");
  assertStringIncludes(
    await Deno.readTextFile(`${home}/.sky/.sky-complete.bash`),
    "_SKY_COMPLETE=bash_complete",
  );
  await act(["--install-shell-completion", "bash"]);
  assertEquals(await Deno.readTextFile(rc), once);
  assertEquals((await act(["--uninstall-shell-completion", "bash"])).code, 0);
  assertEquals(await Deno.readTextFile(rc), "alias x=y\n");
  await act(["--install-shell-completion=fish"]);
  assert((await Deno.stat(`${home}/.config/fish/completions/sky.fish`)).isFile);
  const unknown = await act(["--install-shell-completion", "auto"], "/bin/tcsh");
  assertEquals(unknown.code, 2);
  assertStringIncludes(unknown.err, "Error: Cannot auto-detect shell. Please specify shell explicitly.");
  await Deno.remove(home, { recursive: true });
});

Deno.test({
  name: "the bash script completes in a real bash",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const folder = await Deno.makeTempDir();
    await Deno.writeTextFile(`${folder}/sky`, "#!/bin/sh\necho plain,launch; echo plain,logs\n", {
      mode: 0o755,
    });
    const test = testTerminal();
    await run([], {
      out: test.terminal,
      env: (name) => name === "_SKY_COMPLETE" ? "bash_source" : undefined,
      cwd: "/",
      signal: new AbortController().signal,
      now: () => 0,
    });
    const script =
      `${test.out()}\nCOMP_WORDS=(sky l) COMP_CWORD=1\n_sky_completion sky\necho "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = await new Deno.Command("bash", {
      args: ["--norc", "-c", script],
      env: { PATH: `${folder}:${Deno.env.get("PATH")}` },
    }).output();
    assertEquals(new TextDecoder().decode(stderr), "");
    assertEquals(new TextDecoder().decode(stdout), "launch logs\n");
    await Deno.remove(folder, { recursive: true });
  },
});
