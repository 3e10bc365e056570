import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { commitOf } from "../../cli/git_commit.ts";
import { parseDocuments } from "../../core/yaml.ts";
import { sky, type SkyRunOptions } from "./fake_sky.ts";

type Files = Record<string, string | Uint8Array>;

/** `sky launch -c c -y -d …` in a folder with these files; the task that was sent. */
async function launch(words: string[], files: Files = {}, options: SkyRunOptions = {}) {
  const cwd = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries(files)) {
      if (name.endsWith("/")) await Deno.mkdir(`${cwd}/${name}`, { recursive: true });
      else if (typeof content === "string") await Deno.writeTextFile(`${cwd}/${name}`, content);
      else await Deno.writeFile(`${cwd}/${name}`, content);
    }
    const ran = await sky(["launch", "-c", "c", "-y", "-d", ...words], { cwd, ...options });
    const text = ran.call("launch").task;
    const task = (text === undefined ? {} : parseDocuments(String(text)).at(-1)?.value) as Record<
      string,
      unknown
    >;
    return { ...ran, task, cwd, first: ran.out.split("\n")[0] };
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

Deno.test("an entrypoint is a YAML file whatever its name, else a command", async () => {
  const files = {
    "task.yaml": "run: echo yaml\n",
    conf: "run: echo conf\n",
    "train.sh": "echo hi\n",
    "x y.yaml": "run: a\n",
  };
  const matrix: [string[], string, unknown][] = [
    [["task.yaml"], "YAML to run: task.yaml", "echo yaml"],
    [["./conf"], "YAML to run: ./conf", "echo conf"],
    [["task.yaml", "extra"], "Command to run: task.yaml extra", "task.yaml extra"],
    [["python train.py --lr 1"], "Command to run: python train.py --lr 1", "python train.py --lr 1"],
    [["python", "train.py"], "Command to run: python train.py", "python train.py"],
    [["--", "python", "--lr", "1"], "Command to run: python --lr 1", "python --lr 1"],
    [["train.sh"], "Command to run: train.sh", "train.sh"],
    [["echo it's"], "Command to run: echo it's", "echo it's"],
    [["x y.yaml"], "YAML to run: x y.yaml", "a"],
    [["a".repeat(5000)], `Command to run: ${"a".repeat(5000)}`, "a".repeat(5000)],
    [["echo a\nb"], "Command to run: echo a", "echo a\nb"],
  ];
  for (const [words, first, run] of matrix) {
    const ran = await launch(words, files);
    assertEquals([ran.code, ran.err, ran.first, ran.task.run], [0, "", first, run]);
  }
  const nothing = await launch([], files);
  assertEquals([nothing.first, nothing.task.run], ["Running on cluster: c", undefined]);
});

Deno.test("a word like a YAML path that is none is asked about, even with -y", async () => {
  const files: Files = {
    "tabs.yaml": "run:\n\t- x\n",
    "binary.yml": new Uint8Array([0xff, 0xfe, 0x00]),
    "text.yaml": "just a text\n",
    "dir.yaml/": "",
  };
  const matrix: [string, string][] = [
    ["nope.yaml", "does not exist. Please check if the path is correct.\n"],
    ["dir.yaml", "is not a file. Please check if the path is correct.\n"],
    ["tabs.yaml", "contains an invalid configuration. Please check syntax.\n\nYAML Error: "],
    ["binary.yml", "is not a valid UTF-8 text file and cannot be parsed as YAML.\n"],
    ["text.yaml", "holds a single text"],
  ];
  for (const [path, reason] of matrix) {
    const no = await launch([path], files, { terminal: { answers: [""] } });
    assertEquals([no.code, no.err], [1, "Aborted!\n"], path);
    assertStringIncludes(no.out, `'${path}' looks like a yaml path but ${reason}`);
    assertStringIncludes(no.out, "It will be treated as a command to be run remotely. Continue? [y/N]: ");
    const yes = await launch([path], files, { terminal: { answers: ["y"] } });
    assertEquals([yes.code, yes.task.run], [0, path]);
  }
});

Deno.test("pipelines and job groups are refused, other sections ignored aloud", async () => {
  const pipeline = "name: p\n---\nrun: a\n---\nrun: b\n";
  const refused = await launch(["p.yaml"], { "p.yaml": pipeline });
  assertEquals(refused.code, 2);
  assertStringIncludes(
    refused.err,
    "Error: YAML specifies a DAG which is only supported by `sky jobs launch`. `sky launch` supports a single task only.\n",
  );
  const served = await launch(["s.yaml"], {
    "s.yaml": "service:\n  readiness_probe: /\n  replicas: 1\nrun: x\n",
  });
  assertStringIncludes(
    served.out,
    "Service section will be ignored when using `sky launch`. \nTo spin up a service, use SkyServe CLI: sky serve up\n",
  );
});

Deno.test("variables come from YAML, file and flags in that order", async () => {
  const files = {
    "t.yaml": "envs:\n  A: yaml\n  B: yaml\n  C:\nsecrets:\n  S:\nrun: x\n",
    ".env": "B=file\nC=file\nS=file\n# no\nexport D='two words'\n",
  };
  const ran = await launch(
    ["t.yaml", "--env-file", ".env", "--env", "C=a=b", "--env", "HERE", "--secret", "T=1"],
    files,
    {
      env: { HERE: "there" },
    },
  );
  assertEquals([ran.code, ran.err], [0, ""]);
  assertEquals(ran.task.envs, { A: "yaml", B: "file", C: "a=b", D: "two words", HERE: "there" });
  assertEquals(ran.task.secrets, { S: "file", T: "1" });
});

Deno.test("bad variables are refused in the reference's words", async () => {
  const matrix: [string[], number, string][] = [
    [["--env", "NOT_THERE", "x"], 2, "Error: NOT_THERE is not set in local environment.\n"],
    [["--secret", "NOT_THERE", "x"], 2, "Error: NOT_THERE is not set in local environment.\n"],
    [["--env", "A-B=1", "x"], 1, "ValueError: Invalid env key: A-B\n"],
    [
      ["--env-file", "nope", "x"],
      2,
      "Error: Dotenv file does not exist: nope. Provide a path to an existing file, or remove the flag.\n",
    ],
    [
      ["none.yaml"],
      1,
      "ValueError: Environment variable 'TOKEN' is None. Please set a value for it in task YAML",
    ],
  ];
  for (const [words, code, text] of matrix) {
    const ran = await launch(words, { "none.yaml": "envs:\n  TOKEN:\nrun: x\n" });
    assertEquals(ran.code, code, words.join(" "));
    assertStringIncludes(ran.err, text);
    assertEquals(ran.calls, []);
  }
});

Deno.test("flags override every alternative of the YAML", async () => {
  const yaml =
    "num_nodes: 3\nresources:\n  any_of:\n    - infra: aws\n      cpus: 8\n    - infra: gcp\n  ports: 80\nrun: x\n";
  const flags = [
    "--cpus",
    "2+",
    "--num-nodes",
    "2",
    "-n",
    "named",
    "--use-spot",
    "--ports",
    "8080",
    "--ports",
    "90-91",
  ];
  const { task } = await launch(["t.yaml", ...flags], { "t.yaml": yaml });
  const { any_of } = task.resources as { any_of: Record<string, unknown>[] };
  assertEquals(any_of.map((one) => [one.infra, one.cpus, one.use_spot]), [["aws", "2+", true], [
    "gcp",
    "2+",
    true,
  ]]);
  assertEquals([task.name, task.num_nodes], ["named", 2]);
});

Deno.test("bad flag values are refused before anything is asked of the server", async () => {
  const matrix: [string[], number, string][] = [
    [
      ["--cpus", "abc"],
      1,
      `ValueError: The "cpus" field should be either a number or a string "<number>+". Found: 'abc'`,
    ],
    [["--ports", "99999999"], 1, "ValueError: Invalid port 99999999."],
    [["--priority", "5000"], 1, "ValueError: Priority must be between -1000 and 1000. Found: 5000"],
    [["--infra", "nocloud"], 1, "ValueError: Cloud 'nocloud' is not a valid cloud among ["],
    [
      ["--infra", "aws", "--region", "x"],
      1,
      "ValueError: Cannot specify both --infra and --cloud, --region, or --zone.",
    ],
    [["--workdir", "nope"], 2, "Error: Invalid value for '--workdir': Directory 'nope' does not exist."],
    [["--workdir", "file"], 2, "Error: Invalid value for '--workdir': Directory 'file' is a file."],
    [["--workdir", ".", "--git-url", "https://x/y"], 2, "Error: Cannot specify both --git-url and --workdir"],
    [["--num-nodes", "0"], 1, "ValueError: num_nodes should be a positive int. Got: 0"],
  ];
  for (const [flags, code, text] of matrix) {
    const ran = await launch([...flags, "echo"], { file: "" });
    assertEquals(ran.code, code, flags.join(" "));
    assertStringIncludes(ran.err, text);
    assertEquals(ran.calls, []);
  }
});

Deno.test("the deprecated place flags still work, and say so", async () => {
  const ran = await launch(["--cloud", "aws", "--region", "us-east-1", "echo"]);
  assertStringIncludes(
    ran.out,
    "The --cloud, --region, and --zone options are deprecated. Use --infra instead.\n",
  );
  assertEquals((ran.task.resources as { infra?: string }).infra, "aws/us-east-1");
});

Deno.test("local paths are checked and made absolute", async () => {
  const files = { "proj/": "", data: "x", "t.yaml": "workdir: ./proj\nfile_mounts:\n  ~/d: data\nrun: x\n" };
  const ran = await launch(["t.yaml"], files);
  assertEquals([ran.task.workdir, ran.task.file_mounts], [`${ran.cwd}/proj`, { "~/d": `${ran.cwd}/data` }]);
  const flag = await launch(["--workdir", "proj", "echo"], files);
  assertEquals(flag.task.workdir, `${flag.cwd}/proj`);
  const noWorkdir = await launch(["t.yaml"], { "t.yaml": "workdir: ./nonexistent\nrun: x\n" });
  assertEquals([noWorkdir.code, noWorkdir.err], [
    1,
    "ValueError: Workdir must be a valid directory (or a symlink to a directory). ./nonexistent not found.\n",
  ]);
  const noMount = await launch(["t.yaml"], { "t.yaml": "file_mounts:\n  ~/d: ./gone\nrun: x\n" });
  assertEquals(noMount.code, 1);
  assertStringIncludes(noMount.err, "ValueError: File mount source './gone' does not exist locally.");
});

Deno.test("YAML faults have the reference's words", async () => {
  const matrix: [string, string][] = [
    [
      "resource:\n  cpus: 2\n",
      "sky.exceptions.InvalidSkyPilotConfigError: Invalid task YAML: Instead of 'resource', did you mean 'resources'?",
    ],
    ["x: 1\n", "Invalid task YAML: Found unsupported field 'x'."],
    ["", "ValueError: 't.yaml' is empty or contains no task definition."],
    ["workdir: ./\nnum_nodes: -1\n", "num_nodes"],
  ];
  for (const [yaml, text] of matrix) {
    const ran = await launch(["t.yaml"], { "t.yaml": yaml });
    assertEquals([ran.code, ran.calls], [1, []], yaml);
    assertStringIncludes(ran.err, text);
  }
});

Deno.test("the commit of a git workdir travels with the task", async () => {
  const commit = "0123456789abcdef0123456789abcdef01234567";
  const git = { "proj/.git/refs/heads/": "", "proj/sub/": "", "proj/.git/HEAD": "ref: refs/heads/main\n" };
  const loose = await launch(["--workdir", "proj/sub", "echo"], {
    ...git,
    "proj/.git/refs/heads/main": `${commit}\n`,
  });
  assertEquals(loose.task._metadata, { git_commit: commit });
  const packed = await launch(["--workdir", "proj", "echo"], {
    ...git,
    "proj/.git/packed-refs": `# pack-refs\n${commit} refs/heads/main\n`,
  });
  assertEquals(packed.task._metadata, { git_commit: commit });
  const none = await launch(["--workdir", "proj", "echo"], git);
  assertEquals(none.task._metadata, undefined);
  assert(await commitOf("/nonexistent/path") === null);
});

Deno.test("secrets are sent and not printed", async () => {
  const ran = await launch(["--secret", "T=hush", "echo"]);
  assertEquals(ran.task.secrets, { T: "hush" });
  assert(!ran.out.includes("hush"));
});
