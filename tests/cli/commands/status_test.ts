import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { SkyError } from "../../../core/errors.ts";
import { cluster, DAY, HOUR, inputOf, keysOf, lines, serverWith, sky } from "./fake_sky.ts";

const infra = (where: string) => ({
  ...cluster("x").handle!,
  launched_resources: { infra: where },
});

/** The clusters of cli.md §12.6. */
const SIX = [
  cluster("boot", {
    age: 5,
    status: "INIT",
    cloud: "AWS",
    region: "us-east-1",
    resources_str: "1x(gpus=T4:1, g4dn.xlarge, ...)",
  }),
  cluster("my-cluster", {
    age: 39,
    cloud: "AWS",
    region: "us-east-1",
    handle: infra("aws/us-east-1/us-east-1a"),
    resources_str: "1x(cpus=8, mem=32, m6i.2xlarge, ...)",
  }),
  cluster("closing", {
    age: 70,
    status: "AUTOSTOPPING",
    autostop: 0,
    cloud: "AWS",
    region: "us-east-1",
    resources_str: "1x(cpus=2, mem=8, m6i.large, ...)",
  }),
  cluster("dev", {
    age: 2 * HOUR,
    autostop: 60,
    cloud: "GCP",
    region: "us-central1",
    handle: infra("gcp/us-central1/us-central1-a"),
    resources_str: "2x[spot](gpus=A100:1, a2-highgpu-1g, ...)",
  }),
  cluster("k8s-box", {
    age: 3 * DAY,
    autostop: 10,
    to_down: true,
    cloud: "Kubernetes",
    region: "gke_proj_us-central1_my-very-long-context-name",
    resources_str: "1x(cpus=2, mem=2, ...)",
  }),
  cluster("old", {
    age: 31 * DAY,
    status: "STOPPED",
    autostop: 5,
    cloud: "AWS",
    region: "us-east-1",
    resources_str: "1x(gpus=V100:1, p3.2xlarge, ...)",
  }),
];

const AWS = { enabledClouds: () => ["lambda", "aws", "GCP"] };

Deno.test("status shows the transcript of cli.md §12.6 to the blank", async () => {
  // The autostop of a stopped cluster is not scheduled, but it is shown: the reference has none here.
  const six = SIX.map((one) => one.name === "old" ? { ...one, autostop: -1 } : one);
  const ran = await sky(["status"], { answers: serverWith(six.toReversed(), AWS) });
  assertEquals([ran.code, ran.err], [0, ""]);
  assertEquals(
    ran.text,
    lines(
      "Enabled Infra: aws, gcp, lambda",
      "",
      "Clusters",
      "NAME        INFRA                                   RESOURCES                                  STATUS        AUTOSTOP    LAUNCHED        ",
      "boot        AWS (us-east-1)                         1x(gpus=T4:1, g4dn.xlarge, ...)            INIT          -           a few secs ago  ",
      "my-cluster  AWS (us-east-1a)                        1x(cpus=8, mem=32, m6i.2xlarge, ...)       UP            -           39 secs ago     ",
      "closing     AWS (us-east-1)                         1x(cpus=2, mem=8, m6i.large, ...)          AUTOSTOPPING  0m          1 min ago       ",
      "dev         GCP (us-central1-a)                     2x[spot](gpus=A100:1, a2-highgpu-1g, ...)  UP            1h          2 hrs ago       ",
      "k8s-box     Kubernetes (gke_proj_us...ontext-name)  1x(cpus=2, mem=2, ...)                     UP            10m (down)  3 days ago      ",
      "old         AWS (us-east-1)                         1x(gpus=V100:1, p3.2xlarge, ...)           STOPPED       -           1 month ago     ",
      "",
      "Managed jobs",
      "No in-progress managed jobs. (See: sky jobs -h)",
      "",
      "Services",
      "No live services.",
      "",
      "* 3 clusters have auto{stop,down} scheduled. Refresh statuses with: sky status --refresh",
    ),
  );
});

Deno.test("status of nothing shows the empty states and no hints", async () => {
  const ran = await sky(["status"], { answers: serverWith([], AWS) });
  assertEquals(
    ran.text,
    lines(
      "Enabled Infra: aws, gcp, lambda",
      "",
      "Clusters",
      "No existing clusters.",
      "",
      "Managed jobs",
      "No in-progress managed jobs. (See: sky jobs -h)",
      "",
      "Services",
      "No live services.",
    ),
  );
});

Deno.test("status takes one exchange per question, all under way before the first answer", async () => {
  const gate = Promise.withResolvers<void>();
  const seen: string[] = [];
  const asked = <T>(key: string, value: T) => async () => {
    seen.push(key);
    if (seen.length === 6) gate.resolve();
    await gate.promise;
    return value;
  };
  const ran = await sky(["status"], {
    answers: {
      status: asked("status", []),
      enabledClouds: asked("enabledClouds", []),
      workspaces: asked("workspaces", { default: {} }),
      managedJobs: asked("managedJobs", { jobs: [], total: 0, total_no_filter: 0, status_counts: {} }),
      pools: asked("pools", []),
      services: asked("services", []),
    },
  });
  assertEquals(ran.code, 0);
  assertEquals(keysOf(ran).length, 6);
  assertEquals(inputOf(ran, "status"), {
    cluster_names: null,
    all_users: false,
    refresh: "NONE",
    summary_response: true,
    include_credentials: true,
  });
  assertEquals(inputOf(ran, "managedJobs")?.["limit"], 5);
});

Deno.test("status names: found ones of all users in the table, missing ones in lines, no other sections", async () => {
  const answers = serverWith([cluster("dev1"), cluster("dev2", { user_hash: "0123abcd", user_name: "bob" })]);
  const missing = await sky(["status", "nope"], { answers });
  assertEquals(
    missing.text,
    lines("Cluster(s) not found: nope.", "Enabled Infra: local", "", "Clusters", "Cluster 'nope' not found."),
  );
  assertEquals(missing.code, 0);
  assertEquals(keysOf(missing).includes("managedJobs"), false);
  assertEquals(inputOf(missing, "status")?.["all_users"], true);

  const globs = await sky(["status", "dev*", "nope", "x*"], { answers });
  assertStringIncludes(globs.text, "Cluster(s) not found: nope.\n");
  assertStringIncludes(globs.text, "\nClusters 'nope', 'x*' not found.\n");
  assertStringIncludes(globs.text, "NAME  USER   INFRA  RESOURCES");
  assertStringIncludes(globs.text, "dev2  bob    Local");

  const own = await sky(["status", "dev1"], { answers });
  assertStringIncludes(own.text, "NAME  INFRA  ");
});

Deno.test("status -v has the columns and widths of cli.md §12.7", async () => {
  const long = "sky launch --gpus A100 --use-spot a-very-long-file-name-for-training.yaml";
  const answers = serverWith([
    cluster("boot", {
      age: 15,
      status: "INIT",
      cloud: "AWS",
      region: "us-east-1",
      resources_str_full: "1x(gpus=T4:1, cpus=4, mem=16, g4dn.xlarge, disk=256)",
    }),
    cluster("dev", {
      age: 2 * HOUR,
      autostop: 60,
      cloud: "GCP",
      region: "us-central1",
      handle: {
        ...infra("gcp/us-central1/us-central1-a"),
        stable_internal_external_ips: [["10.0.0.2", "1.2.3.4"]],
      },
      resources_str_full: "2x[spot](gpus=A100:1, cpus=12, mem=85, a2-highgpu-1g, disk=256)",
      last_use: long,
    }),
    cluster("k8s-box", {
      age: 3 * DAY,
      cloud: "Kubernetes",
      region: "gke_proj_us-central1_my-very-long-context-name",
      resources_str_full: "1x(cpus=2, mem=2, disk=256)",
      ip: "1.2.3.4",
      last_event: "All nodes up;\nhealthy.",
    }),
  ], AWS);
  const ran = await sky(
    ["status", "-v", "--no-show-managed-jobs", "--no-show-services", "--no-show-pools"],
    { answers },
  );
  assertEquals(
    ran.text,
    lines(
      "Enabled Infra: aws, gcp, lambda",
      "",
      "Clusters",
      "NAME     WORKSPACE  INFRA                                                        RESOURCES                                                        STATUS  AUTOSTOP  LAUNCHED     HEAD_IP  COMMAND                                                                    LAST_EVENT              ",
      "boot     default    AWS (us-east-1)                                              1x(gpus=T4:1, cpus=4, mem=16, g4dn.xlarge, disk=256)             INIT    -         15 secs ago  -        sky launch -c my-cluster task.yaml                                         No recorded events.     ",
      "dev      default    GCP (us-central1-a)                                          2x[spot](gpus=A100:1, cpus=12, mem=85, a2-highgpu-1g, disk=256)  UP      1h        2 hrs ago    1.2.3.4  sky launch --gpus A100 --use-spot a-very-long-file-name-for-training.yaml  No recorded events.     ",
      "k8s-box  default    Kubernetes (gke_proj_us-central1_my-very-long-context-name)  1x(cpus=2, mem=2, disk=256)                                      UP      -         3 days ago   1.2.3.4  sky launch -c my-cluster task.yaml                                         All nodes up; healthy.  ",
      "",
      "* 1 cluster has auto{stop,down} scheduled. Refresh statuses with: sky status --refresh",
    ),
  );
  assertEquals(keysOf(ran), ["status", "enabledClouds", "workspaces"]);
  assertEquals(inputOf(ran, "status")?.["summary_response"], false);
});

Deno.test("status -u shows owners, -u -v their ids, and asks for all users' jobs too", async () => {
  const answers = serverWith([cluster("a"), cluster("b", { user_hash: "0123abcd", user_name: "bob" })]);
  const ran = await sky(["status", "-u"], { answers });
  assertStringIncludes(ran.text, "NAME  USER   INFRA");
  assertEquals(inputOf(ran, "status")?.["all_users"], true);
  assertEquals(inputOf(ran, "managedJobs")?.["all_users"], true);
  assertStringIncludes(
    (await sky(["status", "-uv"], { answers })).text,
    "NAME  USER   USER_ID   WORKSPACE  INFRA",
  );
});

Deno.test("status -r asks the infra, streams what is found, and drops the refresh hint", async () => {
  const ran = await sky(["status", "-r"], {
    answers: serverWith([cluster("c", { autostop: 5 })]),
    logs: { status: () => "Autodowned cluster: gone\n" },
  });
  assertEquals(ran.text.split("\n")[0], "Autodowned cluster: gone");
  assertEquals(inputOf(ran, "status")?.["refresh"], "FORCE");
  assert(!ran.text.includes("* 1 cluster has"));
});

Deno.test("status colours titles and statuses on a terminal, none into a pipe or with NO_COLOR", async () => {
  const answers = serverWith([cluster("c", { status: "INIT" })]);
  const coloured = await sky(["status"], { answers, terminal: { color: true } });
  assertStringIncludes(coloured.out, "\x1b[34mINIT\x1b[0m");
  assertStringIncludes(coloured.out, "\x1b[1m\x1b[36mClusters\x1b[0m\x1b[0m\n");
  for (const terminal of [{}, { tty: true, env: { NO_COLOR: "1" } }]) {
    const plain = await sky(["status"], { answers, terminal });
    // deno-lint-ignore no-control-regex -- that there are none is the point
    assert(!/\x1b\[[0-9;]*m/.test(plain.out), plain.out);
  }
});

Deno.test("status hides managed clusters unless debugging, and puts controllers last", async () => {
  const answers = serverWith([
    cluster("sky-jobs-controller-fcd1e5cf", { age: 1 }),
    cluster("plain", { age: 100 }),
    cluster("job-1", { is_managed: true }),
  ]);
  const { text } = await sky(["status"], { answers });
  assert(text.indexOf("plain") < text.indexOf("sky-jobs-controller-"));
  assert(!text.includes("job-1"));
  assertStringIncludes((await sky(["status"], { answers, env: { SKYPILOT_DEBUG: "1" } })).text, "job-1");
});

Deno.test("status shows workspaces when there are several", async () => {
  const answers = serverWith([cluster("c")], { workspaces: () => ({ default: {}, "team-a": {} }) });
  const ran = await sky(["status"], { answers, config: { active_workspace: "team-a" } });
  assertStringIncludes(ran.text, "Enabled Infra (workspace: 'team-a'): local\n");
  assertStringIncludes(ran.text, "NAME  WORKSPACE  INFRA");
  assertEquals(inputOf(ran, "enabledClouds"), { expand: "True", workspace: "team-a" });
});

Deno.test("status survives sections that cannot be had, but not clusters that cannot", async () => {
  const broken = (message: string) => () => Promise.reject(new SkyError("internal", message));
  const ran = await sky(["status"], {
    answers: serverWith([cluster("c")], {
      enabledClouds: broken("no disk\nsecond line"),
      managedJobs: () => Promise.reject(new SkyError("cluster_not_up", "No in-progress managed jobs.")),
      pools: broken("boom"),
      services: () => Promise.reject(new SkyError("network", "no way\nthere")),
    }),
  });
  assertEquals(ran.code, 0);
  assertStringIncludes(ran.text, "Enabled Infra: unknown (no disk)\n");
  assertStringIncludes(ran.text, "Managed jobs\nNo in-progress managed jobs. (See: sky jobs -h)\n");
  assertStringIncludes(ran.text, "Pools\nFailed to query pools: RuntimeError: boom\n");
  assertStringIncludes(ran.text, "Services\nFailed to query services: sky.exceptions.NetworkError: no way\n");
  const failed = await sky(["status"], { answers: serverWith([], { status: broken("no database") }) });
  assertEquals([failed.code, failed.err], [1, "RuntimeError: no database\n"]);
});

Deno.test("status shows jobs, pools and services of servers that have them, with hints", async () => {
  const jobs = [3, 2].map((id) => ({ job_id: id, task_id: 0, job_name: `j${id}`, status: "RUNNING" }));
  const service = { name: "svc", status: "READY", replica_info: [{ replica_id: 1, status: "READY" }] };
  const ran = await sky(["status"], {
    answers: serverWith([], {
      managedJobs: () => ({ jobs, total: 7, total_no_filter: 9, status_counts: {} }),
      pools: () => [{ ...service, name: "pool" }],
      services: () => [{ ...service, endpoint: "http://1.2.3.4:30001" }],
    }),
  });
  assertStringIncludes(ran.text, "Managed jobs\nIn progress tasks: 2 RUNNING\nID  TASK  NAME  REQUESTED");
  assertStringIncludes(
    ran.text,
    "Pools\nNAME  VERSION  UPTIME  STATUS  WORKERS  \npool  -        -       READY   1/1      \n",
  );
  assertStringIncludes(
    ran.text,
    "Services\nNAME  VERSION  UPTIME  STATUS  REPLICAS  ENDPOINT              \n",
  );
  assertStringIncludes(
    ran.text,
    "\n\n* 7 managed jobs are in progress (5 latest ones shown). To see all managed jobs: sky jobs queue\n" +
      "* To see detailed pool status: sky jobs pool status -v\n" +
      "* To see detailed service status: sky serve status -v\n",
  );
  const one = await sky(["status"], {
    answers: serverWith([], {
      managedJobs: () => ({ jobs: jobs.slice(0, 1), total: 1, total_no_filter: 1, status_counts: {} }),
    }),
  });
  assertStringIncludes(
    one.text,
    "\n* 1 managed job is in progress. To see all managed jobs: sky jobs queue\n",
  );
  const none = await sky(["status"], {
    answers: serverWith([], {
      managedJobs: () => ({ jobs: [], total: 0, total_no_filter: 4, status_counts: {} }),
    }),
  });
  assertStringIncludes(none.text, "\n\n* To see all managed jobs: sky jobs queue\n");
});

Deno.test("status -o json is data only, with every field of cli.md §1.14 and no handle", async () => {
  const ran = await sky(["status", "-o", "JSON", "c", "nope"], { answers: serverWith([cluster("c")]) });
  assertEquals([ran.code, ran.err], [0, "Cluster(s) not found: nope.\n"]);
  const [record, ...more] = JSON.parse(ran.out);
  assertEquals(more, []);
  assertEquals(
    Object.keys(record).join(" "),
    "name launched_at last_use status autostop to_down owner metadata cluster_hash cluster_ever_up " +
      "status_updated_at user_hash user_name config_hash workspace last_creation_yaml last_creation_command " +
      "is_managed last_event launch_status_reason resources_str resources_str_full nodes cloud region cpus memory " +
      "accelerators labels cluster_name_on_cloud node_names priority priority_class links",
  );
  assertEquals([record.autostop, record.cpus, record.owner], [-1, "2.0", null]);
  assertEquals(ran.out, JSON.stringify([record], null, 2) + "\n");
  assertEquals(keysOf(ran), ["status"]);
  assertEquals((await sky(["status", "-o", "json"], { answers: serverWith([]) })).out, "[]\n");
  const refreshed = await sky(["status", "-r", "-o", "json"], {
    answers: serverWith([]),
    logs: { status: () => "Autodowned cluster: gone\n" },
  });
  assertEquals([refreshed.out, refreshed.err], ["[]\n", "Autodowned cluster: gone\n"]);
});

Deno.test("status calls this machine Local, whatever the handle calls it for official clients", async () => {
  const local = cluster("c", { cloud: "Local", region: "localhost", handle: infra("ssh/local") });
  const { text } = await sky(["status"], { answers: serverWith([local]) });
  assertStringIncludes(text, "c     Local (localhost)  1x(");
});

Deno.test("status of a cluster that is only begun shows what is known", async () => {
  const answers = serverWith([
    cluster("new", { resources_str: null, handle: null, cloud: null, status: "INIT" }),
    cluster("init", { resources_str: null, status: "INIT" }),
    cluster("odd", {
      handle: { ...cluster("odd").handle!, launched_resources: { infra: "moon/base" } },
      cloud: "moon",
    }),
  ]);
  const { text } = await sky(["status"], { answers });
  assertStringIncludes(text, "new   -      -               ");
  assertStringIncludes(text, "init  Local  <initializing>  ");
  assertStringIncludes(text, "odd   moon   1x(cpus=2, mem=8, ...)");
});
