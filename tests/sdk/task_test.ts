import { assertEquals, assertThrows } from "@std/assert";
import { SkyError } from "../../core/errors.ts";
import { dumpDag, parseDag } from "../../core/task_yaml.ts";
import { Resources, Task } from "../../sdk/task.ts";

Deno.test("Task and Resources make what the same YAML makes", () => {
  const task = Task({
    name: "train",
    setup: "pip install x",
    run: "python train.py $A",
    workdir: "/src",
    numNodes: 2,
    resources: Resources({
      infra: "aws/us-east-1",
      cpus: "4+",
      accelerators: { A100: 8 },
      useSpot: true,
      diskSize: 100,
    }),
    envs: { A: "1" },
    secrets: { TOKEN: "shh" },
    fileMounts: { "/data": "s3://bucket/x" },
  });
  const yaml = `
name: train
setup: pip install x
run: python train.py $A
workdir: /src
num_nodes: 2
resources: {infra: aws/us-east-1, cpus: 4+, accelerators: {A100: 8}, use_spot: true, disk_size: 100}
envs: {A: '1'}
secrets: {TOKEN: shh}
file_mounts: {/data: 's3://bucket/x'}
`;
  const [parsed] = parseDag(yaml).tasks;
  assertEquals({ ...task, userYaml: null }, { ...parsed, userYaml: null } as typeof task);
  assertEquals(Task({ run: "x", resources: { cpus: 2 } }).resources, Resources({ cpus: 2 }));
});

Deno.test("Resources takes alternatives", () => {
  const choice = Resources([{ accelerators: "H100:8" }, { accelerators: "A100:8" }]);
  assertEquals(choice.candidates.map((each) => each.accelerators), [{ H100: 8 }, { A100: 8 }]);
  const dag = parseDag(
    dumpDag({ name: "t", execution: "serial", tasks: [Task({ name: "t", run: "x", resources: choice })] }),
  );
  assertEquals(dag.tasks[0]?.resources.candidates.map((each) => each.accelerators), [{ H100: 8 }, {
    A100: 8,
  }]);
});

Deno.test("Task and Resources refuse what a task file would", () => {
  assertThrows(() => Task({ name: "bad name", run: "x" }), SkyError, "task name");
  assertThrows(() => Task({ numNodes: 0 }), SkyError, "num_nodes");
  assertThrows(() => Resources({ cpus: "many" }), SkyError);
  assertThrows(() => Resources({ nope: 1 } as never), SkyError, "nope");
});
