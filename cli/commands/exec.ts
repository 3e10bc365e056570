/** `sky exec`: a job on a cluster that is up, without provisioning and setup (cli.md §3.2). */
import { checkNotReserved } from "../../core/names.ts";
import type { Command, Input, Io } from "../command.ts";
import { followJob, followRequest, submitted } from "../follow.ts";
import { ASYNC, CONFIG, EXTRA, GIT, NAME, TASK } from "../options.ts";
import { usage } from "../parse.ts";
import { taskFromInput, wireDag } from "../task_options.ts";
import { uploadFiles } from "../uploading.ts";

export const command: Command = {
  name: "exec",
  summary: "Execute a task or command on an existing cluster.",
  help:
    "Execute a task YAML or a command on a cluster that is up. Provisioning, setup and file mounts are left " +
    "out; the workdir is synced.\n\nQuote a command that has options of its own, or put -- before it.",
  examples: [
    "sky exec my-cluster 'echo hello'",
    "sky exec my-cluster task.yaml",
    "sky exec my-cluster --gpus H100:1 -d 'python train.py --epochs 3'",
    "sky exec my-cluster --env SEED=2 -- python train.py --epochs 3",
  ],
  args: [
    { name: "CLUSTER", required: false, many: false, complete: "cluster" },
    { name: "ENTRYPOINT", required: false, many: true, complete: "file" },
  ],
  options: [
    {
      name: "cluster",
      short: "c",
      kind: "text",
      hidden: true,
      complete: "cluster",
      help: "The cluster; all words are then the entrypoint.",
    },
    {
      name: "detach-run",
      short: "d",
      kind: "flag",
      help: "Return after the job is submitted, without following its log.",
    },
    ...TASK,
    ...NAME,
    ...EXTRA,
    ...GIT,
    ...ASYNC,
    ...CONFIG,
  ],
  run,
};

async function run(io: Io, input: Input): Promise<number> {
  const { out } = io;
  const { cluster, entrypoint } = split(input);
  checkNotReserved(cluster, "Executing task");
  const dag = await taskFromInput(io, input, { verb: "exec", entrypoint });
  out.line(`${out.style.cyan("Submitting job to cluster: ")}${cluster}`);
  const sky = await io.sky();
  const uploaded = await uploadFiles(io, sky, { dag, workdirOnly: true });
  const id = await sky.exec({ task: await wireDag(uploaded.dag), cluster_name: cluster }, {
    blobId: uploaded.blobId,
  });
  if (input.pair("async") === true) {
    submitted(io, sky, id, "sky.exec");
    return 0;
  }
  const { job_id: jobId } = await followRequest(io, sky, id);
  if (input.flag("detach-run") || jobId === null) return 0;
  return await followJob(io, sky, { cluster, jobId });
}

function split(input: Input): { cluster: string; entrypoint: readonly string[] } {
  const named = input.text("cluster");
  const [first, ...rest] = input.args;
  const cluster = named ?? first;
  const entrypoint = named === undefined ? rest : input.args;
  if (cluster === undefined) throw usage("Missing argument '[CLUSTER]' and '[ENTRYPOINT]...'");
  if (entrypoint.length === 0) throw usage("Missing argument '[ENTRYPOINT]...'");
  return { cluster, entrypoint };
}
