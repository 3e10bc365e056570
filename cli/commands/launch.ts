/** `sky launch`: a cluster and, if there is something to run, a job on it (cli.md §3.1). */
import { SkyError } from "../../core/errors.ts";
import { checkNotReserved, generatedClusterName, looksLikeFilePath } from "../../core/names.ts";
import type { Sky } from "../../sdk/client.ts";
import type { Command, Input, Io } from "../command.ts";
import { ask, followJob, followRequest, interruptible, submitted } from "../follow.ts";
import { hasSsh, printHints } from "../hints.ts";
import { keepLogins } from "../logins.ts";
import { ASYNC, CONFIG, EXTRA, GIT, NAME, PRIORITY, TASK, WORKSPACE, YES } from "../options.ts";
import { requireYes } from "../prompt.ts";
import { taskFromInput, wireDag } from "../task_options.ts";
import { uploadFiles } from "../uploading.ts";
import { findClusters } from "./find_clusters.ts";

export const command: Command = {
  name: "launch",
  summary: "Launch a cluster or task.",
  help:
    "Launch a cluster and run a task on it: a task YAML, or a command. With the name of a cluster that exists, " +
    "the task is set up and run there.\n\nQuote a command that has options of its own, or put -- before it.",
  examples: [
    "sky launch -c dev --cpus 2 'echo hello'",
    "sky launch -c train --gpus H100:8 task.yaml --env SEED=1",
    "sky launch -c dev -y -d task.yaml",
    "sky launch --infra local --down -i 10 'make test'",
    "sky launch -c dev --async -y task.yaml",
  ],
  args: [{ name: "ENTRYPOINT", required: false, many: true, complete: "file" }],
  options: [
    {
      name: "cluster",
      short: "c",
      kind: "text",
      complete: "cluster",
      help: "Name of the cluster, new or existing.  [default: made up]",
    },
    { name: "dryrun", kind: "flag", help: "Show the plan and check it; change nothing." },
    {
      name: "detach-run",
      short: "d",
      kind: "pair",
      negative: "-no-d",
      help: "Return after the job is submitted, without following its log.",
    },
    {
      name: "idle-minutes-to-autostop",
      short: "i",
      kind: "int",
      help: "Stop the cluster after this many idle minutes; negative cancels.",
    },
    {
      name: "wait-for",
      kind: "choice",
      choices: ["jobs_and_ssh", "jobs", "none"],
      help: "What counts as not idle, with -i or --down.",
    },
    { name: "down", kind: "flag", help: "Tear the cluster down when idle, instead of stopping it." },
    {
      name: "retry-until-up",
      short: "r",
      kind: "flag",
      help: "Keep trying until there is room for the cluster.",
    },
    ...YES,
    { name: "no-setup", kind: "flag", help: "Skip the setup commands." },
    {
      name: "clone-disk-from",
      aliases: ["clone"],
      kind: "text",
      complete: "cluster",
      help: "Clone the disk of this cluster (not available).",
      hidden: true,
    },
    { name: "fast", kind: "flag", help: "If the cluster is up and unchanged, skip provisioning and setup." },
    ...WORKSPACE,
    ...TASK,
    ...NAME,
    ...EXTRA,
    ...PRIORITY,
    ...GIT,
    ...ASYNC,
    ...CONFIG,
  ],
  run,
};

/** Official servers want every field. */
const NO_OPTIONS = { cluster_name: null, idle_minutes_to_autostop: null, down: false, dryrun: false };

async function run(io: Io, input: Input): Promise<number> {
  const { out } = io;
  const yes = input.flag("yes");
  const dryrun = input.flag("dryrun");
  if (input.text("clone-disk-from") !== undefined) {
    throw new SkyError("not_implemented", "clone_disk_from is not implemented yet");
  }
  const given = input.text("cluster");
  if (given !== undefined) {
    await confirmFileLikeName(io, given, { yes });
    checkNotReserved(given, "Launching tasks");
  }
  const dag = await taskFromInput(io, input, { verb: "launch", entrypoint: input.args });
  const sky = await io.sky();
  const cluster = given ?? generatedClusterName(sky.user.name, randomHex());
  const task = await wireDag(dag);
  const options = { ...NO_OPTIONS, cluster_name: cluster, dryrun, down: input.flag("down") };
  await interruptible(io, () => sky.validate(task, options));
  const asked = yes ? null : await confirmCluster(io, sky, { cluster, isNew: given === undefined, task });
  if (asked === null || asked === "nothing") out.line(`${out.style.cyan("Running on cluster: ")}${cluster}`);

  const uploaded = await uploadFiles(io, sky, { dag, workdirOnly: false });
  // Not to be cut by Ctrl+C: whoever leaves now is told by followRequest what was accepted.
  const id = await sky.launch({
    task: uploaded.blobId === null ? task : await wireDag(uploaded.dag),
    cluster_name: cluster,
    retry_until_up: input.flag("retry-until-up"),
    dryrun,
    no_setup: input.flag("no-setup"),
    fast: input.flag("fast"),
    // The plan has been shown before the question.
    quiet_optimizer: asked === "planned",
    include_credentials: true,
  }, { blobId: uploaded.blobId });
  if (input.pair("async") === true) {
    submitted(io, sky, id, "sky.launch");
    return 0;
  }
  const launched = await followRequest(io, sky, id, { gap: !dryrun });
  if (dryrun) return 0;
  const { job_id: jobId, handle, credentials } = launched;
  if (credentials !== undefined) await keepLogins(io, [{ name: cluster, handle, credentials }]);
  // An official server tells them only when asked for the cluster.
  else if (handle?.stable_internal_external_ips && hasSsh(handle)) {
    const question = { names: [cluster], allUsers: true, credentials: true, say: () => {} };
    await keepLogins(io, await findClusters(io, sky, question));
  }
  const detach = input.pair("detach-run") === true;
  const code = jobId === null || detach ? 0 : await followJob(io, sky, { cluster, jobId });
  const dashboard = sky.remote ? `${sky.endpoint}/dashboard` : null;
  printHints(io, { cluster, jobId, handle, dashboard });
  return code;
}

/** `sky launch -c task.yaml`: most likely the name was forgotten. With -y only warned of. */
async function confirmFileLikeName(io: Io, name: string, options: { yes: boolean }): Promise<void> {
  if (!looksLikeFilePath(name) && !(await isFile(`${io.cwd}/${name}`))) return;
  const text =
    `Cluster name '${name}' looks like a file path. Did you mean: sky launch -c <cluster-name> ${name}`;
  io.out.line(io.out.style.yellow(text));
  await requireYes(io.out, "Proceed anyway?", { default: false, skip: options.yes });
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    // Whatever cannot be looked at is no file of ours: only a hint depends on it.
    if (error instanceof Error) return false;
    throw error;
  }
}

/** Ask before something new is made or woken. What was shown: the plan, a question only, or nothing. */
async function confirmCluster(
  io: Io,
  sky: Sky,
  { cluster, isNew, task }: { cluster: string; isNew: boolean; task: string },
): Promise<"planned" | "asked" | "nothing"> {
  const [found] = isNew ? [] : await ask(io, sky, "status", { cluster_names: [cluster], all_users: true });
  if (found === undefined) {
    const request_options = { ...NO_OPTIONS, cluster_name: cluster };
    const plan = await interruptible(io, () => sky.optimize({ dag: task, request_options }));
    await followRequest(io, sky, plan, { tellOnInterrupt: false });
    await requireYes(io.out, `Launching a new cluster '${cluster}'. Proceed?`, { default: true });
    return "planned";
  }
  const foreign = found.user_hash !== sky.user.id;
  const owner = ` created by another user '${found.user_name}' (hash: ${found.user_hash})`;
  if (found.status === "STOPPED") {
    const whose = foreign ? owner : "";
    await requireYes(io.out, `Restarting the stopped cluster '${cluster}'${whose}. Proceed?`, {
      default: true,
    });
    return "asked";
  }
  if (!foreign) return "nothing";
  await requireYes(io.out, `Cluster '${cluster}' was${owner}. Reusing the cluster. Proceed?`, {
    default: true,
  });
  return "asked";
}

function randomHex(): string {
  const [value = 0] = crypto.getRandomValues(new Uint16Array(1));
  return value.toString(16).padStart(4, "0");
}
