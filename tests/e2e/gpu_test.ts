/** GPUs of this machine end to end, told by an nvidia-smi of the test's own: what is offered, slices, queueing. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { TestSky, until } from "../support/sky.ts";

/** A `sky` that finds `count` H100s on its machine. */
async function withGpus(count: number): Promise<TestSky> {
  const sky = await TestSky.make();
  const bin = join(sky.home, "bin");
  await Deno.mkdir(bin);
  const cards = Array.from({ length: count }, (_, index) => `${index}, NVIDIA H100 80GB HBM3, 81559`);
  await Deno.writeTextFile(
    join(bin, "nvidia-smi"),
    `#!/bin/sh\nprintf '%s\\n' ${cards.map((card) => `'${card}'`).join(" ")}\n`,
    { mode: 0o755 },
  );
  sky.env.PATH = `${bin}:${sky.env.PATH}`;
  return sky;
}

interface Job {
  readonly job_id: number;
  readonly status: string;
  readonly resources: string;
}

async function jobsOf(sky: TestSky, cluster: string): Promise<Map<number, Job>> {
  const queue: Record<string, Job[]> = JSON.parse(await sky.ok(["queue", cluster, "-o", "json"]));
  return new Map((queue[cluster] ?? []).map((job) => [job.job_id, job]));
}

/** What the job's only line says, once it is there. */
async function lineOf(sky: TestSky, cluster: string, job: number): Promise<string> {
  let line: string | undefined;
  await until(async () => {
    const log = await sky.run(["logs", cluster, String(job), "--no-follow"]);
    line = /^\(sky-cmd, pid=\d+\) (.*)$/m.exec(log.stdout)?.[1];
    return line !== undefined;
  }, { what: `a line of job ${job}` });
  return line!;
}

/** A job that shows its GPUs and holds them until `file` is there, or until it is cancelled. */
function holding(file: string): string {
  return `echo "[$CUDA_VISIBLE_DEVICES] $SKYPILOT_NUM_GPUS_PER_NODE"; until [ -e '${file}' ]; do sleep 0.05; done`;
}

Deno.test("gpus list shows the machine's GPUs, and clusters take them away from each other", async () => {
  await using sky = await withGpus(2);
  assertStringIncludes(
    await sky.ok(["gpus", "list"]),
    "COMMON_GPU  AVAILABLE_QUANTITIES  \nH100        1, 2                  \n",
  );
  const named = await sky.ok(["gpus", "list", "h100:2"]);
  assertStringIncludes(
    named,
    "H100  2    Local  -              80GB        -      -         $ 0.000       -                  -       \n",
  );
  assertStringIncludes(
    await sky.ok(["gpus", "list", "H100:4"]),
    "Resources 'H100' with requested quantity 4",
  );

  const launched = await sky.ok([
    "launch",
    "-c",
    "two",
    "--gpus",
    "h100:2",
    "-y",
    "echo $CUDA_VISIBLE_DEVICES",
  ]);
  assertStringIncludes(launched, " H100:2   0.00          ✔     \n");
  assertStringIncludes(launched, ") 0,1\n");
  assertStringIncludes(await sky.ok(["status", "two"]), "  1x(gpus=H100:2, cpus=");

  const refused = await sky.run(["launch", "-c", "more", "--gpus", "H100", "-y", "echo no"]);
  assertEquals(refused.code, 1);
  assertStringIncludes(
    refused.stderr,
    "Cannot give 1 H100 to a node: other local clusters hold the GPUs of this machine",
  );
  const none = await sky.run(["launch", "-c", "more", "--gpus", "A100", "-y", "echo no"]);
  assertStringIncludes(
    none.stderr,
    "does not contain any instances satisfying the request: 1x <Cloud>({'A100': 1}).",
  );
  const mismatch = await sky.run(["exec", "two", "--gpus", "H100:4", "echo no"]);
  assertStringIncludes(mismatch.stderr, "  Requested:\t{1x <Cloud>({'H100': 4})}\n");

  await sky.ok(["stop", "-y", "two"]);
  assertStringIncludes(
    await sky.ok(["launch", "-c", "more", "--gpus", "H100", "-y", "echo $CUDA_VISIBLE_DEVICES"]),
    ") 0\n",
  );
});

Deno.test("jobs get slices of the GPUs, wait in line when all are taken, and share fractions", async () => {
  await using sky = await withGpus(4);
  const [first, second] = [join(sky.work, "first"), join(sky.work, "second")];
  await sky.ok(["launch", "-c", "g", "--gpus", "H100:4", "-y", "-d", "echo all=$CUDA_VISIBLE_DEVICES"]);
  assertEquals(await lineOf(sky, "g", 1), "all=0,1,2,3");

  const exec = (gpus: string, command: string) => sky.ok(["exec", "g", "--gpus", gpus, "-d", command]);
  await exec("H100:3", holding(first));
  assertEquals(await lineOf(sky, "g", 2), "[0,1,2] 3");
  await exec("H100:2", holding(second));
  // Would fit beside the first, but the line is kept: who came first is served first.
  await exec("H100:0.5", holding(second));
  await exec("H100:0.5", holding(second));
  // Needs no GPU, sees none, and waits in the same line.
  await sky.ok(["exec", "g", "-d", "echo none=[$CUDA_VISIBLE_DEVICES]"]);
  const waiting = await jobsOf(sky, "g");
  assertEquals([3, 4, 5, 6].map((id) => waiting.get(id)?.status), Array(4).fill("PENDING"));
  assertEquals(waiting.get(3)?.resources, "1x[H100:2]");
  assertEquals(waiting.get(4)?.resources, "1x[H100:0.5]");
  assertEquals(waiting.get(6)?.resources, "1x[CPU:1+]");

  await Deno.writeTextFile(first, "");
  const pair = await lineOf(sky, "g", 3);
  const halves = [await lineOf(sky, "g", 4), await lineOf(sky, "g", 5)];
  assertEquals(pair, "[0,1] 2");
  assertEquals(halves[0], halves[1], "two halves of one GPU");
  assert(/^\[[23]\] 1$/.test(halves[0]!), halves[0]);
  assertEquals(await lineOf(sky, "g", 6), "none=[]");
  const running = await jobsOf(sky, "g");
  assertEquals([3, 4, 5].map((id) => running.get(id)?.status), Array(3).fill("RUNNING"));
  await Deno.writeTextFile(second, "");
  await until(async () => [...(await jobsOf(sky, "g")).values()].every((job) => job.status === "SUCCEEDED"), {
    what: "all to succeed",
  });
});
