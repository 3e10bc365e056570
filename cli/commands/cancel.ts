/** `sky cancel`: cancel jobs on a cluster, or on those that a glob matches (cli.md §3.6). */
import { isGlob } from "../../core/names.ts";
import type { Command, Input, Io } from "../command.ts";
import { followRequest, submitted } from "../follow.ts";
import { ASYNC, CONFIG, YES } from "../options.ts";
import { usage } from "../parse.ts";
import { requireYes } from "../prompt.ts";
import { CONTROLLER_NAMES, controllerKind, findClusters } from "./find_clusters.ts";

export const command: Command = {
  name: "cancel",
  summary: "Cancel jobs.",
  help:
    "Cancel jobs on a cluster: those with the given ids, all of yours, those of all users, or else the latest " +
    "running one. The cluster may be a glob.",
  examples: [
    "sky cancel my-cluster",
    "sky cancel my-cluster 1 2",
    "sky cancel my-cluster -a",
    "sky cancel 'exp*' -a -y",
  ],
  args: [
    { name: "CLUSTER", required: true, many: false, complete: "cluster" },
    { name: "JOBS", required: false, many: true },
  ],
  options: [
    { name: "all", short: "a", kind: "flag", help: "Cancel all your jobs on the cluster." },
    { name: "all-users", short: "u", kind: "flag", help: "Cancel the jobs of all users on the cluster." },
    ...YES,
    ...ASYNC,
    ...CONFIG,
  ],
  run,
};

async function run(io: Io, input: Input): Promise<number> {
  const { out } = io;
  const [pattern = "", ...words] = input.args;
  const jobIds = words.map(jobId);
  const everyones = input.flag("all-users");
  const all = input.flag("all");
  const sky = await io.sky();
  // A literal name that is missing is told by the error below.
  const found = await findClusters(io, sky, { names: [pattern], allUsers: true, say: () => {} });
  const names = found.map((cluster) => cluster.name);
  checkTargets(pattern, { names, jobIds });
  if (jobIds.length === 0 && !all && !everyones) {
    out.line(
      out.style.yellow("No job IDs or --all/--all-users provided; cancelling the latest running job."),
    );
  }
  const what = everyones
    ? "all users' jobs"
    : all
    ? "all your jobs"
    : jobIds.length === 0
    ? "the latest running job"
    : `job${jobIds.length > 1 ? "s" : ""} ${jobIds.join(" ")}`;
  const question = `Cancelling ${what} on cluster(s): ${names.join(", ")}. Proceed?`;
  await requireYes(out, question, { default: true, skip: input.flag("yes") });
  for (const name of names) {
    const id = await sky.cancel({
      cluster_name: name,
      job_ids: jobIds.length > 0 && !all && !everyones ? jobIds : null,
      all,
      all_users: everyones,
    });
    if (input.pair("async") === true) submitted(io, sky, id, "sky.cancel");
    else await followRequest(io, sky, id);
  }
  return 0;
}

function jobId(word: string): number {
  if (/^\d+$/.test(word) && Number.isSafeInteger(Number(word))) return Number(word);
  throw usage(`Invalid value for '[JOBS]...': '${word}' is not a valid integer.`);
}

function checkTargets(
  pattern: string,
  { names, jobIds }: { names: readonly string[]; jobIds: readonly number[] },
): void {
  if (names.length === 0) {
    throw usage(
      isGlob(pattern) ? `No clusters match pattern: '${pattern}'` : `Cluster '${pattern}' does not exist.`,
    );
  }
  if (names.length > 1 && jobIds.length > 0) {
    throw usage(
      `Cannot specify job IDs when cluster pattern matches multiple clusters. Pattern '${pattern}' matches: ` +
        names.join(", "),
    );
  }
  const kind = names.map(controllerKind).find((one) => one !== null);
  if (kind === "jobs") {
    throw usage(
      "Cancelling the jobs controller's jobs is not allowed.\n" +
        "To cancel managed jobs, use: sky jobs cancel <managed job IDs> [--all]",
    );
  }
  if (kind === "serve") throw usage(`Cancelling the ${CONTROLLER_NAMES.serve}'s jobs is not allowed.`);
}
