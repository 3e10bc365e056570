import { assertEquals } from "@std/assert";
import { newResources } from "../../core/resources.ts";
import { checkResources, parseResources, resourcesYaml } from "../../core/resources_parse.ts";
import { parse } from "../../core/yaml.ts";
import { assertRefuses } from "./refusal.ts";

const from = (text: string) => parseResources(parse(text));
const only = (text: string) => {
  const { candidates } = from(text);
  assertEquals(candidates.length, 1);
  return candidates[0]!;
};
const gpusOf = (text: string) => {
  const { kind, candidates } = from(text);
  return [kind, ...candidates.map(({ accelerators }) => JSON.stringify(accelerators))];
};
const refused = (text: string, message: string | RegExp) =>
  assertRefuses(() => from(text), "invalid_argument", message);
const malformed = (text: string, rest: string) =>
  assertRefuses(() => from(text), "invalid_task", `Invalid resources YAML: ${rest}`);

Deno.test("parseResources takes nothing as a wish for anything", () => {
  for (const none of [null, undefined, {}, { cpus: null }]) {
    assertEquals(parseResources(none), { kind: "any_of", candidates: [newResources()] });
  }
});

Deno.test("parseResources reads every field", () => {
  const wish = only(`
infra: AWS/us-east-1/us-east-1a
accelerators: h100:8
cpus: 4+
memory: 16GB+
instance_type: p5.48xlarge
use_spot: true
job_recovery: failover
disk_size: 1TB
disk_tier: High
network_tier: BEST
local_disk: 1000+
max_hourly_cost: 12.5
ports: [8081, 8080]
image_id: docker:ubuntu
labels: {team: ml}
autostop: {idle_minutes: 10, down: true, wait_for: JOBS}
priority: 5
priority_class: ' urgent '
`);
  assertEquals(
    wish,
    newResources({
      cloud: "aws",
      region: "us-east-1",
      zone: "us-east-1a",
      accelerators: { H100: 8 },
      cpus: "4+",
      memory: "16+",
      instanceType: "p5.48xlarge",
      useSpot: true,
      jobRecovery: "FAILOVER",
      diskSize: 1024,
      diskTier: "high",
      networkTier: "best",
      localDisk: "nvme:1000+",
      maxHourlyCost: 12.5,
      ports: ["8080-8081"],
      imageId: "docker:ubuntu",
      labels: { team: "ml" },
      autostop: { enabled: true, idleMinutes: 10, down: true, waitFor: "jobs" },
      priority: 5,
      priorityClass: "urgent",
    }),
  );
});

Deno.test("parseResources takes the old place keys and gpus", () => {
  const wish = only("{cloud: GCP, region: us-central1, zone: us-central1-a, gpus: L4}");
  assertEquals([wish.cloud, wish.region, wish.zone, wish.accelerators], [
    "gcp",
    "us-central1",
    "us-central1-a",
    { L4: 1 },
  ]);
  assertEquals(only("{cloud: ssh, region: lab}").region, "ssh-lab");
  refused(
    "{infra: aws, region: x}",
    "Cannot specify both `infra` and `cloud`, `region`, or `zone` parameters.",
  );
  refused("{gpus: L4, accelerators: L4}", "Cannot specify both gpus and accelerators in config.");
  refused("{infra: nocloud}", /^Cloud 'nocloud' is not a valid cloud among \[/);
});

Deno.test("parseResources any_of overrides per key and merges labels without leaking between entries", () => {
  const { kind, candidates } = from(`
cpus: 4
labels: {a: base, b: base}
any_of:
- {infra: aws, labels: {b: one, c: one}}
- {infra: gcp, cpus: 8}
`);
  assertEquals(kind, "any_of");
  assertEquals(candidates.map(({ cloud, cpus, labels }) => ({ cloud, cpus, labels })), [
    { cloud: "aws", cpus: "4", labels: { a: "base", b: "one", c: "one" } },
    { cloud: "gcp", cpus: "8", labels: { a: "base", b: "base" } },
  ]);
});

Deno.test("parseResources keeps the order of ordered lists and of accelerator lists", () => {
  assertEquals(gpusOf("ordered: [{gpus: L4}, {accelerators: 'A100:2'}]"), [
    "ordered",
    '{"L4":1}',
    '{"A100":2}',
  ]);
  assertEquals(gpusOf("accelerators: [L4, 'A100:2']"), ["ordered", '{"L4":1}', '{"A100":2}']);
  assertEquals(gpusOf("accelerators: {L4:1, A100:2}"), ["any_of", '{"L4":1}', '{"A100":2}']);
  assertEquals(gpusOf("accelerators: {L4: 2}"), ["any_of", '{"L4":2}']);
});

Deno.test("parseResources makes the cross product of a base set with any_of and refuses other mixes", () => {
  const { candidates } = from("{accelerators: {L4: 1, T4: 1}, any_of: [{infra: aws}, {infra: gcp}]}");
  assertEquals(candidates.map(({ cloud, accelerators }) => [cloud, Object.keys(accelerators ?? {})[0]]), [
    ["aws", "L4"],
    ["aws", "T4"],
    ["gcp", "L4"],
    ["gcp", "T4"],
  ]);
  refused(
    "{accelerators: {L4: 1, T4: 1}, ordered: [{infra: aws}]}",
    'Cannot specify multiple "accelerators" with "ordered" in resources.',
  );
  refused(
    "{accelerators: [L4, T4], any_of: [{infra: aws}]}",
    'Cannot specify multiple "accelerators" with "any_of" in resources.',
  );
  refused("{any_of: [{}], ordered: [{}]}", 'Cannot specify both "any_of" and "ordered" in resources.');
});

Deno.test("parseResources tells wrong shapes in the reference's words", () => {
  malformed("accelerator: L4", "Instead of 'accelerator', did you mean 'accelerators'?");
  malformed("foo: 1", "Found unsupported field 'foo'.");
  malformed("cpus: [1]", "[1] is not of type 'string'. Check problematic field(s): $.cpus");
  malformed("use_spot: 'yes'", "'yes' is not of type 'boolean'. Check problematic field(s): $.use_spot");
  malformed("labels: {a: 1}", "1 is not of type 'string'. Check problematic field(s): $.labels.a");
  malformed("labels: x", "'x' is not of type 'dict'. Check problematic field(s): $.labels");
  malformed(
    "priority: 5000",
    "5000 is greater than the maximum of 1000. Check problematic field(s): $.priority",
  );
  malformed(
    "priority: -5000",
    "-5000 is less than the minimum of -1000. Check problematic field(s): $.priority",
  );
  malformed(
    "max_hourly_cost: 0",
    "0 is less than or equal to the minimum of 0. Check problematic field(s): $.max_hourly_cost",
  );
  malformed(
    "disk_tier: foo",
    "'foo' is not one of ['low', 'medium', 'high', 'ultra', 'best']. Check problematic field(s): $.disk_tier",
  );
  malformed(
    "autostop: {idle_minutes: x}",
    "'x' is not of type 'integer'. Check problematic field(s): $.autostop.idle_minutes",
  );
  malformed(
    "any_of: [{cpus: {}}]",
    "{} is not of type 'string'. Check problematic field(s): $.any_of[0].cpus",
  );
  malformed("any_of: [{any_of: []}]", "Found unsupported field 'any_of'.");
  malformed(
    "ordered: [{accelerators: {L4: 1, T4: 1}}]",
    "{'L4': 1, 'T4': 1} has too many properties. Check problematic field(s): $.ordered[0].accelerators",
  );
  malformed(
    "job_recovery: {recover_on_exit_codes: [1, 1]}",
    "[1, 1] has non-unique elements. Check problematic field(s): $.job_recovery.recover_on_exit_codes",
  );
  assertRefuses(
    () => parseResources([1]),
    "invalid_task",
    /^Invalid resources YAML: \[1\] is not of type 'dict'/,
  );
  assertRefuses(
    () => from("hooks: []"),
    "invalid_task",
    /^Lifecycle hooks live under top-level `config\.hooks:`, not `resources\.hooks:`\./,
  );
});

Deno.test("parseResources tells wrong values in the reference's words", () => {
  refused(
    "accelerators: 'A100:x'",
    `The "accelerators" field as a str should be <name> or <name>:<cnt>. Found: 'A100:x'`,
  );
  refused("cpus: abc", `The "cpus" field should be either a number or a string "<number>+". Found: 'abc'`);
  refused("ports: 99999999", "Invalid port 99999999. Please use a port number between 1 and 65535.");
  refused("disk_size: 0", '"disk_size" must be a positive integer (in GB).');
  refused("memory: 0", 'The "memory" field should be positive. Found: 0');
  assertEquals(only("{infra: slurm, memory: 0}").memory, "0");
  refused("any_of: [{priority: 1}, {priority: 2}]", "Priority is not consistent across resources");
  refused("any_of: [{autostop: 1}, {autostop: 2}]", "All resources must have the same autostop config.");
  refused(
    "{infra: aws, ephemeral_storage: 5}",
    "ephemeral_storage is only supported on Kubernetes, not on AWS.",
  );
  refused("autostop: 10x", "Invalid time format: 10x");
});

Deno.test("parseResources knows job_recovery none, blank classes and TPUs", () => {
  assertEquals(only("job_recovery: none").jobRecovery, null);
  assertEquals(only("job_recovery: NONE").jobRecovery, "NONE");
  assertEquals(only("job_recovery: {strategy: eager_next_region, max_restarts_on_errors: 3}").jobRecovery, {
    strategy: "EAGER_NEXT_REGION",
    max_restarts_on_errors: 3,
  });
  assertEquals(only("priority_class: ' '").priorityClass, null);
  const tpu = only("accelerators: TPU-V5E-8");
  assertEquals([tpu.cloud, tpu.accelerators, tpu.acceleratorArgs], [
    "gcp",
    { "tpu-v5e-8": 1 },
    { runtime_version: "v2-alpha-tpuv5" },
  ]);
});

Deno.test("checkResources waits for overrides with what needs a cloud", () => {
  const checked = (text: string) => () => checkResources(from(text));
  assertRefuses(
    checked("image_id: x"),
    "invalid_argument",
    "Cloud must be specified when image_id is provided.",
  );
  checked("image_id: docker:x")();
  checked("{infra: gcp, image_id: x}")();
  assertRefuses(
    checked("{infra: aws, image_id: ami-1}"),
    "invalid_argument",
    /^image_id is only supported for AWS in a/,
  );
  assertRefuses(
    checked("{infra: aws, labels: {'aws:x': y}}"),
    "invalid_argument",
    /^The following labels are invalid:\nLabel +Reason +\naws:x: y /,
  );
  assertRefuses(
    checked("{infra: k8s, labels: {Upper: y}}"),
    "invalid_argument",
    /Invalid label key for kubernetes/,
  );
  checked("{infra: local, labels: {'any thing': 'at all'}}")();
});

Deno.test("resourcesYaml writes infra and disk_size and reads back to the same wish", () => {
  assertEquals(resourcesYaml(parseResources({})), { disk_size: 256 });
  const texts = [
    "{infra: kubernetes/kind, cpus: 2+, memory: 4+, accelerators: h100, ports: 8080}",
    "{any_of: [{infra: aws/us-east-1}, {infra: '*/us-west-2', use_spot: true}], labels: {a: b}}",
    "{accelerators: [L4, 'A100:2'], autostop: 10}",
    "{accelerators: 80GB+, infra: ssh/lab, autostop: false}",
    "{infra: slurm/hpc/gpu, autostop: {idle_minutes: 5, down: true, wait_for: none}, image_id: {us: x}}",
    "{job_recovery: {strategy: FAILOVER}, local_disk: nvme, _docker_login_config: {username: u, password: p, server: s}}",
    "{priority: -3, max_hourly_cost: 2, ephemeral_storage: 20, network_tier: best, disk_tier: low, disk_size: 300}",
  ];
  for (const text of texts) {
    const once = resourcesYaml(from(text));
    assertEquals(resourcesYaml(parseResources(once)), once, text);
  }
  assertEquals(resourcesYaml(from(texts[0]!)), {
    infra: "kubernetes/kind",
    cpus: "2+",
    memory: "4+",
    accelerators: { H100: 1 },
    disk_size: 256,
    ports: ["8080"],
  });
  assertEquals(Object.keys(resourcesYaml(from(texts[2]!))), ["ordered"]);
});
