import { assertEquals, assertStringIncludes } from "@std/assert";
import { SkyError } from "../../core/errors.ts";
import { parse } from "../../core/yaml.ts";
import { type Script, sky } from "./fake_sky.ts";

const JOB = `├── Waiting for task resources on 1 node.
└── Job started. Streaming logs... (Ctrl-C to exit log streaming; job will not be killed)
(sky-cmd, pid=3120) GPU 0: Tesla T4 (UUID: GPU-…)
✓ Job finished (status: SUCCEEDED).`;
const SCRIPT: Script = { logs: { exec: "⚙︎ Job submitted, ID: 3" }, jobLog: JOB };

Deno.test("exec submits and follows (transcript 12.5)", async () => {
  const ran = await sky(["exec", "my-cluster", "--gpus", "T4:1", "nvidia-smi -L"], { script: SCRIPT });
  assertEquals(
    ran.out,
    `Command to run: nvidia-smi -L\nSubmitting job to cluster: my-cluster\n⚙︎ Job submitted, ID: 3\n${JOB}\n`,
  );
  assertEquals([ran.code, ran.err], [0, ""]);
  assertEquals(ran.calls.map(([name]) => name), ["exec", "logs"]);
  const task = parse(String(ran.call("exec").task).split("---\n")[1] ?? "") as Record<string, unknown>;
  assertEquals((task.resources as { accelerators: unknown }).accelerators, { T4: 1 });
  assertEquals([task.name, task.run, ran.call("exec").cluster_name], [
    "sky-cmd",
    "nvidia-smi -L",
    "my-cluster",
  ]);
});

Deno.test("exec returns at once with -d and --async", async () => {
  const detached = await sky(["exec", "c", "-d", "echo"], { script: SCRIPT });
  assertEquals(
    [detached.code, detached.out],
    [0, "Command to run: echo\nSubmitting job to cluster: c\n⚙︎ Job submitted, ID: 3\n"],
  );
  const later = await sky(["exec", "c", "--async", "echo"], { script: SCRIPT });
  assertEquals(later.code, 0);
  assertStringIncludes(later.out, "Submitted sky.exec request: f01d0f9e-");
});

Deno.test("exec takes the cluster from -c or from the first word", async () => {
  const named = await sky(["exec", "-c", "c", "python", "train.py"], { script: SCRIPT });
  assertEquals(named.call("exec").cluster_name, "c");
  assertStringIncludes(named.out, "Command to run: python train.py\n");
  const matrix: [string[], string][] = [
    [["exec"], "Error: Missing argument '[CLUSTER]' and '[ENTRYPOINT]...'\n"],
    [["exec", "c"], "Error: Missing argument '[ENTRYPOINT]...'\n"],
    [["exec", "-c", "c"], "Error: Missing argument '[ENTRYPOINT]...'\n"],
    [
      ["exec", "c", "python", "train.py", "--epochs", "3"],
      "Error: No such option: --epochs Did you mean --ports?\n",
    ],
  ];
  for (const [argv, text] of matrix) {
    const ran = await sky(argv);
    assertEquals(ran.code, 2);
    assertStringIncludes(ran.err, "Usage: sky exec [OPTIONS] [CLUSTER] [ENTRYPOINT]...\n");
    assertStringIncludes(ran.err, text);
  }
});

Deno.test("exec says which flags do not matter and leaves them out", async () => {
  const ran = await sky(["exec", "c", "--cpus", "4", "--ports", "80", "--num-nodes", "2", "echo"], {
    script: SCRIPT,
  });
  assertStringIncludes(
    ran.out,
    "Override param cpus=4 is ignored.\nOverride param ports=['80'] is ignored.\nSubmitting",
  );
  const task = parse(String(ran.call("exec").task).split("---\n")[1] ?? "") as Record<string, unknown>;
  assertEquals([(task.resources as { cpus?: string }).cpus, task.num_nodes], [undefined, 2]);
});

Deno.test("exec shows the server's error", async () => {
  const error = new SkyError("cluster_not_found", "Cluster 'nope' does not exist.");
  const ran = await sky(["exec", "nope", "echo hi"], { script: { errors: { "exec:end": error } } });
  assertEquals(ran.out, "Command to run: echo hi\nSubmitting job to cluster: nope\n");
  assertEquals([ran.code, ran.err], [
    1,
    "sky.exceptions.ClusterDoesNotExist: Cluster 'nope' does not exist.\n",
  ]);
});
