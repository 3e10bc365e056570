/** `sky start`: bring stopped clusters back (cli.md §3.8). */
import type { ClusterView } from "../../api/clusters.ts";
import type { WaitFor } from "../../core/cluster.ts";
import { isSkyError } from "../../core/errors.ts";
import { plural } from "../../core/format.ts";
import type { RequestId, Sky } from "../../sdk/client.ts";
import type { Command, Input, Io } from "../command.ts";
import { followRequest, submitted } from "../follow.ts";
import { keepLogins } from "../logins.ts";
import { ASYNC, CONFIG, YES } from "../options.ts";
import { usage } from "../parse.ts";
import { requireYes } from "../prompt.ts";
import { asTyped, controllerKind, findClusters } from "./find_clusters.ts";
import { CLUSTERS } from "./lifecycle.ts";

export const command: Command = {
  name: "start",
  summary: "Restart clusters.",
  help:
    "Start stopped clusters again, with the resources they had. Names may be globs; without a name: the only " +
    "cluster there is. Jobs that ran when a cluster stopped are not run again.",
  examples: [
    "sky start my-cluster",
    "sky start -y dev1 dev2",
    "sky start my-cluster -i 30 --down",
    "sky start -a",
  ],
  args: CLUSTERS,
  options: [
    { name: "all", short: "a", kind: "flag", help: "All your clusters." },
    ...YES,
    {
      name: "idle-minutes-to-autostop",
      short: "i",
      kind: "int",
      help: "Stop the clusters after this many idle minutes; negative cancels.",
    },
    {
      name: "wait-for",
      kind: "choice",
      choices: ["jobs_and_ssh", "jobs", "none"],
      help: "What counts as not idle: jobs and ssh sessions, jobs only, or nothing.",
    },
    { name: "down", kind: "flag", help: "With -i: tear the clusters down instead of stopping them." },
    {
      name: "retry-until-up",
      short: "r",
      kind: "flag",
      help: "Keep trying until there is room for the cluster.",
    },
    {
      name: "force",
      short: "f",
      kind: "flag",
      help: "Start also what seems to be up: mends a broken cluster.",
    },
    ...ASYNC,
    ...CONFIG,
  ],
  run,
};

async function run(io: Io, input: Input): Promise<number> {
  const { out } = io;
  if (input.flag("down") && input.int("idle-minutes-to-autostop") === undefined) {
    throw usage("--idle-minutes-to-autostop must be set if --down is set.");
  }
  const sky = await io.sky();
  const found = await select(io, sky, input);
  if (found.length === 0) {
    out.line(
      "Cluster(s) not found (tip: see `sky status`). Do you mean to use `sky launch` to provision a new cluster?",
    );
    return 0;
  }
  const asleep = found.filter((cluster) => {
    const up = cluster.status === "UP" && !input.flag("force");
    if (up) out.line(`Cluster ${cluster.name} already has status UP.`);
    return !up;
  });
  if (asleep.length === 0) return 0;
  const names = asleep.map((cluster) => cluster.name);
  checkControllers(names, input);
  const question = `Restarting ${plural(names.length, "cluster")}: ${names.join(", ")}. Proceed?`;
  await requireYes(out, question, { default: true, skip: input.flag("yes") });
  await startAll(io, sky, { names, input });
  return 0;
}

async function select(io: Io, sky: Sky, input: Input): Promise<ClusterView[]> {
  const { args } = input;
  const all = input.flag("all");
  if (all && args.length > 0) {
    io.out.line("Both --all and cluster(s) specified for sky start. Letting --all take effect.");
  }
  if (!all && args.length > 0) {
    return asTyped(await findClusters(io, sky, { names: args, allUsers: true, refresh: "AUTO" }), args);
  }
  const mine = await findClusters(io, sky, { names: null, allUsers: false, refresh: "AUTO" });
  if (all) return mine.filter((cluster) => controllerKind(cluster.name) === null);
  if (mine.length > 1) {
    throw usage(
      "`sky start` requires either a cluster name or glob (see `sky status`), or the -a/--all flag.",
    );
  }
  return mine;
}

function checkControllers(names: readonly string[], input: Input): void {
  const controllers = names.filter((name) => controllerKind(name) !== null);
  const [first] = controllers;
  if (first === undefined) return;
  if (controllers.length < names.length) {
    throw usage(
      "Starting controllers with other cluster(s) is currently not supported.\nPlease start the former independently.",
    );
  }
  if (controllers.length > 1) {
    throw usage(
      "Starting multiple controllers is currently not supported.\nPlease start them independently.",
    );
  }
  if (input.int("idle-minutes-to-autostop") === undefined) return;
  throw usage(
    "Autostop options are currently not allowed when starting the controllers. " +
      `Use the default autostop settings by directly calling: sky start ${first}`,
  );
}

/** Submitted all at once, then followed one after the other: their logs would mix. */
async function startAll(
  io: Io,
  sky: Sky,
  { names, input }: { names: readonly string[]; input: Input },
): Promise<void> {
  const { out } = io;
  const requests = await Promise.allSettled(names.map((name) => submit(sky, { name, input })));
  for (const [index, name] of names.entries()) {
    const request = requests[index];
    try {
      if (request === undefined || request.status === "rejected") throw request?.reason;
      if (input.pair("async") === true) {
        submitted(io, sky, request.value, "sky.start");
        continue;
      }
      await followRequest(io, sky, request.value);
      out.line(out.style.green(`Cluster ${name} started.`));
      const question = { names: [name], allUsers: true, credentials: true, say: () => {} };
      await keepLogins(io, await findClusters(io, sky, question));
    } catch (error) {
      if (!isSkyError(error, "not_supported") && !isSkyError(error, "cluster_owner_mismatch")) throw error;
      out.line(error.message);
    }
  }
}

function submit(sky: Sky, { name, input }: { name: string; input: Input }): Promise<RequestId<unknown>> {
  return sky.start({
    cluster_name: name,
    idle_minutes_to_autostop: input.int("idle-minutes-to-autostop") ?? null,
    wait_for: (input.text("wait-for") ?? null) as WaitFor | null,
    retry_until_up: input.flag("retry-until-up"),
    down: input.flag("down"),
    force: input.flag("force"),
  });
}
