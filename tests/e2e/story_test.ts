/** The main story on the local infra: launch, exec, queue, logs, cancel, stop, start, down. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { TestSky, until } from "../support/sky.ts";

Deno.test("first launch of an inline command prints plan, log and hints, and exits 0", async () => {
  await using sky = await TestSky.make();
  const { code, stdout, stderr } = await sky.run([
    "launch",
    "-c",
    "my-cluster",
    "--cpus",
    "1",
    "-y",
    "echo hello",
  ]);
  assertEquals({ code, stderr }, { code: 0, stderr: "" }, stdout);
  assertStringIncludes(stdout, "Command to run: echo hello\n");
  assertStringIncludes(stdout, "Considered resources (1 node):\n");
  assertStringIncludes(stdout, "Cluster launched: my-cluster.");
  assertStringIncludes(stdout, "Job submitted, ID: 1\n");
  assertMatch(stdout, /\(sky-cmd, pid=\d+\) hello\n/);
  assertStringIncludes(stdout, "✓ Job finished (status: SUCCEEDED).\n");
  assertStringIncludes(stdout, "├── To cancel the job:\t\tsky cancel my-cluster 1\n");
  assert(!stdout.includes("\x1b"), "no control sequences into a pipe");
});

Deno.test("a cluster lives through launch, exec, queue, logs, stop, start and down", async () => {
  await using sky = await TestSky.make();
  await sky.ok(["launch", "-c", "dev", "-y", "-d", "echo one"]);
  const second = await sky.run(["exec", "dev", "echo two; exit 3"]);
  assertEquals(second.code, 100);
  assertStringIncludes(second.stdout, "ERROR: Job 2 failed with return code list: [3]");

  const queue = JSON.parse(await sky.ok(["queue", "dev", "-o", "json"]));
  assertEquals(queue.dev.map((job: { job_id: number; status: string }) => [job.job_id, job.status]), [
    [2, "FAILED"],
    [1, "SUCCEEDED"],
  ]);
  assertStringIncludes(await sky.ok(["logs", "dev", "1"]), ") one\n");
  assertEquals((await sky.run(["logs", "dev", "2"])).code, 100);
  assertEquals((await sky.run(["logs", "dev", "9"])).code, 102);
  assertStringIncludes(await sky.ok(["logs", "dev", "1", "--status"]), "Job 1: SUCCEEDED");

  await sky.ok(["stop", "dev", "-y"]);
  assertEquals(await statusOf(sky, "dev"), "STOPPED");
  const refused = await sky.run(["exec", "dev", "echo no"]);
  assertEquals(refused.code, 1);
  assertStringIncludes(
    refused.stderr,
    "sky.exceptions.ClusterNotUpError: Executing tasks: skipped for cluster 'dev'",
  );
  await sky.ok(["start", "dev", "-y"]);
  assertEquals(await statusOf(sky, "dev"), "UP");
  assertStringIncludes(await sky.ok(["exec", "dev", "echo three"]), "Job submitted, ID: 3");

  await sky.ok(["down", "dev", "-y"]);
  assertEquals(await statusOf(sky, "dev"), undefined);
  assertStringIncludes(await sky.ok(["down", "dev", "-y"]), "Cluster(s) not found");
});

Deno.test("asking the infra for statuses leaves the cluster to others", async () => {
  await using sky = await TestSky.make();
  await sky.ok(["launch", "-c", "dev", "-y", "-d", "echo one"]);
  assertStringIncludes(await sky.ok(["status", "--refresh", "dev"]), "dev   Local  ");
  // Was a deadlock in the compiled binary: the minifier dropped the `using` that gives the cluster back.
  assertStringIncludes(await sky.ok(["exec", "dev", "echo two"], { timeoutMs: 20_000 }), ") two\n");
  assertStringIncludes(
    await sky.ok(["launch", "-c", "dev", "-y", "echo three"], { timeoutMs: 20_000 }),
    ") three\n",
  );
  const tail = await sky.ok(["logs", "dev", "--no-follow", "--tail", "1"]);
  assertMatch(tail, /dev'\.\.\.\n\(sky-cmd, pid=\d+\) three\n✓ Job finished \(status: SUCCEEDED\)\.\n$/);
});

Deno.test("a YAML task gets its workdir, file mounts, envs, secrets and setup", async () => {
  await using sky = await TestSky.make();
  await Deno.mkdir(join(sky.work, "proj"));
  await Deno.writeTextFile(join(sky.work, "proj", "data file.txt"), "from workdir\n");
  await Deno.writeTextFile(join(sky.work, "proj", "tool.sh"), "#!/bin/sh\necho tool ran\n", { mode: 0o755 });
  await Deno.writeTextFile(join(sky.work, "proj", ".skyignore"), "*.bin\n");
  await Deno.writeTextFile(join(sky.work, "proj", "big.bin"), "no\n");
  await Deno.writeTextFile(join(sky.work, "mount.txt"), "from mount\n");
  await Deno.writeTextFile(
    join(sky.work, "task.yaml"),
    `name: train
workdir: ./proj
envs:
  WHO: 'two words $HOME "quoted"'
secrets:
  TOKEN: s3cret-value
file_mounts:
  ~/in/mount.txt: ./mount.txt
setup: |
  echo "setup for $SKYPILOT_NUM_NODES"
run: |
  cat 'data file.txt' ~/in/mount.txt
  ./tool.sh
  echo "who=$WHO token=\${#TOKEN}"
  ls big.bin 2>/dev/null || echo ignored
  echo rank=$SKYPILOT_NODE_RANK job=$SKYPILOT_INTERNAL_JOB_ID
`,
  );
  const out = await sky.ok(["launch", "-c", "y", "-y", "task.yaml"]);
  assertStringIncludes(out, "YAML to run: task.yaml\n");
  assertMatch(out, /\(setup pid=\d+\) setup for 1\n/);
  for (
    const line of [
      "from workdir",
      "from mount",
      "tool ran",
      `who=two words $HOME "quoted" token=12`,
      "ignored",
    ]
  ) {
    assertStringIncludes(out, `) ${line}\n`);
  }
  assertStringIncludes(out, ") rank=0 job=1\n");
  assert(!out.includes("s3cret-value"));
  for (
    const seen of [
      await sky.ok(["status", "-o", "json"]),
      await sky.ok(["api", "status", "-a", "-o", "json"]),
    ]
  ) {
    assert(!seen.includes("s3cret-value"), "secrets are redacted wherever a task is shown");
  }
});

Deno.test("a gang of three nodes has ranks, addresses and one failure killing the others", async () => {
  await using sky = await TestSky.make();
  await Deno.writeTextFile(
    join(sky.work, "gang.yaml"),
    `num_nodes: 3
run: |
  echo "rank $SKYPILOT_NODE_RANK of $SKYPILOT_NUM_NODES ips=$(echo "$SKYPILOT_NODE_IPS" | sort -u | wc -l)"
  if [ "$SKYPILOT_NODE_RANK" = 1 ]; then sleep 2; exit 7; fi
  sleep 300
`,
  );
  const { code, stdout } = await sky.run(["launch", "-c", "gang", "--cpus", "0.5", "-y", "gang.yaml"]);
  assertEquals(code, 100, stdout);
  for (const rank of [0, 1, 2]) assertStringIncludes(stdout, `rank ${rank} of 3 ips=3\n`);
  assertMatch(stdout, /\(head, rank=0, pid=\d+\) rank 0/);
  assertMatch(stdout, /\(worker2, rank=2, pid=\d+, ip=127\.[\d.]+\) rank 2/);
  assertStringIncludes(stdout, "ERROR: Job 1 failed with return code list: [137, 7, 137]");
});

Deno.test("cancel kills a job that ignores SIGTERM, with its children, and logs exits 103", async () => {
  await using sky = await TestSky.make();
  await sky.ok([
    "launch",
    "-c",
    "c",
    "-y",
    "-d",
    `trap "" TERM; (trap "" TERM; exec sleep 4242) & echo up; sleep 4242`,
  ]);
  const follow = sky.spawn(["logs", "c", "1"]);
  await until(async () => (await sky.ok(["logs", "c", "1", "--no-follow"])).includes(") up\n"), {
    what: "the job",
  });
  await sky.ok(["cancel", "c", "1", "-y"]);
  const { code } = await follow.output();
  assertEquals(code, 103);
  const left = await new Deno.Command("pgrep", { args: ["-f", "sleep 4242"] }).output();
  const mine = await sky.processes();
  const pids = new TextDecoder().decode(left.stdout).split("\n").filter(Boolean).map(Number);
  assertEquals(pids.filter((pid) => mine.includes(pid)), []);
});

async function statusOf(sky: TestSky, name: string): Promise<string | undefined> {
  const clusters: { name: string; status: string }[] = JSON.parse(await sky.ok(["status", "-o", "json"]));
  return clusters.find((cluster) => cluster.name === name)?.status;
}
