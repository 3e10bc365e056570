import { assertEquals, assertStringIncludes } from "@std/assert";
import { SkyError } from "../../../core/errors.ts";
import { type Answers, HOUR, inputOf, lines, NOW, sky } from "./fake_sky.ts";

const ago = (seconds: number) => NOW / 1000 - seconds;
const task = (job_id: number, over: Record<string, unknown>) => ({
  job_id,
  task_id: 0,
  resources: "1x[CPU:1+]",
  end_at: null,
  job_duration: 0,
  recovery_count: 0,
  pool: null,
  ...over,
});

/** The jobs of cli.md §6.2. */
const JOBS = [
  task(1, {
    job_name: "train",
    resources: "8x[H100:8]",
    submitted_at: ago(4000),
    job_duration: 3000,
    status: "RUNNING",
  }),
  task(2, {
    job_name: "bad",
    submitted_at: ago(4000),
    end_at: ago(3500),
    job_duration: 12,
    status: "FAILED",
    failure_reason: "user code\nfailed",
  }),
  task(3, {
    task_id: 1,
    job_name: "pipe",
    task_name: "train",
    resources: "1x[A100:8][Spot]",
    submitted_at: ago(4000),
    job_duration: 3000,
    recovery_count: 2,
    status: "RECOVERING",
  }),
  task(3, {
    job_name: "pipe",
    task_name: "prep",
    submitted_at: ago(4000),
    end_at: ago(1000),
    job_duration: 500,
    status: "SUCCEEDED",
  }),
  task(4, { job_name: "pend", submitted_at: null, status: "PENDING" }),
];

function answers(jobs: Record<string, unknown>[], total = jobs.length): Answers {
  return { managedJobs: () => ({ jobs, total, total_no_filter: total, status_counts: {} }) };
}

Deno.test("jobs queue shows the table of cli.md §6.2 to the blank", async () => {
  const ran = await sky(["jobs", "queue"], { answers: answers(JOBS) });
  assertEquals([ran.code, ran.err], [0, ""]);
  assertEquals(
    ran.text,
    lines(
      "Fetching managed job statuses...",
      "Managed jobs",
      "In progress tasks: 1 PENDING, 1 RECOVERING, 1 RUNNING",
      "ID  TASK  NAME   REQUESTED         SUBMITTED  TOT. DURATION  JOB DURATION  #RECOVERIES  STATUS                PROGRESS  POOL  ",
      "4   -     pend   1x[CPU:1+]        -          -              -             0            PENDING               -         -     ",
      "3         pipe   -                 1 hr ago   1h 6m 40s      58m 20s       2            RECOVERING (task: 1)  -         -     ",
      " ↳  0     prep   1x[CPU:1+]        1 hr ago   50m            8m 20s        0            SUCCEEDED             -         -     ",
      " ↳  1     train  1x[A100:8][Spot]  1 hr ago   1h 6m 40s      50m           2            RECOVERING            -         -     ",
      "                                                                                                                              ",
      "2   -     bad    1x[CPU:1+]        1 hr ago   8m 20s         12s           0            FAILED                -         -     ",
      "1   -     train  8x[H100:8]        1 hr ago   1h 6m 40s      50m           0            RUNNING               -         -     ",
    ),
  );
  assertEquals(inputOf(ran, "managedJobs")?.["limit"], 50);
});

Deno.test("jobs queue of nothing is the empty state; without a controller JSON is an error", async () => {
  const none = "No in-progress managed jobs. (See: sky jobs -h)";
  const empty = await sky(["jobs", "queue"], { answers: answers([]) });
  assertEquals([empty.code, empty.text], [0, lines("Fetching managed job statuses...", none)]);
  assertEquals((await sky(["jobs", "queue", "-o", "json"], { answers: answers([]) })).out, "[]\n");
  const down = (message: string): Answers => ({
    managedJobs: () => Promise.reject(new SkyError("cluster_not_up", message)),
  });
  const text = await sky(["jobs", "queue"], { answers: down("No controller.") });
  assertEquals([text.code, text.text], [0, lines("Fetching managed job statuses...", none)]);
  const stopped = "Controller is stopped. To view the latest job table: sky jobs queue --refresh";
  assertStringIncludes((await sky(["jobs", "queue"], { answers: down(stopped) })).text, stopped);
  const json = await sky(["jobs", "queue", "-o", "json"], { answers: down("No controller.") });
  assertEquals([json.code, json.out, json.err], [
    1,
    "",
    "sky.exceptions.ClusterNotUpError: No in-progress managed jobs.\n",
  ]);
});

Deno.test("jobs queue filters statuses, limits jobs and says what it left out", async () => {
  const picked = await sky(["jobs", "queue", "-s", "pending,Running", "-s", "FAILED"], {
    answers: answers(JOBS),
  });
  assertEquals(picked.text.match(/^\d /gm), ["4 ", "2 ", "1 "]);
  assertEquals(inputOf(picked, "managedJobs")?.["limit"], null);
  const limited = await sky(["jobs", "queue", "-l", "2", "--skip-finished"], { answers: answers(JOBS, 9) });
  assertEquals(limited.text.match(/^(\d| ↳) /gm), ["4 ", "3 ", " ↳ ", " ↳ "]);
  assertStringIncludes(limited.text, "Managed jobs (showing in-progress jobs only)\n");
  assertStringIncludes(
    limited.text,
    "Only showing the latest 2 managed jobs (use --limit to show more managed jobs or --all to show all managed jobs)  \n",
  );
  const all = await sky(["jobs", "queue", "-a", "-r"], { answers: answers(JOBS) });
  assertEquals([inputOf(all, "managedJobs")?.["limit"], inputOf(all, "managedJobs")?.["refresh"]], [
    null,
    true,
  ]);
  const wrong = await sky(["jobs", "queue", "-s", "WRONG"]);
  assertEquals(wrong.code, 2);
  assertStringIncludes(
    wrong.err,
    "Error: Invalid value for '--status' / '-s': 'WRONG' is not one of 'PENDING', ",
  );
});

Deno.test("jobs queue -u -v adds columns; nothing active still shows the finished", async () => {
  const failed = JOBS.filter((job) => job.job_id === 2)
    .map((job) => ({ ...job, user_name: "bob", user_hash: "0123", metadata: { git_commit: "abc" } }));
  const { text } = await sky(["jobs", "queue", "-uv"], { answers: answers(failed) });
  assertStringIncludes(
    text,
    "Managed jobs\nNo in-progress managed jobs.\nID  TASK  WORKSPACE  NAME  USER  USER_ID  ",
  );
  assertStringIncludes(
    text,
    "WORKER_CLUSTER  WORKER_JOB_ID  STARTED  INFRA  RESOURCES  SCHED. STATE  DETAILS                    GIT_COMMIT  \n",
  );
  assertStringIncludes(text, "Failure: user code failed  abc         \n");
  assertEquals(HOUR, 3600);
});
