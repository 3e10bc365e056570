import { assertEquals, assertStringIncludes } from "@std/assert";
import { yellow } from "../../../core/ansi.ts";
import { SkyError } from "../../../core/errors.ts";
import { type Answers, cluster, HOUR, inputOf, job, keysOf, lines, serverWith, sky } from "./fake_sky.ts";

/** The jobs of cli.md §3.4, oldest first. */
const JOBS = [
  job(1, { submitted: 65, started: 61, ran: 30 }),
  job(2, {
    job_name: "train",
    submitted: 2 * HOUR + 110,
    started: 2 * HOUR + 100,
    status: "RUNNING",
    resources: "1x[A100:8]",
    metadata: { git_commit: "abc1234" },
  }),
  job(3, { job_name: "train", submitted: 5, started: null, status: "PENDING", resources: "1x[A100:8]" }),
];

const missing = new SkyError("cluster_not_found", yellow("Cluster 'nope' does not exist."));

function answers(more: Answers = {}): Answers {
  return serverWith([
    cluster("my-cluster"),
    cluster("old", { status: "STOPPED", age: 5 }),
    cluster("bobs", { user_hash: "0123abcd", age: 9 }),
  ], {
    queue: ({ cluster_name }) => cluster_name === "nope" ? Promise.reject(missing) : Promise.resolve(JOBS),
    ...more,
  });
}

Deno.test("queue shows the table of cli.md §3.4 to the blank", async () => {
  const ran = await sky(["queue", "my-cluster"], { answers: answers() });
  assertEquals([ran.code, ran.err], [0, ""]);
  assertEquals(
    ran.text,
    lines(
      "Fetching and parsing job queue...",
      "Fetching job queue for: my-cluster",
      "",
      "Job queue of current user on cluster my-cluster",
      "ID  NAME     USER  SUBMITTED       STARTED    DURATION   RESOURCES   STATUS     LOG                   GIT COMMIT  ",
      "3   train    root  a few secs ago  -          -          1x[A100:8]  PENDING    ~/sky_logs/3-train    -           ",
      "2   train    root  2 hrs ago       2 hrs ago  2h 1m 40s  1x[A100:8]  RUNNING    ~/sky_logs/2-train    abc1234     ",
      "1   sky-cmd  root  1 min ago       1 min ago  30s        1x[CPU:1+]  SUCCEEDED  ~/sky_logs/1-sky-cmd  -           ",
    ),
  );
  assertEquals(keysOf(ran), ["queue"]);
  assertEquals(inputOf(ran, "queue"), { cluster_name: "my-cluster", skip_finished: false, all_users: false });
});

Deno.test("queue without names asks for one's own clusters that are up", async () => {
  const ran = await sky(["queue"], { answers: answers() });
  assertStringIncludes(ran.text, "\nFetching job queue for: my-cluster\n");
  const everyones = await sky(["queue", "-u", "-s"], { answers: answers({ queue: () => [] }) });
  assertStringIncludes(everyones.text, "\nFetching job queue for: my-cluster, bobs\n");
  assertStringIncludes(
    everyones.text,
    "\nJob queue of all users on cluster bobs\n" +
      "ID  NAME  USER  SUBMITTED  STARTED  DURATION  RESOURCES  STATUS  LOG  GIT COMMIT  \n",
  );
  assertEquals(inputOf(everyones, "queue"), {
    cluster_name: "my-cluster",
    skip_finished: true,
    all_users: true,
  });
  const none = await sky(["queue"], { answers: serverWith([]) });
  assertEquals([none.code, none.text.split("\n")[1]], [0, "No clusters are up (see `sky status`)."]);
});

Deno.test("queue tells which clusters cannot answer, shows the others, and exits 0", async () => {
  const ran = await sky(["queue", "nope", "my-cluster"], { answers: answers() });
  assertEquals(ran.code, 0);
  assertStringIncludes(
    ran.text,
    lines(
      "Fetching job queue for: nope, my-cluster",
      "Failed to get the job queue for cluster 'nope'.",
      "  sky.exceptions.ClusterDoesNotExist: Cluster 'nope' does not exist.",
      "",
      "Job queue of current user on cluster my-cluster",
    ),
  );
});

Deno.test("queue -o json is data only: an object by cluster, failures on stderr", async () => {
  const ran = await sky(["queue", "nope", "my-cluster", "-o", "json"], { answers: answers() });
  assertEquals(ran.code, 0);
  assertEquals(JSON.parse(ran.out), { "my-cluster": JOBS });
  assertEquals(
    ran.err,
    lines(
      "Failed to get the job queue for cluster 'nope'.",
      "  sky.exceptions.ClusterDoesNotExist: Cluster 'nope' does not exist.",
    ),
  );
  assertEquals((await sky(["queue", "-o", "json"], { answers: serverWith([]) })).out, "{}\n");
});

Deno.test("queue colours statuses on a terminal", async () => {
  const ran = await sky(["queue", "my-cluster"], { answers: answers(), terminal: { color: true } });
  assertStringIncludes(ran.out, "\x1b[36mFetching and parsing job queue...\x1b[0m\n");
  assertStringIncludes(ran.out, "\x1b[34mPENDING\x1b[0m    ~/sky_logs");
  assertStringIncludes(ran.out, "\x1b[32mSUCCEEDED\x1b[0m  ~/sky_logs");
});
