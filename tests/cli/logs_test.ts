import { assertEquals, assertStringIncludes } from "@std/assert";
import { run } from "../../cli/run.ts";
import { SkyError } from "../../core/errors.ts";
import type { LogSink, Sky } from "../../sdk/client.ts";
import { testTerminal } from "../support/test_terminal.ts";

interface Answers {
  exit?: number;
  status?: Record<string, string | null>;
  paths?: Record<string, string>;
  error?: Error;
}

async function logs(words: string[], answers: Answers = {}) {
  const test = testTerminal();
  const calls: unknown[] = [];
  const write = (sink: LogSink, text: string) => sink.data(new TextEncoder().encode(text));
  const say = (input: unknown) => {
    calls.push(input);
    if (answers.error !== undefined) throw answers.error;
  };
  const fake = {
    tailLogs: (input: unknown, sink: LogSink) => {
      say(input);
      write(sink, "(sky-cmd, pid=1) hi\n");
      return Promise.resolve(answers.exit ?? 0);
    },
    provisionLogs: (input: unknown, sink: LogSink) => {
      say(input);
      write(sink, "provisioned\n");
      return Promise.resolve();
    },
    call: (_key: string, input: unknown) => {
      say(input);
      return Promise.resolve(answers.status ?? {});
    },
    fetchLogs: (input: unknown) => {
      say(input);
      return Promise.resolve(answers.paths ?? {});
    },
  };
  const code = await run(["logs", ...words], {
    out: test.terminal,
    env: (name) => name === "HOME" ? "/home/me" : undefined,
    cwd: "/",
    signal: new AbortController().signal,
    now: () => 0,
    connect: () => Promise.resolve(fake as unknown as Sky),
    openConfig: () => Promise.resolve(() => ({})),
  });
  return { code, out: test.out(), err: test.err(), calls };
}

Deno.test("logs follows the last job from its last 1000 lines and says so on stderr", async () => {
  assertEquals(await logs(["c"]), {
    code: 0,
    out: "Tailing logs of the last job on cluster 'c'...\n(sky-cmd, pid=1) hi\n",
    err: "Showing the last 1000 lines (default). Pass --tail 0 to print the entire log.\n",
    calls: [{ cluster_name: "c", job_id: null, follow: true, tail: 1000 }],
  });
});

Deno.test("logs takes a job, a tail and --no-follow, and exits as the job ended", async () => {
  const job = await logs(["c", "3", "--tail", "0"], { exit: 103 });
  assertEquals([job.code, job.err, job.out.split("\n")[0]], [
    103,
    "",
    "Tailing logs of job 3 on cluster 'c'...",
  ]);
  assertEquals(job.calls, [{ cluster_name: "c", job_id: 3, follow: true, tail: 0 }]);
  const still = await logs(["c", "--no-follow"]);
  assertEquals([still.err, still.calls], ["", [{ cluster_name: "c", job_id: null, follow: false, tail: 0 }]]);
});

Deno.test("logs --status prints the status only", async () => {
  const matrix: [Record<string, string | null>, string[], number, string][] = [
    [{ 1: "SUCCEEDED" }, [], 0, "Job 1: SUCCEEDED\n"],
    [{ 1: "RUNNING" }, [], 101, "Job 1: RUNNING\n"],
    [{ 2: "FAILED_SETUP" }, ["2"], 100, "Job 2: FAILED_SETUP\n"],
    [{ 2: "CANCELLED" }, ["2"], 103, "Job 2: CANCELLED\n"],
    [{ 9: null }, ["9"], 102, "Job 9: None\nJob 9 not found\n"],
    [{}, ["9"], 102, "Job 9: None\nJob 9 not found\n"],
    [{}, [], 102, "No job found on cluster 'c'.\n"],
  ];
  for (const [status, jobs, code, out] of matrix) {
    const ran = await logs(["c", ...jobs, "--status"], { status });
    assertEquals([ran.code, ran.out, ran.err], [code, out, ""]);
  }
});

Deno.test("logs -s downloads and names the folders", async () => {
  const ran = await logs(["c", "1", "2", "-s"], {
    paths: { 1: "/home/me/sky_logs/c/1-sky-cmd", 2: "/else/2" },
  });
  assertEquals([ran.code, ran.out], [0, "Job 1 logs: ~/sky_logs/c/1-sky-cmd\nJob 2 logs: /else/2\n"]);
  assertEquals(ran.calls, [{ cluster_name: "c", job_ids: ["1", "2"] }]);
});

Deno.test("logs --provision shows the provisioning log", async () => {
  const ran = await logs(["c", "--provision", "-w", "2", "--no-follow"]);
  assertEquals([ran.code, ran.out], [0, "provisioned\n"]);
  assertEquals(ran.calls, [{ cluster_name: "c", worker: 2, follow: false, tail: 0 }]);
  const none = await logs(["c", "--provision"], { error: new SkyError("file_not_found", "No log.") });
  assertEquals([none.code, none.err], [1, "FileNotFoundError: No log.\n"]);
});

Deno.test("logs refuses what does not go together", async () => {
  const matrix: [string[], string][] = [
    [[], "Missing argument 'CLUSTER'."],
    [["c", "-w", "1"], "--worker can only be used with --provision."],
    [["c", "--provision", "-w", "0"], "--worker must be a positive integer."],
    [
      ["c", "1", "--provision"],
      "--provision cannot be combined with job log options (--sync-down/--status/job IDs).",
    ],
    [
      ["c", "-s", "--status"],
      "Both --sync_down and --status are specified (ambiguous). To fix: specify at most one of them.",
    ],
    [
      ["c", "1", "2"],
      "Cannot stream logs of multiple jobs (IDs: 1, 2).\nPass -s/--sync-down to download the logs instead.",
    ],
    [["c", "abc"], "Invalid job ID abc. Job ID must be integers."],
  ];
  for (const [words, text] of matrix) {
    const ran = await logs(words);
    assertEquals([ran.code, ran.calls, ran.out], [2, [], ""]);
    assertStringIncludes(ran.err, `Error: ${text}\n`);
  }
});
