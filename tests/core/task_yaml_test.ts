import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  applyOverrides,
  dumpDag,
  dumpTask,
  newTask,
  parseDag,
  taskFromCommand,
} from "../../core/task_yaml.ts";
import type { Dag, Task } from "../../core/task.ts";
import { resourcesYaml } from "../../core/resources_parse.ts";
import { parseDocuments } from "../../core/yaml.ts";
import { assertRefuses, seededRandom } from "./refusal.ts";

const refused = (text: string, message: string | RegExp) =>
  assertRefuses(() => parseDag(text), "invalid_argument", message);
const names = (text: string) => {
  const dag = parseDag(text);
  return [dag.name, ...dag.tasks.map(({ name }) => name)];
};

Deno.test("parseDag takes one task and names the DAG after it", () => {
  const text = "# mine\nname: train\nrun: echo hi # comment\n";
  const dag = parseDag(text);
  assertEquals([dag.name, dag.execution, dag.tasks.length], ["train", "serial", 1]);
  assertEquals(dag.tasks[0]?.userYaml, text);
  assertEquals(parseDag("").tasks, [newTask()]);
  assertEquals(names("run: x"), [null, null]);
  assertEquals(names("name: only"), ["only", "only"]);
});

Deno.test("parseDag refuses an empty file when it knows the file", () => {
  for (const text of ["", "# nothing\n", "---\n", "{}"]) {
    assertRefuses(
      () => parseDag(text, { path: "t/empty.yaml" }),
      "invalid_argument",
      "'t/empty.yaml' is empty or contains no task definition. Add at least a `run:` (or `setup:`) field.",
    );
  }
  assertRefuses(
    () => parseDag("a: [", { path: "t/x.yaml" }),
    "invalid_task",
    /in "t\/x\.yaml", line 1, column 5$/,
  );
});

Deno.test("parseDag takes pipelines with and without a header", () => {
  assertEquals(names("name: pipe\n---\nrun: a\n---\nname: second\nrun: b\n"), ["pipe", "pipe-0", "second"]);
  assertEquals(names("name: pipe\nexecution: serial\n---\nrun: a\n"), ["pipe", "pipe"]);
  assertEquals(names("name: pipe\n---\nname: own\nrun: a\n"), ["pipe", "pipe"]);
  assertEquals(names("run: a\n---\nrun: b\n"), [null, null, null]);
  assertEquals(names("name: first\nrun: a\n---\n---\nrun: b\n"), [null, "first", null]);
  assertEquals(names("name:\n---\nname: own\nrun: a\n"), ["own", "own"]);
  const dag = parseDag("name: p\n---\nrun: a\n---\nrun: b\n", { envs: { A: "1" } });
  assertEquals(dag.tasks.map(({ envs, userYaml }) => [envs["A"], userYaml]), [["1", "run: a\n"], [
    "1",
    "run: b\n",
  ]]);
  refused("name: p\nexecution: random\n---\nrun: a\n", /^Invalid execution mode for pipeline: 'random'\./);
  refused("name: 'a b'\n---\nrun: a\n---\nrun: b\n", /^Invalid task name 'a b'/);
});

Deno.test("parseDag takes job groups", () => {
  const warnings: string[] = [];
  const dag = parseDag(
    "name: g\nexecution: parallel\nprimary_tasks: [a]\ntermination_delay: {default: 30s, b: 5m}\nextra: 1\n" +
      "---\nname: a\nrun: x\n---\nname: b\nrun: y\n",
    { warn: (message) => warnings.push(message) },
  );
  assertEquals([dag.name, dag.execution, dag.primaryTasks, dag.terminationDelay], [
    "g",
    "parallel",
    ["a"],
    { default: 30, b: 300 },
  ]);
  assertEquals(dag.tasks.map(({ name }) => name), ["a", "b"]);
  assertEquals(warnings, ["Unknown field 'extra' in the JobGroup header is ignored."]);
  const head = "name: g\nexecution: parallel\n";
  refused(head, /^JobGroup YAML must have at least 2 documents/);
  refused(`${head}---\nname: a\n---\nname: a\n`, "Duplicate job name in JobGroup: a");
  refused(`${head}primary_tasks: [z, a]\n---\nname: a\n`, "primary_tasks references unknown job: z");
  refused(`${head}termination_delay: {z: 5}\n---\nname: a\n`, "termination_delay references unknown job: z");
  refused(`${head}termination_delay: soon\n---\nname: a\n`, "Invalid time format: soon");
  refused(`${head}---\nrun: a\n`, /^Each job of a JobGroup must have a name/);
  refused(`${head}---\nname: a.b\n`, /^Each job of a JobGroup must have a name/);
  refused("execution: parallel\n---\nname: a\n", /^JobGroup header must have a name/);
});

Deno.test("dumpDag writes the example of wire.md 12.3", () => {
  const text = `name: demo
workdir: /tmp/demo/proj
num_nodes: 2
resources: {infra: k8s/kind, cpus: 2+, memory: 4+, gpus: H100, ports: 8080}
envs: {A: 1}
secrets: {TOKEN: shh}
file_mounts: {/remote/tok.txt: /tmp/demo/tok.txt}
setup: |
  echo setup
run: |
  echo run $A
`;
  const [header, task] = parseDocuments(dumpDag(parseDag(text)));
  assertEquals(header?.value, { name: "demo" });
  const expected = {
    name: "demo",
    resources: {
      infra: "kubernetes/kind",
      cpus: "2+",
      memory: "4+",
      accelerators: { H100: 1 },
      disk_size: 256,
      ports: ["8080"],
    },
    num_nodes: 2,
    setup: "echo setup\n",
    workdir: "/tmp/demo/proj",
    run: "echo run $A\n",
    envs: { A: "1" },
    secrets: { TOKEN: "shh" },
    file_mounts: { "/remote/tok.txt": "/tmp/demo/tok.txt" },
    volumes: {},
    _user_specified_yaml: text,
  };
  assertEquals(task?.value, expected);
  assertEquals(Object.keys(task?.value as object), Object.keys(expected));
});

Deno.test("dumpDag reads back to the same DAG", () => {
  const texts = [
    "",
    "run: echo hi",
    "name: p\n---\nrun: a\nresources: {any_of: [{infra: aws}, {infra: gcp}]}\n---\nname: b\nsecrets: [secrets:X]\n",
    "name: g\nexecution: parallel\nprimary_tasks: [a]\ntermination_delay: 5m\n---\nname: a\n---\nname: b\nrun: x\n",
    "name: x\nsecrets: {A: 1.0, 'secrets:B': }\nenvs: {V: 1.10, T: yes, E: ''}\nworkdir: {url: git@x:y.git, ref: main}",
    "service: {readiness_probe: /}\nvolumes: {/v: name}\nconfig: {hooks: [{run: x}]}\napi_server_access: false",
    "pool: {workers: 1}\nmanaged_secrets: [a]\ninputs: {s3://x: 1}\nevent_callback: 'true'\nnum_nodes: 3",
    "resources: {accelerators: 80GB+, autostop: {idle_minutes: 5, wait_for: none}}\nfile_mounts: {a: b}",
  ];
  for (const text of texts) {
    const dag = parseDag(text);
    const dumped = dumpDag(dag);
    const again = parseDag(dumped);
    // A dump fills in the default disk; the user's own text is the dump where there was none.
    const same = (task: Task, i: number): Task => ({
      ...task,
      userYaml: dag.tasks[i]?.userYaml ?? null,
      resources: { kind: "any_of", candidates: [] },
    });
    assertEquals({ ...again, tasks: again.tasks.map(same) }, { ...dag, tasks: dag.tasks.map(same) }, dumped);
    const resources = (each: Dag) => each.tasks.map((task) => resourcesYaml(task.resources));
    assertEquals(resources(again), resources(dag));
  }
});

Deno.test("dumpDag keeps any command text", () => {
  const random = seededRandom(99);
  const pieces = [
    "'",
    '"',
    "$",
    "\\",
    "\n",
    " ",
    "#",
    ": ",
    "é😀",
    "\t",
    "a",
    "- ",
    "|",
    "\x1b[0m",
    "{{",
    "\r\n",
  ];
  for (let i = 0; i < 500; i++) {
    const command = Array.from({ length: 8 }, () => pieces[Math.floor(random() * pieces.length)]).join("");
    const dag = { name: "sky-cmd", execution: "serial" as const, tasks: [taskFromCommand(command)] };
    assertEquals(parseDag(dumpDag(dag)).tasks[0]?.run, command);
  }
});

Deno.test("dumpTask is one document that parseDag takes too", () => {
  const task = applyOverrides(taskFromCommand("echo hi"), { cpus: "2", numNodes: 2 });
  assertEquals(parseDocuments(dumpTask(task)).length, 1);
  const [again] = parseDag(dumpTask(task)).tasks;
  assertEquals([again?.run, again?.numNodes, again?.resources.candidates[0]?.cpus], ["echo hi", 2, "2"]);
  assertStringIncludes(dumpTask(task), "file_mounts: {}\nvolumes: {}\n");
});
