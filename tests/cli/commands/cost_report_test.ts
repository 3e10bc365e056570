import { assertEquals, assertStringIncludes } from "@std/assert";
import type { CostView } from "../../../api/clusters.ts";
import { inputOf, lines, NOW, sky } from "./fake_sky.ts";

function cost(name: string, over: Partial<CostView> & { age: number }): CostView {
  const { age, ...fields } = over;
  return {
    name,
    launched_at: NOW / 1000 - age,
    duration: 39,
    num_nodes: 1,
    resources: null,
    cluster_hash: `hash-${name}`,
    usage_intervals: [[NOW / 1000 - age, null]],
    status: "UP",
    user_hash: "fcd1e5cf",
    user_name: "alice",
    workspace: "default",
    last_event: null,
    total_cost: 0,
    cloud: null,
    region: null,
    cpus: null,
    memory: null,
    accelerators: null,
    resources_str: null,
    resources_str_full: null,
    labels: {},
    hourly_cost: 0,
    ...fields,
  };
}

/** The clusters of cli.md §3.9. */
const THREE = [
  cost("closing", {
    age: 40,
    status: "AUTOSTOPPING",
    resources: { infra: "aws/us-east-1", instance_type: "m6i.large", memory: 8 },
    hourly_cost: 0.096,
    total_cost: 0.001,
  }),
  cost("k8s-box", {
    age: 41,
    resources: { infra: "kubernetes/ctx", instance_type: "2CPU--2GB", memory: "2.0" },
  }),
  cost("dev", {
    age: 41,
    num_nodes: 2,
    resources: {
      infra: "gcp/us-central1",
      instance_type: "a2-highgpu-1g",
      memory: "85",
      accelerators: { A100: 1 },
      use_spot: true,
      disk_size: 256,
    },
    hourly_cost: 2.32,
    total_cost: 0.05,
  }),
];

const answers = { costReport: () => THREE };
const EXPERIMENTAL =
  "This feature is experimental. Costs for clusters with auto{stop,down} scheduled may not be accurate.";

Deno.test("cost-report shows the table of cli.md §3.9 to the blank", async () => {
  const ran = await sky(["cost-report"], { answers });
  assertEquals([ran.code, ran.err], [0, ""]);
  assertEquals(
    ran.text,
    lines(
      "Clusters (last 30 days)",
      "NAME     LAUNCHED     DURATION  RESOURCES                                           STATUS        COST/hr  COST (est.)  ",
      "closing  40 secs ago  39s       1x AWS(m6i.large, mem=8.0)                          AUTOSTOPPING  $ 0.10   $ 0.00       ",
      "k8s-box  41 secs ago  39s       1x Kubernetes(2CPU--2GB, mem=2.0)                   UP            $ 0.00   -            ",
      "dev      41 secs ago  39s       2x GCP(a2-highgpu-1g[Spot], mem=85.0, {'A100': 1})  UP            $ 4.64   $ 0.05       ",
      "",
      "Total Cost: $0.05",
      "Showing up to 5 most recent clusters. To see all clusters in history, pass the --all flag.",
      EXPERIMENTAL,
    ),
  );
  assertEquals(inputOf(ran, "costReport"), { days: 30 });
});

Deno.test("cost-report shows five rows and sums those; --all shows all", async () => {
  const seven = Array.from(
    { length: 7 },
    (_, n) =>
      cost(`c${n}`, {
        age: 10 + n,
        total_cost: 1,
        status: n === 0 ? null : "STOPPED",
        duration: n === 1 ? null : 3700,
      }),
  );
  const some = { costReport: () => seven };
  const five = await sky(["cost-report", "--days", "0"], { answers: some });
  assertEquals(five.text.split("\n")[0], "Clusters");
  assertEquals(five.text.match(/^c\d/gm)?.length, 5);
  assertStringIncludes(five.text, "\nTotal Cost: $5.00\n");
  assertStringIncludes(five.text, "TERMINATED");
  assertEquals(inputOf(five, "costReport"), { days: null });
  const all = await sky(["cost-report", "-a", "--days", "7"], { answers: some });
  assertEquals(all.text.match(/^c\d/gm)?.length, 7);
  assertStringIncludes(all.text, "Clusters (last 7 days)\n");
  assertStringIncludes(all.text, `\nTotal Cost: $7.00\n${EXPERIMENTAL}\n`);
});

Deno.test("cost-report gives controllers a table of their own and counts them", async () => {
  const ran = await sky(["cost-report"], {
    answers: { costReport: () => [...THREE, cost("sky-jobs-controller-x", { age: 5, total_cost: 1 })] },
  });
  assertStringIncludes(
    ran.text,
    "\n\nManaged Jobs Controller (will be autostopped if idle for 10min)\nNAME ",
  );
  assertStringIncludes(ran.text, "\nTotal Cost: $1.05\n");
});

Deno.test("cost-report takes the hourly price of official servers from cost and duration", async () => {
  const { hourly_cost: _, ...stock } = cost("c", { age: 9, duration: 1800, total_cost: 2 });
  const ran = await sky(["cost-report"], { answers: { costReport: () => [stock as CostView] } });
  assertStringIncludes(ran.text, "$ 4.00   $ 2.00       \n");
});

Deno.test("cost-report calls this machine Local, whatever its resources are called for official clients", async () => {
  const resources = { infra: "ssh/local", instance_type: "2CPU--4GB", memory: "4" };
  const local = cost("c", { age: 9, cloud: "Local", resources });
  const ran = await sky(["cost-report"], { answers: { costReport: () => [local] } });
  assertStringIncludes(ran.text, "  1x Local(2CPU--4GB, mem=4.0)  UP ");
});

Deno.test("cost-report -o json is data only, gone clusters TERMINATED", async () => {
  const ran = await sky(["cost-report", "-o", "json"], {
    answers: { costReport: () => [cost("gone", { age: 9, status: null })] },
  });
  const [record] = JSON.parse(ran.out);
  assertEquals([record.name, record.status, record.num_nodes], ["gone", "TERMINATED", 1]);
  assertEquals(ran.err, "");
});

Deno.test("cost-report of nothing shows an empty table", async () => {
  const ran = await sky(["cost-report", "-a"], { answers: { costReport: () => [] } });
  assertEquals(
    ran.text,
    lines(
      "Clusters (last 30 days)",
      "NAME  LAUNCHED  DURATION  RESOURCES  STATUS  COST/hr  COST (est.)  ",
      "",
      "Total Cost: $0.00",
      EXPERIMENTAL,
    ),
  );
});
