import { assertEquals, assertStringIncludes } from "@std/assert";
import { SkyError } from "../../../core/errors.ts";
import { type Answers, cluster, inputOf, keysOf, lines, serverWith, sky } from "./fake_sky.ts";

const DEV = cluster("dev", { status: "STOPPED", age: 10 });
const OLD = cluster("old", { status: "STOPPED", age: 50 });
const UP = cluster("up");

function answers(clusters = [DEV, OLD, UP], more: Answers = {}): Answers {
  return serverWith(clusters, { start: () => null, ...more });
}

Deno.test("start asks, starts and says so", async () => {
  const ran = await sky(["start", "dev"], {
    answers: answers(),
    typed: ["y"],
    logs: { start: () => "✓ Cluster launched: dev.\n" },
  });
  assertEquals([ran.code, ran.err], [0, ""]);
  assertEquals(
    ran.text,
    lines(
      "Restarting 1 cluster: dev. Proceed? [Y/n]: y",
      "✓ Cluster launched: dev.",
      "Cluster dev started.",
    ),
  );
  assertEquals(inputOf(ran, "status")?.["refresh"], "AUTO");
  assertEquals(inputOf(ran, "start"), {
    cluster_name: "dev",
    idle_minutes_to_autostop: null,
    wait_for: null,
    retry_until_up: false,
    down: false,
    force: false,
  });
});

Deno.test("start of several submits all first and tells each in the order typed; -a leaves out what is up", async () => {
  const ran = await sky(["start", "-y", "old", "d*"], { answers: answers() });
  assertEquals(ran.text, lines("Cluster old started.", "Cluster dev started."));
  assertEquals(keysOf(ran), ["status", "start", "start", "status", "status"]);
  const all = await sky(["start", "-y", "-a", "dev"], {
    answers: answers([DEV, OLD, UP, cluster("sky-jobs-controller-x", { status: "STOPPED" })]),
  });
  assertEquals(
    all.text,
    lines(
      "Both --all and cluster(s) specified for sky start. Letting --all take effect.",
      "Cluster up already has status UP.",
      "Cluster dev started.",
      "Cluster old started.",
    ),
  );
});

Deno.test("start without a name takes the only cluster; several are a usage error, none is told", async () => {
  assertEquals((await sky(["start", "-y"], { answers: answers([DEV]) })).text, "Cluster dev started.\n");
  const several = await sky(["start"], { answers: answers() });
  assertEquals(several.code, 2);
  assertStringIncludes(
    several.err,
    "Error: `sky start` requires either a cluster name or glob (see `sky status`), or the -a/--all flag.\n",
  );
  const hint =
    "Cluster(s) not found (tip: see `sky status`). Do you mean to use `sky launch` to provision a new cluster?";
  assertEquals((await sky(["start"], { answers: answers([]) })).text, lines(hint));
  const literal = await sky(["start", "zz"], { answers: answers() });
  assertEquals([literal.code, literal.text], [0, lines("Cluster(s) not found: zz.", hint)]);
});

Deno.test("start of what is up does nothing, unless forced", async () => {
  const ran = await sky(["start", "up"], { answers: answers() });
  assertEquals([ran.code, ran.text, keysOf(ran)], [0, "Cluster up already has status UP.\n", ["status"]]);
  const forced = await sky(["start", "up", "-f", "-y"], { answers: answers() });
  assertEquals(forced.text, "Cluster up started.\n");
  assertEquals(inputOf(forced, "start")?.["force"], true);
});

Deno.test("start passes autostop options on, and refuses --down without -i", async () => {
  const ran = await sky(["start", "dev", "-y", "-i", "30", "--down", "--wait-for", "none", "-r"], {
    answers: answers(),
  });
  const { idle_minutes_to_autostop, wait_for, retry_until_up, down } = inputOf(ran, "start") ?? {};
  assertEquals([idle_minutes_to_autostop, wait_for, retry_until_up, down], [30, "none", true, true]);
  const refused = await sky(["start", "dev", "--down"]);
  assertEquals(refused.code, 2);
  assertStringIncludes(refused.err, "Error: --idle-minutes-to-autostop must be set if --down is set.\n");
});

Deno.test("start tells what is not supported or not ours and goes on; other errors end it", async () => {
  const failing = (code: "not_supported" | "cluster_owner_mismatch" | "resources_unavailable") =>
    answers([DEV, OLD], {
      start: ({ cluster_name }) =>
        cluster_name === "dev" ? Promise.reject(new SkyError(code, "no luck")) : Promise.resolve(null),
    });
  for (const code of ["not_supported", "cluster_owner_mismatch"] as const) {
    const ran = await sky(["start", "dev", "old", "-y"], { answers: failing(code) });
    assertEquals([ran.code, ran.text], [0, lines("no luck", "Cluster old started.")]);
  }
  const ended = await sky(["start", "dev", "old", "-y"], { answers: failing("resources_unavailable") });
  assertEquals([ended.code, ended.text], [1, ""]);
  assertEquals(ended.err, "sky.exceptions.ResourcesUnavailableError: no luck\n");
});

Deno.test("start --async prints the block; a no aborts", async () => {
  const ran = await sky(["start", "dev", "-y", "--async"], { answers: answers() });
  assertStringIncludes(ran.text, "Submitted sky.start request: 00000002-");
  const declined = await sky(["start", "dev"], { answers: answers(), typed: ["no"] });
  assertEquals([declined.code, declined.err], [1, "Aborted!\n"]);
});

Deno.test("start has the controllers' usage errors", async () => {
  const [a, b] = ["sky-jobs-controller-x", "sky-serve-controller-x"];
  const some = answers([DEV, cluster(a, { status: "STOPPED" }), cluster(b, { status: "STOPPED" })]);
  const error = async (...words: string[]) => {
    const ran = await sky(["start", "-y", ...words], { answers: some });
    return [ran.code, ran.err.split("Error: ")[1]];
  };
  assertEquals(await error(a, "dev"), [
    2,
    "Starting controllers with other cluster(s) is currently not supported.\nPlease start the former independently.\n",
  ]);
  assertEquals(await error(a, b), [
    2,
    "Starting multiple controllers is currently not supported.\nPlease start them independently.\n",
  ]);
  assertEquals(await error(a, "-i", "5"), [
    2,
    "Autostop options are currently not allowed when starting the controllers. " +
    `Use the default autostop settings by directly calling: sky start ${a}\n`,
  ]);
});
