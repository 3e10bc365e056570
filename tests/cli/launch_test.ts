import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { SkyError } from "../../core/errors.ts";
import { parse } from "../../core/yaml.ts";
import { ENDPOINT, REQUEST_ID, type Script, sky, type SkyRun } from "./fake_sky.ts";

const PLAN = `Considered resources (1 node):
------------------------------------------------------------------------------------
 INFRA                 INSTANCE        vCPUs   Mem(GB)   GPUS   COST ($)   CHOSEN   
------------------------------------------------------------------------------------
 AWS (us-east-1)       m6i.large       2       8         -      0.10          ✔     
------------------------------------------------------------------------------------`;
const PROVISION = `⚙︎ Launching on AWS us-east-1 (us-east-1a).
status: [bold cyan]Launching[/]  [dim]View logs: sky logs --provision my-cluster[/dim]
└── Instance is up.
✓ Cluster launched: my-cluster.  View logs: sky logs --provision my-cluster
⚙︎ Syncing files.
⚙︎ Job submitted, ID: 1
`;
const SHOWN = PROVISION.replace(/^status: .*\n/m, "");
const JOB = `├── Waiting for task resources on 1 node.
└── Job started. Streaming logs... (Ctrl-C to exit log streaming; job will not be killed)
(sky-cmd, pid=2391) hi
✓ Job finished (status: SUCCEEDED).`;
const BOX = `
📋 Useful Commands
Job ID: 1
├── To cancel the job:\t\tsky cancel my-cluster 1
├── To stream job logs:\t\tsky logs my-cluster 1
└── To view job queue:\t\tsky queue my-cluster
Cluster name: my-cluster
├── To log into the head VM:\tssh my-cluster
├── To submit a job:\t\tsky exec my-cluster yaml_file
├── To stop the cluster:\tsky stop my-cluster
└── To teardown the cluster:\tsky down my-cluster
`;
const ASYNC = `Submitted sky.launch request: ${REQUEST_ID}
├── Check logs with: sky api logs f01d0f9e
├── Or, visit: ${ENDPOINT}/api/stream?request_id=f01d0f9e
└── To cancel the request, run: sky api cancel f01d0f9e

`;
const SCRIPT: Script = { logs: { optimize: PLAN, launch: PROVISION }, jobLog: JOB };
const LAUNCH = ["launch", "-c", "my-cluster", "--cpus", "2", "echo hi"];

const names = (ran: SkyRun) => ran.calls.map(([name]) => name);

async function inFolder(files: Record<string, string>, work: (cwd: string) => Promise<void>) {
  const cwd = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${cwd}/${name}`, text);
    await work(cwd);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

Deno.test("launch shows plan, question, provisioning, job log and hints (transcript 12.1)", async () => {
  const ran = await sky(LAUNCH, { script: SCRIPT, terminal: { answers: ["y"] } });
  assertEquals(
    ran.out,
    `Command to run: echo hi\n${PLAN}\nLaunching a new cluster 'my-cluster'. Proceed? [Y/n]: y\n${SHOWN}\n${JOB}\n${BOX}`,
  );
  assertEquals([ran.code, ran.err], [0, ""]);
  assertEquals(names(ran), ["validate", "status", "optimize", "launch", "logs"]);
  const { task, ...rest } = ran.call("launch");
  assertEquals(rest, {
    cluster_name: "my-cluster",
    retry_until_up: false,
    dryrun: false,
    no_setup: false,
    fast: false,
    quiet_optimizer: true,
    include_credentials: true,
  });
  assertStringIncludes(String(task), "run: echo hi\n");
  assertStringIncludes(String(task), "cpus: '2'\n");
  assertEquals(ran.call("logs"), { cluster_name: "my-cluster", job_id: 1, follow: true, tail: 0 });
});

Deno.test("launch -y asks nothing and lets the launch show the plan", async () => {
  const ran = await sky([...LAUNCH, "-y"], { script: SCRIPT });
  assertStringIncludes(ran.out, `Command to run: echo hi\nRunning on cluster: my-cluster\n${SHOWN}`);
  assertEquals(names(ran), ["validate", "launch", "logs"]);
  assertEquals(ran.call("launch").quiet_optimizer, false);
});

Deno.test("launch on an own UP cluster asks nothing; a failing job ends with 100 (transcript 12.2)", async () => {
  const command = `python -c "import sys; sys.exit(3)"`;
  const script: Script = {
    ...SCRIPT,
    clusters: [{ name: "my-cluster", status: "UP", user_hash: "fcd1e5cf", user_name: "root" }],
    launch: { job_id: 2 },
    jobLog: "ERROR: Job 2 failed with return code list: [3] \n✓ Job finished (status: FAILED).",
    jobExit: 100,
  };
  const ran = await sky(["launch", "-c", "my-cluster", command], { script });
  assertEquals(ran.code, 100);
  assertStringIncludes(ran.out, `Command to run: ${command}\nRunning on cluster: my-cluster\n`);
  assertStringIncludes(ran.out, "✓ Job finished (status: FAILED).\n\n📋 Useful Commands\nJob ID: 2\n");
});

Deno.test("launch asks before waking a stopped cluster and before using someone else's", async () => {
  const foreign = { name: "my-cluster", user_hash: "aaaa", user_name: "al" };
  const matrix: [Record<string, unknown>, string][] = [
    [{ status: "STOPPED", user_hash: "fcd1e5cf" }, "Restarting the stopped cluster 'my-cluster'. Proceed?"],
    [
      { status: "STOPPED" },
      "Restarting the stopped cluster 'my-cluster' created by another user 'al' (hash: aaaa). Proceed?",
    ],
    [
      { status: "UP" },
      "Cluster 'my-cluster' was created by another user 'al' (hash: aaaa). Reusing the cluster. Proceed?",
    ],
  ];
  for (const [cluster, question] of matrix) {
    const script: Script = { ...SCRIPT, clusters: [{ ...foreign, ...cluster }] };
    const ran = await sky(LAUNCH, { script, terminal: { answers: ["n"] } });
    assertEquals(ran.out, `Command to run: echo hi\n${question} [Y/n]: n\n`);
    assertEquals([ran.code, ran.err], [1, "Aborted!\n"]);
    const yes = await sky(LAUNCH, { script, terminal: { answers: ["yes"] } });
    assertEquals([yes.code, yes.call("launch").quiet_optimizer], [0, false]);
    assert(!yes.out.includes("Running on cluster"));
  }
});

Deno.test("launch makes nothing when declined or at EOF", async () => {
  for (const answers of [["n"], []]) {
    const ran = await sky(LAUNCH, { script: SCRIPT, terminal: { answers } });
    assertEquals([ran.code, ran.err], [1, "Aborted!\n"]);
    assertEquals(names(ran), ["validate", "status", "optimize"]);
  }
});

Deno.test("launch left by Ctrl+C says how to come back (transcript 12.3)", async () => {
  const interrupt = new AbortController();
  const script: Script = { ...SCRIPT, onStream: (what) => what === "launch" && interrupt.abort() };
  const ran = await sky([...LAUNCH, "-y"], { script, interrupt });
  assertEquals(
    ran.out,
    `Command to run: echo hi\nRunning on cluster: my-cluster\n${SHOWN}\n` +
      `⚙︎ Request will continue running asynchronously.\n├── View logs: sky api logs f01d0f9e\n` +
      `├── Or, visit: ${ENDPOINT}/api/stream?request_id=f01d0f9e\n` +
      `└── To cancel the request, run: sky api cancel f01d0f9e\n\n`,
  );
  assertEquals([ran.code, ran.err], [1, "\nAborted!\n"]);
});

Deno.test("Ctrl+C in the plan or in the job's log only says Aborted!", async () => {
  for (const what of ["optimize", "job"]) {
    const interrupt = new AbortController();
    const script: Script = { ...SCRIPT, onStream: (now) => now === what && interrupt.abort() };
    const ran = await sky(LAUNCH, { script, interrupt, terminal: { answers: ["y"] } });
    assertEquals([ran.code, ran.err], [1, "\nAborted!\n"], what);
    assert(!ran.out.includes("continue running"), what);
    assert(!ran.out.includes("Useful Commands"), what);
  }
});

Deno.test("Ctrl+C at the question only says Aborted!", async () => {
  const interrupt = new AbortController();
  const running = sky(LAUNCH, { script: SCRIPT, interrupt, terminal: { hang: true } });
  setTimeout(() => interrupt.abort());
  const ran = await running;
  assertEquals([ran.code, ran.err], [1, "\nAborted!\n"]);
});

Deno.test("launch --async submits and returns (transcript 12.4)", async () => {
  await inFolder({ "task.yaml": "run: echo hi\n" }, async (cwd) => {
    const argv = ["launch", "-c", "my-cluster", "--async", "-y", "task.yaml"];
    const ran = await sky(argv, { script: SCRIPT, cwd });
    assertEquals(ran.out, `YAML to run: task.yaml\nRunning on cluster: my-cluster\n${ASYNC}`);
    assertEquals([ran.code, names(ran)], [0, ["validate", "launch"]]);
  });
});

Deno.test("launch -d follows nothing and still gives hints; --dryrun gives none", async () => {
  const detached = await sky([...LAUNCH, "-y", "-d"], { script: SCRIPT });
  assertEquals([detached.code, names(detached)], [0, ["validate", "launch"]]);
  assert(detached.out.endsWith(`⚙︎ Job submitted, ID: 1\n\n${BOX}`));
  assertStringIncludes((await sky([...LAUNCH, "-y", "-d", "-no-d"], { script: SCRIPT })).out, JOB);
  const dry = await sky([...LAUNCH, "--dryrun"], { script: SCRIPT, terminal: { answers: ["y"] } });
  assertEquals([dry.code, dry.call("launch").dryrun], [0, true]);
  assert(dry.out.endsWith(SHOWN + "\n"));
});

Deno.test("launch without a run section has no job block; local clusters have no ssh line", async () => {
  const local = {
    job_id: null,
    handle: { launched_resources: { infra: "ssh/local" } },
  } as unknown as Script["launch"];
  const ran = await sky(["launch", "-c", "my-cluster", "-y"], {
    script: { logs: { launch: "" }, ...(local === undefined ? {} : { launch: local }) },
  });
  assertEquals(
    ran.out,
    `Running on cluster: my-cluster\n\n📋 Useful Commands\nCluster name: my-cluster\n` +
      `├── To submit a job:\t\tsky exec my-cluster yaml_file\n├── To stop the cluster:\tsky stop my-cluster\n` +
      `└── To teardown the cluster:\tsky down my-cluster\n`,
  );
  assertEquals(
    (parse(String(ran.call("launch").task).split("---\n")[1] ?? "") as { run?: string }).run,
    undefined,
  );
});

Deno.test("launch parts provisioning and job by one empty line, whoever prints it", async () => {
  const short = { ...SCRIPT, logs: { launch: PROVISION.trimEnd() } };
  const own = await sky([...LAUNCH, "-y"], { script: short });
  const theirs = await sky([...LAUNCH, "-y"], { script: SCRIPT });
  assertEquals(own.out, theirs.out);
});

Deno.test("launch names the dashboard of a remote server", async () => {
  const ran = await sky([...LAUNCH, "-y"], { script: { ...SCRIPT, remote: true } });
  assertStringIncludes(ran.out, `├── View on dashboard:\t\t${ENDPOINT}/dashboard/clusters/my-cluster\n`);
});

Deno.test("launch makes up a name without asking the server about it", async () => {
  const ran = await sky(["launch", "echo hi"], { script: SCRIPT, terminal: { answers: ["y"] } });
  assertMatch(String(ran.call("launch").cluster_name), /^sky-[0-9a-f]{4}-root$/);
  assertEquals(names(ran), ["validate", "optimize", "launch", "logs"]);
});

Deno.test("launch -c task.yaml asks whether the name was forgotten", async () => {
  await inFolder({ "task.yaml": "run: echo hi\n", plain: "x" }, async (cwd) => {
    for (const name of ["task.yaml", "plain", "other.yml"]) {
      const ran = await sky(["launch", "-c", name], { script: SCRIPT, cwd, terminal: { answers: [""] } });
      assertEquals(
        ran.out,
        `Cluster name '${name}' looks like a file path. Did you mean: sky launch -c <cluster-name> ${name}\n` +
          "Proceed anyway? [y/N]: \n",
      );
      assertEquals([ran.code, ran.err], [1, "Aborted!\n"]);
      const yes = await sky(["launch", "-y", "-c", name], { script: SCRIPT, cwd });
      assertEquals(yes.code, 0);
      assert(!yes.out.includes("Proceed"));
    }
  });
});

Deno.test("launch refuses reserved names before anything else", async () => {
  const ran = await sky(["launch", "-c", "sky-jobs-controller-abc", "-y", "echo"]);
  assertEquals(ran.code, 1);
  assertEquals(
    ran.err,
    "sky.exceptions.NotSupportedError: Cluster sky-jobs-controller-abc is reserved for managed jobs controller. " +
      "Launching tasks on it is not allowed.\n",
  );
  assertEquals([ran.out, ran.calls], ["", []]);
});

Deno.test("launch turns a failed request into its error", async () => {
  const error = new SkyError("resources_unavailable", "Failed to provision.");
  const ran = await sky([...LAUNCH, "-y"], { script: { ...SCRIPT, errors: { "launch:end": error } } });
  assertEquals([ran.code, ran.err], [1, "sky.exceptions.ResourcesUnavailableError: Failed to provision.\n"]);
  assert(!ran.out.includes("Useful Commands"));
});

Deno.test("launch sends autostop flags with the task", async () => {
  const autostop = async (...flags: string[]) => {
    const ran = await sky(["launch", "-c", "c", "-y", "-d", ...flags, "echo"], { script: SCRIPT });
    const [, task = ""] = String(ran.call("launch").task).split("---\n");
    return (parse(task) as { resources: { autostop?: unknown } }).resources.autostop;
  };
  assertEquals(await autostop(), undefined);
  assertEquals(await autostop("--wait-for", "jobs"), undefined);
  assertEquals(await autostop("-i", "10"), { idle_minutes: 10, down: false });
  assertEquals(await autostop("-i", "10", "--down"), { idle_minutes: 10, down: true });
  assertEquals(await autostop("--down", "--wait-for", "none"), {
    idle_minutes: 0,
    down: true,
    wait_for: "none",
  });
  assertEquals(await autostop("-i", "-1"), false);
});

Deno.test("the spinner of a launch is shown in a terminal and gone at its end", async () => {
  const ran = await sky([...LAUNCH, "-y"], { script: SCRIPT, terminal: { tty: true, color: true } });
  assertStringIncludes(ran.out, "Launching  View logs: sky logs --provision my-cluster");
  assertEquals(ran.code, 0);
});
