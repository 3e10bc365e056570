import { assertEquals, assertThrows } from "@std/assert";
import type { Argument, Input, Option } from "../../cli/command.ts";
import { optionSpelling } from "../../cli/help.ts";
import { parse, shellQuote } from "../../cli/parse.ts";
import { SkyError } from "../../core/errors.ts";

const OPTIONS: readonly Option[] = [
  { name: "cluster", short: "c", kind: "text", help: "" },
  { name: "num-nodes", kind: "int", help: "" },
  { name: "idle-minutes", short: "i", kind: "int", help: "" },
  { name: "yes", short: "y", kind: "flag", help: "" },
  { name: "down", short: "D", kind: "flag", help: "" },
  { name: "detach-run", short: "d", kind: "pair", negative: "-no-d", help: "" },
  { name: "use-spot", kind: "pair", help: "" },
  { name: "env", kind: "text", repeat: true, help: "" },
  { name: "secret", kind: "text", repeat: true, help: "" },
  { name: "token", short: "t", kind: "text", aliases: ["service-account-token"], help: "" },
  { name: "disk-tier", kind: "choice", choices: ["low", "high"], caseInsensitive: true, help: "" },
  { name: "wait-for", kind: "choice", choices: ["jobs", "none"], help: "" },
  { name: "hook", kind: "optional", metavar: "EVENT", help: "" },
  { name: "ports", kind: "text", repeat: true, help: "" },
  { name: "infra", kind: "text", help: "" },
];
const ENTRYPOINT: Argument = { name: "ENTRYPOINT", required: false, many: true };

function input(words: string[], args: readonly Argument[] = [ENTRYPOINT]): Input {
  const parsed = parse({ args, options: OPTIONS }, words, { path: "sky test" });
  if (parsed.kind === "help") throw new Error("help");
  return parsed.input;
}

function fault(words: string[], args: readonly Argument[] = [ENTRYPOINT]): string {
  const error = assertThrows(() => input(words, args), SkyError);
  assertEquals(error.code, "usage");
  return error.message;
}

Deno.test("parse takes options and arguments in any order until --", () => {
  const mixed = input(["a", "-c", "x", "b", "--yes", "c"]);
  assertEquals([mixed.args, mixed.text("cluster"), mixed.flag("yes")], [["a", "b", "c"], "x", true]);
  const cut = input(["-y", "--", "python", "--epochs", "3", "-c"]);
  assertEquals([cut.args, cut.flag("yes"), cut.text("cluster")], [
    ["python", "--epochs", "3", "-c"],
    true,
    undefined,
  ]);
  assertEquals(input(["-"]).args, ["-"]);
});

Deno.test("parse reads every spelling of a value", () => {
  for (const words of [["--cluster", "x"], ["--cluster=x"], ["-c", "x"], ["-cx"]]) {
    assertEquals(input(words).text("cluster"), "x", words.join(" "));
  }
  assertEquals(input(["--cluster=a=b"]).text("cluster"), "a=b");
  assertEquals(input(["--cluster="]).text("cluster"), "");
  // As click: a value may begin with a dash, and -n=x is -n with the value =x.
  assertEquals(input(["--cluster", "-y"]).text("cluster"), "-y");
  assertEquals(input(["-c=x"]).text("cluster"), "=x");
  assertEquals(input(["-i", "-1"]).int("idle-minutes"), -1);
  assertEquals(input(["-i10"]).int("idle-minutes"), 10);
  assertEquals(input(["-t", "a", "--service-account-token", "b"]).text("token"), "b");
});

Deno.test("parse takes clusters of single-letter flags", () => {
  const all = input(["-yDdc", "x"]);
  assertEquals([all.flag("yes"), all.flag("down"), all.pair("detach-run"), all.text("cluster")], [
    true,
    true,
    true,
    "x",
  ]);
  assertEquals(input(["-ycx"]).text("cluster"), "x");
  assertEquals(fault(["-yz"]), "No such option: -z");
  assertEquals(fault(["-5"]), "No such option: -5");
});

Deno.test("parse keeps pairs in three states, the last given wins", () => {
  assertEquals(input([]).pair("use-spot"), undefined);
  assertEquals(input(["--use-spot"]).pair("use-spot"), true);
  assertEquals(input(["--use-spot", "--no-use-spot"]).pair("use-spot"), false);
  assertEquals(input(["-d"]).pair("detach-run"), true);
  assertEquals(input(["--detach-run", "-no-d"]).pair("detach-run"), false);
  assertEquals(fault(["--no-detach-run"]).startsWith("No such option: --no-detach-run"), true);
});

Deno.test("parse collects repeated options and lets the last single one win", () => {
  assertEquals(input(["--env", "A=1", "x", "--env=B=2"]).texts("env"), ["A=1", "B=2"]);
  assertEquals(input([]).texts("env"), []);
  assertEquals(input(["-c", "a", "-c", "b"]).text("cluster"), "b");
});

Deno.test("parse gives an optional value only to a word that is no option", () => {
  assertEquals(input([]).optional("hook"), undefined);
  assertEquals(input(["--hook"]).optional("hook"), null);
  assertEquals(input(["--hook", "-y"]).optional("hook"), null);
  assertEquals(input(["--hook", "stop"]).optional("hook"), "stop");
  assertEquals(input(["--hook=stop"]).optional("hook"), "stop");
});

Deno.test("parse matches choices as declared", () => {
  assertEquals(input(["--disk-tier", "LOW"]).text("disk-tier"), "low");
  assertEquals(
    fault(["--disk-tier", "foo"]),
    "Invalid value for '--disk-tier': 'foo' is not one of 'low', 'high'.",
  );
  assertEquals(
    fault(["--wait-for", "JOBS"]),
    "Invalid value for '--wait-for': 'JOBS' is not one of 'jobs', 'none'.",
  );
});

Deno.test("parse reports faults in click's words", () => {
  const matrix: [string[], string][] = [
    [["--badopt"], "No such option: --badopt"],
    [["--epochs"], "No such option: --epochs (Possible options: --ports, --yes)"],
    [["--se-spot"], "No such option: --se-spot (Possible options: --no-use-spot, --ports, --use-spot)"],
    [["--infra"], "Option '--infra' requires an argument."],
    [["-c"], "Option '-c' requires an argument."],
    [["--yes=1"], "Option '--yes' does not take a value."],
    [["--num-nodes", "abc"], "Invalid value for '--num-nodes': 'abc' is not a valid integer."],
    [["--num-nodes", "1.5"], "Invalid value for '--num-nodes': '1.5' is not a valid integer."],
    [["-i", "x"], "Invalid value for '--idle-minutes' / '-i': 'x' is not a valid integer."],
    [["--num", "2"], "No such option: --num (Possible options: --env, --num-nodes)"],
  ];
  for (const [words, message] of matrix) assertEquals(fault(words), message);
});

Deno.test("parse checks the number of arguments", () => {
  const cluster: Argument = { name: "CLUSTER", required: true, many: false };
  const jobs: Argument = { name: "JOBS", required: false, many: true };
  const needed: Argument = { name: "ENTRYPOINT", required: true, many: true };
  assertEquals(fault([], [cluster, jobs]), "Missing argument 'CLUSTER'.");
  assertEquals(fault([], [needed]), "Missing argument 'ENTRYPOINT...'.");
  assertEquals(fault(["a", "b"], [cluster]), "Got unexpected extra argument (b)");
  assertEquals(fault(["a", "b", "c"], [cluster]), "Got unexpected extra arguments (b c)");
  assertEquals(input(["a", "1", "2"], [cluster, jobs]).args, ["a", "1", "2"]);
});

Deno.test("parse prefers help to wrong values, and wrong options to help", () => {
  const parsed = parse({ args: [], options: OPTIONS }, ["--num-nodes", "x", "-h"], { path: "sky test" });
  assertEquals(parsed.kind, "help");
  assertEquals(fault(["--help", "--badopt"]), "No such option: --badopt");
});

Deno.test("Input refuses names that the command does not declare", () => {
  assertThrows(() => input([]).flag("nope"), Error, "--nope is not declared");
  assertThrows(() => input([]).flag("cluster"), Error, "--cluster is not declared as flag");
});

Deno.test("Input.commandLine is pasteable and holds no secret", () => {
  const line = (words: string[]) => input(words).commandLine;
  assertEquals(line(["-c", "c1", "task.yaml"]), "sky test -c c1 task.yaml");
  assertEquals(line(["echo it's", "$HOME"]), `sky test 'echo it'"'"'s' '$HOME'`);
  assertEquals(
    line(["--secret", "A=hush", "--secret=B=hush", "--secret", "C"]),
    "sky test --secret A=<redacted> --secret=B=<redacted> --secret C",
  );
  assertEquals(
    line(["-t", "hush", "-thush", "--service-account-token=hush", "--", "--secret", "A=1"]),
    "sky test -t <redacted> -t<redacted> --service-account-token=<redacted> -- --secret A=1",
  );
});

Deno.test("shellQuote quotes what a shell would touch", () => {
  assertEquals(["a.b/c", "", "a b", "*", "~"].map(shellQuote), ["a.b/c", "''", "'a b'", "'*'", "'~'"]);
});

Deno.test("optionSpelling shows names as click does", () => {
  const spelled = (name: string) => optionSpelling(OPTIONS.find((one) => one.name === name)!);
  assertEquals(spelled("cluster"), "-c, --cluster TEXT");
  assertEquals(spelled("detach-run"), "-d, --detach-run / -no-d");
  assertEquals(spelled("use-spot"), "--use-spot / --no-use-spot");
  assertEquals(spelled("disk-tier"), "--disk-tier [low|high]");
  assertEquals(spelled("hook"), "--hook [EVENT]");
  assertEquals(spelled("token"), "-t, --token, --service-account-token TEXT");
  assertEquals(spelled("num-nodes"), "--num-nodes INTEGER");
});
