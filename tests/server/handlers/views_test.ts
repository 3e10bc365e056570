/** Records as the wire spells them, golden. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { ClusterRecord } from "../../../core/cluster.ts";
import type { Context } from "../../../core/context.ts";
import type { JobRecord } from "../../../core/job.ts";
import { SkyError } from "../../../core/errors.ts";
import { dagOf, taskOf } from "../../../server/handlers/task_text.ts";
import type { World } from "../../../server/handlers/handler.ts";
import { clusterView, handleView, jobView, launchedView } from "../../../server/handlers/views.ts";
import { Blobs } from "../../../server/uploads/blobs.ts";

const CLUSTER: ClusterRecord = {
  name: "c1",
  hash: "h1",
  nameOnCloud: "c1-abcd1234",
  status: "UP",
  statusUpdatedAt: 1_780_000_000_999,
  launchedAt: 1_780_000_000_500,
  everUp: true,
  numNodes: 2,
  resources: {
    cloud: "local",
    region: null,
    zone: null,
    instanceType: null,
    cpus: 2,
    memory: 4,
    accelerators: { H100: 1 },
    useSpot: false,
    diskSize: 256,
    ports: ["8080"],
    labels: { a: "b" },
    imageId: null,
    hourlyCost: 0,
  },
  handle: { version: 1 },
  autostop: { idleMinutes: 10, down: true, waitFor: "jobs", setAt: 0 },
  lastActiveAt: 0,
  userId: "abcd1234",
  userName: "alice",
  workspace: "default",
  lastUse: "sky launch",
  lastEvent: null,
  launchReason: null,
  lastCreationYaml: null,
  lastCreationCommand: "sky launch",
  configHash: null,
};

/** The keys that SkyPilot's client allows in resources (wire.md §14.4): others make it crash. */
const ALLOWED =
  ("infra cloud region zone instance_type cpus memory accelerators accelerator_args use_spot job_recovery " +
    "disk_size ephemeral_storage image_id disk_tier network_tier local_disk max_hourly_cost ports labels autostop")
    .split(" ");

Deno.test("clusterView: whole seconds, text columns, a handle that SkyPilot's client can read", () => {
  const view = clusterView(CLUSTER, {
    handle: true,
    ips: [["127.0.0.2", "127.0.0.2"], ["127.0.0.3", "127.0.0.3"]],
  });
  assertEquals([view.launched_at, view.status_updated_at], [1_780_000_000, 1_780_000_000]);
  assertEquals([view.autostop, view.to_down, view.nodes], [10, true, 2]);
  assertEquals([view.cloud, view.region, view.cpus, view.memory, view.accelerators], [
    "Local",
    null,
    "2.0",
    "4.0",
    '{"H100":1}',
  ]);
  assertEquals(view.resources_str, "2x(gpus=H100:1, cpus=2, mem=4, ...)");
  assertEquals(view.handle, {
    cluster_name: "c1",
    cluster_name_on_cloud: "c1-abcd1234",
    cluster_yaml: null,
    launched_nodes: 2,
    launched_resources: {
      infra: "ssh/local",
      instance_type: "2CPU--4GB--H100:1",
      cpus: "2",
      memory: "4",
      accelerators: { H100: 1 },
      disk_size: 256,
      ports: ["8080"],
      labels: { a: "b" },
    },
    stable_internal_external_ips: [["127.0.0.2", "127.0.0.2"], ["127.0.0.3", "127.0.0.3"]],
    stable_ssh_ports: [22, 22],
    docker_user: null,
    is_grpc_enabled: false,
    ssh_user: null,
  });
  for (const key of Object.keys(view.handle!.launched_resources)) assert(ALLOWED.includes(key), key);
  assertEquals(JSON.parse(JSON.stringify(view)), view);
});

Deno.test("a stopped cluster's handle has no addresses; without handle there is none", () => {
  assertEquals(handleView(CLUSTER, null).stable_internal_external_ips, null);
  assertEquals("handle" in clusterView(CLUSTER, { handle: false, ips: null }), false);
});

Deno.test("launchedView of a real cloud names its place and type", () => {
  const aws = {
    ...CLUSTER.resources,
    cloud: "aws",
    region: "us-east-1",
    zone: "us-east-1a",
    instanceType: "m6i.large",
    accelerators: null,
    useSpot: true,
  };
  assertEquals(launchedView(aws), {
    infra: "aws/us-east-1/us-east-1a",
    instance_type: "m6i.large",
    cpus: "2",
    memory: "4",
    use_spot: true,
    disk_size: 256,
    ports: ["8080"],
    labels: { a: "b" },
  });
});

Deno.test("jobView: float seconds, metadata is always an object", () => {
  const job: JobRecord = {
    clusterHash: "h",
    id: 3,
    name: null,
    userId: "u",
    userName: "n",
    status: "RUNNING",
    submittedAt: 1500,
    startedAt: 2500,
    endedAt: null,
    resources: "1x[CPU:1+]",
    numNodes: 1,
    accelerators: null,
    spec: "{}",
    nodes: [],
    gpus: [],
    exitCodes: [],
    logDir: "3-x",
    requestId: "r",
    gitCommit: null,
  };
  assertEquals(jobView(job), {
    job_id: 3,
    job_name: "-",
    username: "n",
    user_hash: "u",
    submitted_at: 1.5,
    start_at: 2.5,
    end_at: null,
    resources: "1x[CPU:1+]",
    status: "RUNNING",
    log_path: "~/sky_logs/3-x",
    metadata: {},
  });
  assertEquals(jobView({ ...job, gitCommit: "abc" }).metadata, { git_commit: "abc" });
});

Deno.test("taskOf: one task only; uploaded paths lead below the blob, whatever the mapping says", () => {
  const ctx = { user: { id: "u", name: "n" } } as Context;
  const world = { blobs: new Blobs("/clients") } as World;
  const blob = "ab".repeat(32);
  const of = (text: string) => taskOf(text, { file_mounts_blob_id: blob }, { ctx, world });
  const text =
    "workdir: /w\nfile_mounts:\n  /r: /f\n  /s3: s3://bucket/x\nfile_mounts_mapping:\n  /w: /home/u/w\n  /f: /home/u/f\n";
  const task = of(text);
  assertEquals(task.workdir, `/clients/u/file_mounts/blobs/${blob}/home/u/w`);
  assertEquals(task.fileMounts, {
    "/r": `/clients/u/file_mounts/blobs/${blob}/home/u/f`,
    "/s3": "s3://bucket/x",
  });
  assertEquals(of("workdir: /w\n").workdir, "/w");
  for (
    const bad of [
      "workdir: /w\nfile_mounts_mapping:\n  /other: /x\n",
      "workdir: /w\nfile_mounts_mapping:\n  /w: /a/../../../etc\n",
      "name: d\n---\nrun: a\n---\nrun: b\n",
    ]
  ) {
    assertThrows(() => of(bad), SkyError);
  }
  const [local] = dagOf("resources:\n  infra: ssh/local\nrun: x\n").tasks;
  assertEquals([local!.resources.candidates[0]!.cloud, local!.resources.candidates[0]!.region], [
    "local",
    null,
  ]);
});
