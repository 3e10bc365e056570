import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { SkyError } from "../../../core/errors.ts";
import { type Answers, cluster, inputOf, keysOf, lines, serverWith, sky } from "./fake_sky.ts";

const BAR = "━".repeat(40);
const EMPTY_BAR = " ".repeat(40);
const NOT_FOUND = "Cluster(s) not found (tip: see `sky status`).";
const OLD = cluster("old", { status: "STOPPED", age: 50 });
const DEV = cluster("dev", { age: 10 });

function answers(more: Answers = {}, clusters = [DEV, OLD]): Answers {
  return serverWith(clusters, { stop: () => null, down: () => null, autostop: () => null, ...more });
}

const failing = (...names: string[]) => ({ cluster_name }: { cluster_name: string }) =>
  names.includes(cluster_name)
    ? Promise.reject(new SkyError("network", `Cannot reach ${cluster_name}.\nmore`))
    : Promise.resolve(null);

Deno.test("down shows the transcript of cli.md §12.15", async () => {
  const ran = await sky(["down", "dev"], { answers: answers(), typed: [""] });
  assertEquals([ran.code, ran.err], [0, ""]);
  assertEquals(
    ran.text,
    lines(
      "Terminating 1 cluster: dev. Proceed? [Y/n]: ",
      "",
      "Terminating cluster dev...done.",
      `Terminating 1 cluster ${BAR} 100% 0:00:00`,
    ),
  );
  assertEquals(keysOf(ran), ["status", "down"]);
  assertEquals(inputOf(ran, "down"), {
    cluster_name: "dev",
    purge: false,
    graceful: false,
    graceful_timeout: null,
  });
});

Deno.test("stop -y of several shows the transcript of cli.md §12.15, in the order typed", async () => {
  const ran = await sky(["stop", "-y", "dev", "old"], { answers: answers() });
  assertEquals(
    ran.text,
    lines(
      "",
      "Stopping cluster dev...done.",
      "  To restart the cluster, run: sky start dev",
      "Stopping cluster old...done.",
      "  To restart the cluster, run: sky start old",
      `Stopping 2 clusters ${BAR} 100% 0:00:00`,
      "",
      "Summary:",
      "  ✓ Succeeded: dev, old",
    ),
  );
  const turned = await sky(["stop", "old", "dev"], { answers: answers(), typed: ["n"] });
  assertStringIncludes(turned.text, "Stopping 2 clusters: old, dev. Proceed? [Y/n]: n\n");
  assertEquals([turned.code, turned.err, keysOf(turned)], [1, "Aborted!\n", ["status"]]);
});

Deno.test("autostop shows the transcripts of cli.md §3.7 and §12.15", async () => {
  const ran = await sky(["autostop", "-y", "-i", "10", "dev"], { answers: answers() });
  assertEquals(
    ran.text,
    lines(
      "",
      "Scheduling autostop on cluster 'dev'...done",
      "  The cluster will be autostopped after 10 minutes of idleness.",
      "  To cancel the autostop, run: sky autostop dev --cancel",
      `Scheduling autostop on 1 cluster ${BAR} 100% 0:00:00`,
    ),
  );
  assertEquals(inputOf(ran, "autostop"), {
    cluster_name: "dev",
    idle_minutes: 10,
    down: false,
    wait_for: null,
  });

  const down = await sky(["autostop", "dev", "--down", "--wait-for", "jobs", "-y"], { answers: answers() });
  assertStringIncludes(
    down.text,
    lines(
      "Scheduling autodown on cluster 'dev'...done",
      "  The cluster will be autodowned after 5 minutes of idleness.",
      "  To cancel the autodown, run: sky autostop dev --cancel",
    ),
  );
  assertEquals(inputOf(down, "autostop"), {
    cluster_name: "dev",
    idle_minutes: 5,
    down: true,
    wait_for: "jobs",
  });

  for (const words of [["--cancel"], ["-i", "-1"], ["-i", "-7", "--down"]]) {
    const cancel = await sky(["autostop", "dev", ...words], { answers: answers(), typed: ["y"] });
    assertEquals(
      cancel.text,
      lines(
        "Cancelling auto{stop,down} on 1 cluster: dev. Proceed? [Y/n]: y",
        "",
        "Cancelling auto{stop,down} on cluster 'dev'...done",
        `Cancelling auto{stop,down} on 1 cluster ${BAR} 100% 0:00:00`,
      ),
    );
    assertEquals(inputOf(cancel, "autostop"), {
      cluster_name: "dev",
      idle_minutes: -1,
      down: false,
      wait_for: null,
    });
  }
});

Deno.test("names that match nothing: the literal ones are told, globs are silent, exit 0", async () => {
  const literal = await sky(["down", "zz"], { answers: answers() });
  assertEquals([literal.code, literal.text], [0, lines("Cluster(s) not found: zz.", NOT_FOUND)]);
  const glob = await sky(["down", "-y", "zz*"], { answers: answers() });
  assertEquals([glob.code, glob.text, keysOf(glob)], [0, lines(NOT_FOUND), ["status"]]);
  const none = await sky(["stop", "-a"], { answers: answers({}, [OLD]) });
  assertEquals([none.code, none.text], [0, lines(NOT_FOUND)]);
  const both = await sky(["stop", "zz", "d*", "dev", "-y"], { answers: answers() });
  assertStringIncludes(both.text, "Cluster(s) not found: zz.\n\nStopping cluster dev...done.\n");
  assertEquals(keysOf(both), ["status", "stop"]);
});

Deno.test("stop, down and autostop without a target are usage errors", async () => {
  for (const command of ["stop", "down", "autostop"]) {
    const ran = await sky([command]);
    assertEquals(ran.code, 2);
    assertEquals(
      ran.err,
      `Usage: sky ${command} [OPTIONS] [CLUSTERS]...\nTry 'sky ${command} -h' for help.\n\n` +
        `Error: \`sky ${command}\` requires either a cluster name or glob (see \`sky status\`), or the -a/--all flag for ` +
        "all your clusters, or the -u/--all-users flag for all clusters in your team.\n",
    );
  }
  const both = await sky(["autostop", "dev", "-i", "5", "--cancel"]);
  assertEquals(both.code, 2);
  assertStringIncludes(
    both.err,
    "Error: Only one of --idle-minutes and --cancel should be specified. cancel: True, idle_minutes: 5\n",
  );
});

Deno.test("-a takes one's own and wins over names, -u those of everyone; what needs nothing is left out", async () => {
  const clusters = [
    DEV,
    OLD,
    cluster("bobs", { user_hash: "0123abcd" }),
    cluster("sky-jobs-controller-fcd1e5cf"),
    cluster("boot", { status: "INIT" }),
  ];
  const acted = async (...argv: string[]) => {
    const ran = await sky([...argv, "-y"], { answers: answers({}, clusters) });
    return [
      ran.text.split("\n")[0],
      ...ran.calls.slice(1).map((call) => call.input["cluster_name"]).toSorted(),
    ];
  };
  assertEquals(await acted("down", "-a", "old"), [
    "Both --all and cluster(s) specified for `sky down`. Letting --all take effect.",
    "boot",
    "dev",
    "old",
  ]);
  assertEquals(await acted("down", "-u"), ["", "bobs", "boot", "dev", "old"]);
  assertEquals(await acted("stop", "-a"), ["", "boot", "dev"]);
  assertEquals(await acted("autostop", "-a"), ["", "dev"]);
});

Deno.test("a failed cluster is told, the others go on, and the exit code stays 0", async () => {
  const one = await sky(["down", "-y", "dev"], { answers: answers({ down: failing("dev") }) });
  assertEquals(one.code, 0);
  assertEquals(
    one.text,
    lines(
      "",
      "Terminating cluster dev...failed. ",
      "Reason: sky.exceptions.NetworkError: Cannot reach dev.",
      "more.",
      `Terminating 1 cluster ${EMPTY_BAR}   0% -:--:--`,
      "Cluster(s) failed. See details above. If you want to ignore the errors and remove the cluster(s) from the " +
        "status table, use `sky down --purge`.",
    ),
  );
  const mixed = await sky(["stop", "-y", "dev", "old"], { answers: answers({ stop: failing("old") }) });
  assertStringIncludes(
    mixed.text,
    lines(
      "",
      "Summary:",
      "  ✓ Succeeded: dev",
      "  ✗ Failed: old (sky.exceptions.NetworkError: Cannot reach old.)",
      "Cluster(s) failed. See details above.",
    ),
  );
  const long = () => Promise.reject(new SkyError("internal", "x".repeat(200)));
  const both = await sky(["stop", "-y", "dev", "old"], { answers: answers({ stop: long }) });
  const cut = `RuntimeError: ${"x".repeat(105)}…`;
  assertEquals(cut.length, 120);
  assertStringIncludes(
    both.text,
    lines("Summary:", "  ✗ Failed:", `      dev (${cut})`, `      old (${cut})`),
  );
});

Deno.test("what a cluster cannot do is skipped with the server's reason, in either form", async () => {
  const spot = "Stopping spot instances is currently not supported on AWS.";
  const whole =
    `Stopping cluster 'dev'... skipped.\n  ${spot}\n  To terminate the cluster instead, run: sky down dev`;
  for (
    const [message, hint] of [[spot, "To terminate the cluster instead, run: sky down dev"], [
      spot,
      undefined,
    ]]
  ) {
    const stop = () => Promise.reject(new SkyError("not_supported", message ?? "", { hint }));
    const ran = await sky(["stop", "-y", "dev"], { answers: answers({ stop }) });
    const rest = hint === undefined ? "" : `  ${hint}\n`;
    assertStringIncludes(ran.text, `\nStopping cluster 'dev'... skipped.\n  ${spot}\n${rest}`);
  }
  const stop = () => Promise.reject(new SkyError("not_supported", whole));
  const ran = await sky(["stop", "-y", "dev", "old"], { answers: answers({ stop }) });
  assertStringIncludes(ran.text, `${whole}\n`);
  assertEquals(ran.text.split("... skipped.").length, 3);
  assertStringIncludes(ran.text, `      dev (${spot})\n`);
});

Deno.test("--async submits, prints a block per request and where to look", async () => {
  const ran = await sky(["down", "-y", "--async", "dev"], { answers: answers() });
  assertEquals(
    ran.text,
    lines(
      "",
      "Submitted sky.Terminating request: 00000002-0000-4000-8000-000000000000",
      "├── Check logs with: sky api logs 00000002",
      "├── Or, visit: http://127.0.0.1:46580/api/stream?request_id=00000002",
      "└── To cancel the request, run: sky api cancel 00000002",
      "",
      "Terminating requests are sent. Check the requests' status with `sky api status`.",
    ),
  );
});

Deno.test("logs of several requests are printed in whole lines", async () => {
  const ran = await sky(["down", "-y", "dev", "old"], {
    answers: answers(),
    logs: { down: ({ cluster_name }) => `Cluster '${cluster_name}' is already terminated. Skipped.` },
  });
  assertStringIncludes(ran.text, "Cluster 'dev' is already terminated. Skipped.\n");
  assertStringIncludes(ran.text, "Cluster 'old' is already terminated. Skipped.\n");
});

Deno.test("Ctrl+C leaves the requests running and tells how to come back", async () => {
  const interrupt = new AbortController();
  const down = async () => {
    interrupt.abort();
    return await Promise.resolve(null);
  };
  const ran = await sky(["down", "-y", "dev"], { answers: answers({ down }), interrupt });
  assertEquals([ran.code, ran.err], [1, "\nAborted!\n"]);
  assertEquals(
    ran.text,
    lines(
      "",
      "⚙︎ Request will continue running asynchronously.",
      "├── View logs: sky api logs 00000002",
      "├── Or, visit: http://127.0.0.1:46580/api/stream?request_id=00000002",
      "└── To cancel the request, run: sky api cancel 00000002",
      "",
    ),
  );
});

Deno.test("the bar stays below the result lines on a terminal and is whole at the end", async () => {
  const ran = await sky(["down", "-y", "dev", "old"], {
    answers: answers(),
    terminal: { tty: true, env: { COLUMNS: "120" } },
  });
  assertEquals(ran.code, 0);
  assertStringIncludes(ran.out, "\x1b[32mTerminating cluster dev...done.\x1b[0m\n");
  assert(ran.text.indexOf("100%") > ran.text.indexOf("old...done."), ran.text);
  assertStringIncludes(ran.out, "\x1b[?25h");
});

Deno.test("controllers cannot be stopped, and go down only alone", async () => {
  const JOBS = cluster("sky-jobs-controller-fcd1e5cf");
  const some = (more: Answers = {}) => answers(more, [JOBS, DEV]);
  const stop = await sky(["stop", "-y", JOBS.name], { answers: some() });
  assertEquals([stop.code, stop.err], [
    1,
    `sky.exceptions.NotSupportedError: Stopping controller(s) '${JOBS.name}' is currently not supported.\n`,
  ]);
  const mixed = await sky(["down", "-y", JOBS.name, "dev"], { answers: some() });
  assertEquals(mixed.code, 2);
  assertStringIncludes(
    mixed.err,
    `Error: Terminating controller(s) '${JOBS.name}' with other cluster(s) 'dev' is currently not supported.\n`,
  );
  const gone = await sky(["down", "sky-serve-controller-fcd1e5cf"], { answers: some() });
  assertEquals(gone.code, 0);
  assertStringIncludes(gone.text, "Sky serve controller has already been torn down.\n");
});

Deno.test("down of a controller warns, checks for work and wants the word typed", async () => {
  const name = "sky-jobs-controller-fcd1e5cf";
  const some = (more: Answers = {}) => answers(more, [cluster(name)]);
  const ran = await sky(["down", "-y", name], { answers: some(), typed: ["delete"] });
  assertEquals(ran.code, 0);
  assertStringIncludes(
    ran.text,
    lines(
      "WARNING: Tearing down the managed jobs controller. Please be aware of the following:",
      " * All logs and status information of the managed jobs (output of `sky jobs queue`) will be lost.",
      " * No in-progress managed jobs or running pools found. It should be safe to terminate (see caveats above).",
      "To proceed, please type 'delete': delete",
      "",
      `Terminating cluster ${name}...done.`,
    ),
  );
  const declined = await sky(["down", name], { answers: some(), typed: ["yes"] });
  assertEquals([declined.code, declined.err, inputOf(declined, "down")], [1, "Aborted!\n", undefined]);

  const busy = await sky(["down", name], {
    answers: some({
      managedJobs: () => ({
        jobs: [{ job_id: 3, job_name: "train", status: "RUNNING" }],
        total: 1,
        total_no_filter: 1,
        status_counts: {},
      }),
    }),
  });
  assertEquals(busy.code, 1);
  assertStringIncludes(
    busy.err,
    "sky.exceptions.NotSupportedError: In-progress managed jobs found. To avoid resource leakage, cancel all jobs " +
      "first: sky jobs cancel -a\nManaged jobs: 3 (train, RUNNING)\n",
  );
  const purge = await sky(["down", "-p", name], { answers: some() });
  assertEquals(purge.code, 0);
  assertStringIncludes(purge.text, "Since --purge is set, errors will be ignored");
  assertEquals(inputOf(purge, "down")?.["purge"], true);
});

Deno.test("--graceful and its timeout travel with the request", async () => {
  const ran = await sky(["stop", "dev", "-y", "--graceful", "--graceful-timeout", "30"], {
    answers: answers(),
  });
  assertEquals(inputOf(ran, "stop"), { cluster_name: "dev", graceful: true, graceful_timeout: 30 });
});
