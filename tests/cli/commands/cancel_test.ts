import { assertEquals, assertStringIncludes } from "@std/assert";
import { SkyError } from "../../../core/errors.ts";
import { type Answers, cluster, inputOf, keysOf, lines, serverWith, sky } from "./fake_sky.ts";

const CLUSTERS = [cluster("c", { age: 9 }), cluster("a", { age: 2 }), cluster("b", { age: 3 })];
const answers: Answers = serverWith(CLUSTERS, { cancel: () => null });
const logs = { cancel: () => "Cancelling jobs (1, 2) on cluster 'c'...\nCancelled job ID(s): 1, 2\n" };

Deno.test("cancel asks with the words of cli.md §3.6 and streams what the server says", async () => {
  const ran = await sky(["cancel", "c", "1", "2"], { answers, logs, typed: ["y"] });
  assertEquals(
    ran.text,
    lines(
      "Cancelling jobs 1 2 on cluster(s): c. Proceed? [Y/n]: y",
      "Cancelling jobs (1, 2) on cluster 'c'...",
      "Cancelled job ID(s): 1, 2",
    ),
  );
  assertEquals(inputOf(ran, "cancel"), { cluster_name: "c", job_ids: [1, 2], all: false, all_users: false });
  const question = async (...words: string[]) => {
    const asked = await sky(["cancel", ...words], { answers, typed: ["n"] });
    assertEquals([asked.code, asked.err, keysOf(asked)], [1, "Aborted!\n", ["status"]]);
    return asked.text;
  };
  assertEquals(
    await question("c"),
    lines(
      "No job IDs or --all/--all-users provided; cancelling the latest running job.",
      "Cancelling the latest running job on cluster(s): c. Proceed? [Y/n]: n",
    ),
  );
  assertEquals(await question("c", "7"), "Cancelling job 7 on cluster(s): c. Proceed? [Y/n]: n\n");
  assertEquals(await question("c", "-a"), "Cancelling all your jobs on cluster(s): c. Proceed? [Y/n]: n\n");
  assertEquals(
    await question("*", "-u"),
    "Cancelling all users' jobs on cluster(s): a, b, c. Proceed? [Y/n]: n\n",
  );
});

Deno.test("cancel with a glob goes to each cluster", async () => {
  const ran = await sky(["cancel", "[ab]", "-a", "-y"], {
    answers: { ...answers, status: () => CLUSTERS.filter((one) => one.name !== "c") },
  });
  assertEquals(ran.calls.slice(1).map((call) => call.input["cluster_name"]), ["a", "b"]);
  assertEquals(inputOf(ran, "cancel"), { cluster_name: "a", job_ids: null, all: true, all_users: false });
});

Deno.test("cancel --async prints the block", async () => {
  const ran = await sky(["cancel", "c", "1", "-y", "--async"], { answers });
  assertEquals([ran.code, ran.text.split("\n")[0]], [
    0,
    "Submitted sky.cancel request: 00000002-0000-4000-8000-000000000000",
  ]);
});

Deno.test("cancel has the errors of cli.md §3.6", async () => {
  const controller = cluster("sky-jobs-controller-x");
  const rows: [string[], string][] = [
    [[], "Missing argument 'CLUSTER'."],
    [["c", "x"], "Invalid value for '[JOBS]...': 'x' is not a valid integer."],
    [["zz*"], "No clusters match pattern: 'zz*'"],
    [
      ["*", "1"],
      "Cannot specify job IDs when cluster pattern matches multiple clusters. Pattern '*' matches: a, b, c",
    ],
    [["nope"], "Cluster 'nope' does not exist."],
    [
      [controller.name],
      "Cancelling the jobs controller's jobs is not allowed.\n" +
      "To cancel managed jobs, use: sky jobs cancel <managed job IDs> [--all]",
    ],
  ];
  for (const [words, text] of rows) {
    const clusters = words[0] === controller.name ? [controller] : CLUSTERS;
    const ran = await sky(["cancel", ...words], { answers: serverWith(clusters) });
    assertEquals([ran.code, ran.out], [2, ""], words.join(" "));
    assertEquals(
      ran.err,
      `Usage: sky cancel [OPTIONS] CLUSTER [JOBS]...\nTry 'sky cancel -h' for help.\n\nError: ${text}\n`,
    );
  }
  const notUp = new SkyError("cluster_not_up", "Cancelling jobs: skipped for cluster 'c' (status: STOPPED).");
  const ran = await sky(["cancel", "c", "-y", "1"], {
    answers: { ...answers, cancel: () => Promise.reject(notUp) },
  });
  assertEquals(ran.code, 1);
  assertStringIncludes(ran.err, "sky.exceptions.ClusterNotUpError: Cancelling jobs: skipped for cluster 'c'");
});
