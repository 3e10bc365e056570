import { assertEquals } from "@std/assert";
import {
  applyDagOverrides,
  applyOverrides,
  overrideResources,
  type TaskOverrides,
} from "../../core/overrides.ts";
import { newResources } from "../../core/resources.ts";
import { parseResources } from "../../core/resources_parse.ts";
import { newTask, parseTask } from "../../core/task_parse.ts";
import { parseDag } from "../../core/task_yaml.ts";
import { assertRefuses } from "./refusal.ts";

const full = {
  infra: "aws/us-east-1/us-east-1a",
  accelerators: "A100:8",
  cpus: 4,
  memory: 16,
  instance_type: "t",
  image_id: "ami-1",
  disk_tier: "low",
  network_tier: "best",
  local_disk: "nvme",
  ports: 80,
  priority: 5,
};
const after = (yaml: unknown, flags: TaskOverrides) =>
  overrideResources(parseResources(yaml), flags).candidates[0]!;
const refused = (flags: TaskOverrides, message: string | RegExp) =>
  assertRefuses(() => applyOverrides(newTask(), flags), "invalid_argument", message);

Deno.test("applyOverrides leaves alone what no flag names", () => {
  const task = parseTask({ name: "x", workdir: "d", num_nodes: 2, resources: full, run: "y" });
  assertEquals(applyOverrides(task, {}), task);
});

Deno.test("overrideResources sets each field in every alternative", () => {
  const choice = parseResources({ any_of: [{ infra: "aws" }, { infra: "gcp", cpus: 2 }] });
  const set = overrideResources(choice, {
    cpus: "8+",
    memory: "32GB",
    useSpot: false,
    diskSize: 100,
    ports: ["80", "81"],
  });
  assertEquals(
    set.candidates.map(({ cloud, cpus, memory, useSpot, diskSize, ports }) => [
      cloud,
      cpus,
      memory,
      useSpot,
      diskSize,
      ports,
    ]),
    [["aws", "8+", "32", false, 100, ["80-81"]], ["gcp", "8+", "32", false, 100, ["80-81"]]],
  );
  const same = overrideResources(choice, { infra: "k8s", cpus: 1 });
  assertEquals([same.kind, same.candidates], ["any_of", [newResources({ cloud: "kubernetes", cpus: "1" })]]);
  const wish = after({}, {
    infra: "AWS/us-east-1",
    gpus: "h100:8",
    instanceType: "p5",
    diskTier: "HIGH",
    networkTier: "Best",
    localDisk: "1000+",
    imageId: "docker:x",
    priority: "7",
    autostop: { idleMinutes: 5, down: true, waitFor: "jobs" },
  });
  assertEquals(
    wish,
    newResources({
      cloud: "aws",
      region: "us-east-1",
      accelerators: { H100: 8 },
      instanceType: "p5",
      diskTier: "high",
      networkTier: "best",
      localDisk: "nvme:1000+",
      imageId: "docker:x",
      priority: 7,
      autostop: { enabled: true, idleMinutes: 5, down: true, waitFor: "jobs" },
    }),
  );
});

Deno.test("overrideResources takes none and * as unspecified", () => {
  const none = after(full, {
    cloud: "none",
    region: "*",
    zone: "NONE",
    gpus: "None",
    cpus: "none",
    memory: "none",
    instanceType: "none",
    imageId: "none",
    diskTier: "none",
    networkTier: "none",
    localDisk: "none",
    ports: ["none"],
    priority: "none",
  });
  assertEquals(none, newResources());
  assertEquals(after(full, { infra: "gcp" }).zone, null);
  assertEquals(after(full, { infra: "*" }).cloud, null);
  assertEquals(after(full, { region: "us-west-2" }).cloud, "aws");
});

Deno.test("overrideResources expands accelerators and drops repeated alternatives", () => {
  const choice = parseResources({ accelerators: ["L4", "T4"] });
  assertEquals(overrideResources(choice, { gpus: "V100" }).candidates.map((each) => each.accelerators), [{
    V100: 1,
  }]);
  const many = overrideResources(parseResources({}), { gpus: "NVIDIA:80GB:2" }).candidates;
  assertEquals(many.every((each) => each.other["_no_missing_accel_warnings"] === true), true);
  assertEquals(after({ infra: "slurm", accelerators: "L4" }, { memory: 0 }).memory, "0");
});

Deno.test("overrideResources sets priority or its class, each clearing the other", () => {
  assertEquals(after({ priority_class: "x" }, { priority: "-5" }), newResources({ priority: -5 }));
  assertEquals(after({ priority: 5 }, { priority: "urgent" }), newResources({ priorityClass: "urgent" }));
});

Deno.test("overrideResources patches autostop", () => {
  const given = { autostop: { idle_minutes: 30, wait_for: "none" } };
  assertEquals(after(given, { autostop: { down: true } }).autostop, {
    enabled: true,
    idleMinutes: 30,
    down: true,
    waitFor: "none",
  });
  assertEquals(after(given, { autostop: { idleMinutes: -1 } }).autostop?.enabled, false);
});

Deno.test("applyOverrides refuses with the words of cli.md 2.3 and 2.4", () => {
  refused(
    { cpus: "abc" },
    `The "cpus" field should be either a number or a string "<number>+". Found: 'abc'`,
  );
  refused(
    { memory: "abc" },
    '"memory" field should be a number (e.g. "16") or "<number><unit>" where unit is one of KB/MB/GB/TB/PB ' +
      `(e.g. "16GB") or "<number>+" for "at least". Got: 'abc'`,
  );
  refused({ ports: ["99999999"] }, "Invalid port 99999999. Please use a port number between 1 and 65535.");
  refused(
    { ports: ["5-2"] },
    'Invalid port range 5-2. Please use the format "from-to", in which from <= to. e.g. "1-3".',
  );
  refused({ ports: ["none", "80"] }, 'Cannot specify both "none" and other ports.');
  refused({ imageId: "x" }, "Cloud must be specified when image_id is provided.");
  refused({ priority: "5000" }, "Priority must be between -1000 and 1000. Found: 5000");
  refused(
    { localDisk: "foo" },
    `Invalid local_disk: 'foo'. Expected "mode:size[+]", "mode", or "size[+]". Mode must be "nvme" or "ssd", size ` +
      `must be positive (GB), optionally with "+".`,
  );
  refused({ infra: "aws/a/b/c" }, /^Invalid infra format: aws\/a\/b\/c\. Expected format/);
  refused({ infra: "nocloud" }, /^Cloud 'nocloud' is not a valid cloud among \[/);
  refused({ infra: "aws", region: "x" }, "Cannot specify both --infra and --cloud, --region, or --zone.");
  refused({ cloud: "nocloud" }, /^Cloud 'nocloud' is not a valid cloud among \[/);
  refused(
    { gpus: "A100:x" },
    `The "accelerators" field as a str should be <name> or <name>:<cnt>. Found: 'A100:x'`,
  );
  refused({ numNodes: -1 }, "num_nodes should be a positive int. Got: -1");
  refused({ diskSize: 0 }, '"disk_size" must be a positive integer (in GB).');
  refused({ diskTier: "foo" }, "Invalid disk_tier 'foo'. Valid values: low, medium, high, ultra, best.");
  refused({ networkTier: "foo" }, "Invalid network_tier 'foo'. Valid values: standard, best.");
  refused({ name: "a b" }, /^Invalid task name 'a b'/);
});

Deno.test("applyOverrides patches names, nodes and workdirs", () => {
  const git = parseTask({ workdir: { url: "https://x/y", ref: "main" } });
  const plain = parseTask({ name: "old", workdir: "d" });
  const dir = (task: typeof git, flags: TaskOverrides) => applyOverrides(task, flags).workdir;
  const named = applyOverrides(plain, { name: "new", numNodes: 3 });
  assertEquals([named.name, named.numNodes], ["new", 3]);
  assertEquals(dir(plain, { workdir: "e" }), "e");
  assertEquals(dir(plain, { gitUrl: "u" }), { url: "u", ref: null });
  assertEquals(dir(plain, { gitUrl: "u", gitRef: "v1" }), { url: "u", ref: "v1" });
  assertEquals(dir(git, { gitRef: "v2" }), { url: "https://x/y", ref: "v2" });
  assertEquals(dir(git, { workdir: "e" }), { url: "https://x/y", ref: "main" });
  assertRefuses(
    () => applyOverrides(plain, { gitUrl: "u", workdir: "e" }),
    "usage",
    "Cannot specify both --git-url and --workdir",
  );
  assertRefuses(
    () => applyOverrides(plain, { gitRef: "v" }),
    "usage",
    "Cannot specify --git-ref without --git-url",
  );
});

Deno.test("applyOverrides puts the task's part of --config over its config section", () => {
  const task = parseTask({ config: { kubernetes: { provision_timeout: 1, pod_config: { a: 1 } } } });
  const config = {
    kubernetes: { provision_timeout: 2, networking: "nodeport", pod_config: { b: 2 } },
    jobs: { bucket: "s3://x" },
    docker: { run_options: ["-v"] },
    gcp: { other: 1 },
  };
  assertEquals(applyOverrides(task, { config }).sections["config"], {
    kubernetes: { provision_timeout: 2, pod_config: { a: 1, b: 2 } },
    docker: { run_options: ["-v"] },
  });
  assertEquals(applyOverrides(newTask(), { config: { jobs: {} } }).sections, {});
});

Deno.test("applyDagOverrides gives several tasks only places and says what it ignored", () => {
  const warnings: string[] = [];
  const warn = (message: string) => warnings.push(message);
  const pipe = parseDag("name: p\n---\nrun: a\n---\nrun: b\n");
  const done = applyDagOverrides(pipe, { workdir: "w", cpus: "4", useSpot: true, name: "q" }, { warn });
  assertEquals([done.name, ...done.tasks.map(({ workdir }) => workdir)], ["q", "w", "w"]);
  assertEquals(done.tasks[0]?.resources.candidates[0]?.cpus, null);
  const group = parseDag("name: g\nexecution: parallel\n---\nname: a\nrun: x\n---\nname: b\nrun: y\n");
  applyDagOverrides(group, { cpus: "4" }, { warn });
  applyDagOverrides(group, { workdir: "w" }, { warn });
  assertEquals(warnings, [
    "WARNING: override params {'cpus': '4', 'use_spot': True} are ignored, since the yaml file contains multiple tasks.",
    "WARNING: override params {'cpus': '4'} are ignored for JobGroup YAML.",
  ]);
  const one = applyDagOverrides(parseDag("name: x\nrun: a"), { name: "y", cpus: "4" });
  assertEquals([one.name, one.tasks[0]?.name, one.tasks[0]?.resources.candidates[0]?.cpus], ["y", "y", "4"]);
});
