import { assertEquals, assertStringIncludes } from "@std/assert";
import { SkyError } from "../../../core/errors.ts";
import { type Answers, HOUR, inputOf, lines, NOW, sky } from "./fake_sky.ts";

const ago = (seconds: number) => NOW / 1000 - seconds;

/** The services of cli.md §7.3. */
const SERVICES = [
  {
    name: "my-service",
    status: "READY",
    uptime: ago(4000),
    active_versions: [1],
    endpoint: "http://1.2.3.4:30001",
    policy: "Fixed 2 replicas",
    load_balancing_policy: "least_load",
    requested_resources_str: "1x[L4:1]",
    replica_info: [
      {
        replica_id: 1,
        version: 1,
        status: "READY",
        endpoint: "http://3.4.5.6:8080",
        launched_at: ago(HOUR),
        infra: "AWS (us-east-1a)",
        resources_str: "1x(gpus=L4:1, g6.xlarge, ...)",
        resources_str_full: "1x(gpus=L4:1, cpus=4, mem=16, g6.xlarge, disk=256)",
        handle: null,
      },
      {
        replica_id: 2,
        version: 1,
        status: "PROVISIONING",
        endpoint: null,
        launched_at: ago(30),
        cloud: "GCP",
        region: "us-central1-a",
        resources_str: "1x(gpus=L4:1, g2-standard-4, ...)",
        handle: null,
      },
      { replica_id: 3, version: 1, status: "FAILED_PROBING", handle: null },
    ],
  },
  {
    name: "svc2",
    status: "CONTROLLER_INIT",
    uptime: null,
    active_versions: [],
    endpoint: null,
    replica_info: [],
  },
];

function answers(services: Record<string, unknown>[]): Answers {
  return {
    services: ({ service_names }) =>
      services.filter((one) => service_names === null || service_names.includes(String(one["name"]))),
  };
}

Deno.test("serve status shows the tables of cli.md §7.3 to the blank", async () => {
  const ran = await sky(["serve", "status"], { answers: answers(SERVICES) });
  assertEquals([ran.code, ran.err], [0, ""]);
  assertEquals(
    ran.text,
    lines(
      "Services",
      "NAME        VERSION  UPTIME     STATUS           REPLICAS  ENDPOINT              ",
      "my-service  1        1h 6m 40s  READY            1/2       http://1.2.3.4:30001  ",
      "svc2        -        -          CONTROLLER_INIT  0/0       -                     ",
      "",
      "Service Replicas",
      "SERVICE_NAME  ID  VERSION  ENDPOINT             LAUNCHED     INFRA                RESOURCES                          STATUS          ",
      "my-service    1   1        http://3.4.5.6:8080  1 hr ago     AWS (us-east-1a)     1x(gpus=L4:1, g6.xlarge, ...)      READY           ",
      "my-service    2   1        -                    30 secs ago  GCP (us-central1-a)  1x(gpus=L4:1, g2-standard-4, ...)  PROVISIONING    ",
      "my-service    3   1        -                    -            -                    -                                  FAILED_PROBING  ",
    ),
  );
  const verbose = await sky(["serve", "status", "svc2", "-v"], { answers: answers(SERVICES) });
  assertStringIncludes(
    verbose.text,
    "ENDPOINT  AUTOSCALING_POLICY  LOAD_BALANCING_POLICY  REQUESTED_RESOURCES  \n",
  );
  assertStringIncludes(verbose.text, "Service Replicas\nNo existing replicas.\n");
  assertEquals(inputOf(verbose, "services"), { service_names: ["svc2"] });
});

Deno.test("serve status has its empty states", async () => {
  const empty = await sky(["serve", "status"], { answers: answers([]) });
  assertEquals([empty.code, empty.text], [0, "No live services.\n"]);
  const down: Answers = {
    services: () => Promise.reject(new SkyError("cluster_not_up", "No live services.")),
  };
  for (const words of [[], ["--endpoint", "x"]]) {
    assertEquals((await sky(["serve", "status", ...words], { answers: down })).text, "No live services.\n");
  }
  const missing = await sky(["serve", "status", "nope"], { answers: answers(SERVICES) });
  assertEquals([missing.code, missing.text], [0, "Service 'nope' not found.\n"]);
});

Deno.test("serve status --endpoint prints the URL and nothing else", async () => {
  const only = (...words: string[]) =>
    sky(["serve", "status", "--endpoint", ...words], { answers: answers(SERVICES) });
  assertEquals((await only("my-service")).out, "http://1.2.3.4:30001\n");
  assertEquals((await only("svc2")).out, "-\n");
  const none = await only("nope");
  assertEquals([none.code, none.out], [2, ""]);
  assertStringIncludes(
    none.err,
    "Error: No service found. Please specify an existing service to show its endpoint. " +
      "Usage: sky serve status --endpoint <service-name>\n",
  );
  const two = await only();
  assertEquals(two.code, 2);
  assertStringIncludes(two.err, "Error: 2 services found. Please specify ");
});

Deno.test("serve status of a server without a network asks whether there is a controller at all", async () => {
  const broken: Answers = {
    services: () =>
      Promise.reject(new SkyError("internal", "Failed to refresh services status due to network error.")),
    status: ({ cluster_names }) => {
      assertEquals(cluster_names, ["sky-serve-controller-*"]);
      return [];
    },
  };
  const none = await sky(["serve", "status"], { answers: broken });
  assertEquals([none.code, none.text], [0, "No live services.\n"]);
});
