/**
 * The nodes of an allocation that runs, as they tell of themselves: names in rank order, addresses, GPUs, and whether
 * they share the login's files. Owns that one step; the text the nodes run is batch_script.ts's.
 */
import { SkyError } from "../../core/errors.ts";
import { askJobs, complaint, onLogin } from "./ask.ts";
import { type Attempt, outputOf, sharedHint } from "./attempt.ts";
import { TELL_NODE, tmpPrefix } from "./batch_script.ts";
import { isWord, type SlurmJob } from "./facts.ts";
import { type AllocatedNode, clusterFolder } from "./handle.ts";
import { tmpdirOf } from "./settings.ts";
import { endText, isEnded } from "./states.ts";

/** Puts a word on the shared file system, then has each node tell about itself. Arguments: folder, word, srun's. */
const TELL = `
umask 077
mkdir -p -- "$1" && : >"$1/$2" || exit 1
sky_file=$1/$2
shift 2
srun "$@" </dev/null
sky_code=$?
rm -f -- "$sky_file"
exit "$sky_code"`;

/** The allocation's nodes in rank order, once its batch script is ready. */
export async function nodesOf(job: SlurmJob, attempt: Attempt): Promise<AllocatedNode[]> {
  const { spec, handle, asker, ctx, base } = attempt;
  const { cluster, nameOnCloud, numNodes } = handle;
  const folder = clusterFolder(base, nameOnCloud);
  const word = `.proof-${crypto.randomUUID()}`;
  const step = [
    "--overlap",
    `--jobid=${job.id}`,
    `--nodes=${numNodes}`,
    `--ntasks=${numNodes}`,
    "--ntasks-per-node=1",
    "--quiet",
    "--mpi=none",
    "--job-name=sky-tell",
    "/bin/sh",
    "-c",
    TELL_NODE,
    "sh",
    tmpPrefix(tmpdirOf(ctx.config, cluster), folder),
    job.id,
    folder,
    word,
  ];
  const result = await onLogin(TELL, asker, { args: [folder, word, ...step] });
  const nodes = parseNodeLines(result.stdout);
  const complete = nodes.length === numNodes && nodes.every((node, rank) => node.rank === rank);
  if (result.code !== 0 || !complete) {
    const said = await outputOf(job, attempt);
    const now = (await askJobs(nameOnCloud, asker)).find(({ id }) => id === job.id);
    const ended = now !== undefined && isEnded(now);
    throw new SkyError(
      "resources_unavailable",
      `Cannot launch cluster '${spec.clusterName}' on Slurm cluster '${cluster}', partition '${handle.partition}': ` +
        `job ${job.id} did not start: ${ended ? endText(now) : complaint(result)}${said}`,
      now?.state === "FAILED" ? { hint: sharedHint(attempt) } : {},
    );
  }
  const apart = nodes.find((node) => !node.shared);
  if (apart !== undefined) {
    throw new SkyError(
      "invalid_config",
      `Cannot use '${base}' of Slurm cluster '${cluster}': ${apart.name} does not see what the login node writes there`,
      { hint: sharedHint(attempt) },
    );
  }
  return nodes.map(({ name, ip, gpus }) => ({ name, ip, gpus }));
}

/** Lines of TELL_NODE, in rank order. */
export function parseNodeLines(text: string): (AllocatedNode & { rank: number; shared: boolean })[] {
  return text.split("\n").flatMap((line) => {
    const [, rank, name, ip, cuda, shared] =
      /^node\|(\d{1,6})\|([^|]+)\|([0-9A-Fa-f.:]*)\|([^|]*)\|(yes|no)$/.exec(line) ?? [];
    if (rank === undefined || !isWord(name!)) return [];
    const gpus = cuda!.split(",").filter((index) => /^\d{1,4}$/.test(index)).map(Number);
    return [{ rank: Number(rank), name: name!, ip: ip === "" ? name! : ip!, gpus, shared: shared === "yes" }];
  }).sort((a, b) => a.rank - b.rank);
}
