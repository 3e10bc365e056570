/**
 * Getting an allocation (domain.md §8.6): find the one that a lost reply left behind or submit, wait while telling why,
 * find out about its nodes. Owns the order of it; questions are ask.ts, the script batch_script.ts.
 */
import { delay } from "@std/async/delay";
import { SkyError } from "../../core/errors.ts";
import type { CloudContext, ProvisionSpec } from "../cloud.ts";
import { askAhead, type Asker, askFacts, askJobs, complaint, noAnswer, onLogin } from "./ask.ts";
import { type Attempt, launching, outputOf, patiently, sharedHint } from "./attempt.ts";
import { batchScript, tmpPrefix } from "./batch_script.ts";
import { type Facts, parseSubmitted, type SlurmJob } from "./facts.ts";
import { bestType } from "./gres.ts";
import { clusterFolder, prepare, type SlurmHandle } from "./handle.ts";
import { askerOf, loginOf } from "./logins.ts";
import { sbatchArguments } from "./sbatch.ts";
import { gpuPartitions, provisionTimeout, sbatchOptions, tmpdirOf, workdirOf } from "./settings.ts";
import { endText, hopeless, isEnded, isWaiting, waitingText } from "./states.ts";
import { nodesOf } from "./told_nodes.ts";

/** Jobs of the same name that are ending may be waited for. */
const COMPLETING_MS = 60_000;
const POLL_MS = { first: 200, last: 2_000 };
/** How often the queue before us is counted. */
const AHEAD_MS = 6_000;

export async function provision(spec: ProvisionSpec, ctx: CloudContext): Promise<SlurmHandle> {
  const handle = prepare(spec);
  const login = loginOf(handle.cluster, ctx);
  const asker = askerOf(login, ctx);
  const workdir = workdirOf(ctx.config, handle.cluster);
  const base = await patiently(() => findBase(workdir, asker), { spec, handle, ctx });
  const attempt: Attempt = { spec, handle, asker, ctx, base };
  const begun = await existing(attempt) ?? await patiently(() => submit(attempt), attempt);
  const job = await started(begun, attempt);
  const nodes = await patiently(() => nodesOf(job, attempt), attempt);
  const tmpdir = tmpPrefix(tmpdirOf(ctx.config, handle.cluster), clusterFolder(base, handle.nameOnCloud));
  return { ...handle, allocation: { jobId: job.id, base, tmpdir, nodes } };
}

const FIND_BASE = `
umask 077
sky_base=$1
case $sky_base in
  '') sky_base=$HOME ;;
  '~/'*) sky_base=$HOME/\${sky_base#??} ;;
esac
case $sky_base in /*) ;; *) echo "it is no absolute path: $sky_base" >&2; exit 1 ;; esac
mkdir -p -- "$sky_base/.sky_clusters" "$sky_base/.sky_provision" && cd -- "$sky_base" && pwd`;

/** The folder of all clusters there; made if need be. Throws invalid_config. */
export async function findBase(workdir: string | null, asker: Asker): Promise<string> {
  const result = await onLogin(FIND_BASE, asker, { args: [workdir ?? ""] });
  const path = result.stdout.trim();
  if (result.code === 0 && path.startsWith("/") && !path.includes("\n")) return path;
  const what = `Cannot use '${workdir ?? "~"}' on Slurm cluster '${asker.cluster}'`;
  throw new SkyError("invalid_config", `${what}: ${complaint(result)}`, {
    hint: `Set slurm.cluster_configs.${asker.cluster}.workdir to a folder on a shared file system`,
  });
}

/** An allocation of this name that is, or will be, ours. Null: none. */
async function existing(attempt: Attempt): Promise<SlurmJob | null> {
  const { handle, asker, ctx } = attempt;
  const giveUpAt = ctx.now() + COMPLETING_MS;
  for (let pause = POLL_MS.first;; pause = Math.min(pause * 2, POLL_MS.last)) {
    const all = await patiently(() => askJobs(handle.nameOnCloud, asker), attempt);
    const jobs = all.filter((job) => !isEnded(job));
    const [oldest, ...more] = jobs.filter((job) => job.state !== "COMPLETING");
    if (oldest !== undefined) {
      // Two submissions whose replies were lost: one is enough.
      if (more.length > 0) await patiently(() => cancel(more.map(({ id }) => id), asker), attempt);
      if (oldest.numNodes === handle.numNodes) return oldest;
      throw new SkyError(
        "resources_unavailable",
        `Slurm job ${oldest.id} of cluster '${asker.cluster}' is named ${handle.nameOnCloud}, but has ` +
          `${oldest.numNodes} nodes, not ${handle.numNodes}: a leaked allocation`,
        { hint: `scancel ${oldest.id}` },
      );
    }
    if (jobs.length === 0 || ctx.now() >= giveUpAt) return null;
    ctx.log.status(launching(`job ${jobs[0]!.id} of the same name is ending`));
    await delay(pause, { signal: ctx.signal });
  }
}

/** Cancel allocations; of no effect on those that are over. Throws network. */
export async function cancel(ids: readonly string[], asker: Asker): Promise<void> {
  if (ids.length === 0) return;
  const result = await onLogin(`exec scancel "$@"`, asker, { args: ids });
  const over = /Invalid job id specified|already completing or completed/i.test(result.stderr);
  if (result.code !== 0 && !over) throw noAnswer(asker, result);
}

/**
 * Submits unless somebody did since we looked. Arguments: base, name, then sbatch's. Prints the id of the oldest job of
 * the name that lives: who submits at the same moment cancels its own, younger one.
 */
const SUBMIT = `
sky_base=$1 sky_name=$2
shift 2
umask 077
cd -- "$sky_base" && mkdir -p -- .sky_clusters .sky_provision || exit 1
sky_ours() {
  sky_list=$(squeue --me -h --name="$sky_name" -t PENDING,CONFIGURING,RUNNING,SUSPENDED -o %A) || exit 1
  sky_first=$(printf '%s\\n' "$sky_list" | sort -n | head -n 1)
}
sky_ours
if [ -z "$sky_first" ]; then
  sky_said=$(sbatch "$@") || exit
  sky_id=$(printf '%s\\n' "$sky_said" | sed -n 's/^\\([0-9][0-9]*\\)$/\\1/p; s/^\\([0-9][0-9]*\\);.*/\\1/p' | tail -n 1)
  [ -n "$sky_id" ] || { printf '%s\\n' "$sky_said" >&2; exit 1; }
  sky_ours
  case $sky_first in '' | "$sky_id") sky_first=$sky_id ;; *) scancel "$sky_id" || exit 1 ;; esac
fi
printf '%s\\n' "$sky_first"`;

async function submit(attempt: Attempt): Promise<SlurmJob> {
  const { spec, handle, asker, ctx, base } = attempt;
  const facts = await askFacts(asker);
  const { cluster, partition, nameOnCloud, numNodes } = handle;
  const { args, warnings } = sbatchArguments({
    name: nameOnCloud,
    partition,
    numNodes,
    cpus: handle.cpus,
    memoryGb: handle.memoryGb,
    gpu: gresOf(facts, attempt),
    maxTime: facts.partitions.find(({ name }) => name === partition)?.maxTime ?? null,
    output: `${base}/.sky_provision/slurm-%j.out`,
    options: sbatchOptions(ctx.config, { cluster, partition }),
  });
  for (const warning of warnings) ctx.log.line(`Warning: ${warning}`);
  const place = {
    cluster: clusterFolder(base, nameOnCloud),
    tmpdir: tmpdirOf(ctx.config, cluster),
    numNodes,
  };
  const result = await onLogin(SUBMIT, asker, {
    args: [base, nameOnCloud, ...args],
    stdin: batchScript(place),
  });
  const id = result.code === 0 ? parseSubmitted(result.stdout) : null;
  if (id === null) {
    const unreachable =
      /Unable to contact slurm controller|Connection refused|Connection timed out|Socket timed out/i;
    if (unreachable.test(result.stderr)) throw noAnswer(asker, result);
    throw new SkyError(
      "resources_unavailable",
      `Cannot launch cluster '${spec.clusterName}' on Slurm cluster '${cluster}', partition '${partition}': ` +
        complaint(result),
    );
  }
  return { id, state: "PENDING", reason: null, numNodes };
}

/** What GRES to ask for; without a type where the administrator has mapped the GPU to partitions. */
function gresOf(facts: Facts, { handle, ctx }: Attempt): { type: string | null; count: number } | null {
  const { gpu, cluster, partition } = handle;
  if (gpu === null) return null;
  if (gpuPartitions(ctx.config, cluster, gpu.name) !== null) return { type: null, count: gpu.count };
  const type = bestType(facts.nodes.filter((node) => node.partitions.includes(partition)), gpu.name);
  return { type: type ?? gpu.name, count: gpu.count };
}

/** Waits until an allocation runs, telling what for. Throws resources_unavailable, having cancelled it. */
async function started(begun: SlurmJob, attempt: Attempt): Promise<SlurmJob> {
  const { spec, handle, asker, ctx } = attempt;
  const seconds = provisionTimeout(ctx.config, { partitionAsked: spec.resources.zoneAsked === true });
  const giveUpAt = seconds === null ? Infinity : ctx.now() + seconds * 1_000;
  let ahead: number | null = null;
  let countAt = 0;
  for (let pause = POLL_MS.first;; pause = Math.min(pause * 1.5, POLL_MS.last)) {
    const jobs = await patiently(() => askJobs(handle.nameOnCloud, asker), attempt);
    const job = jobs.find(({ id }) => id === begun.id);
    const now = ctx.now();
    if (job?.state === "RUNNING") return job;
    const fault = job === undefined
      ? "it is not in the queue any more"
      : isEnded(job) || job.state === "COMPLETING"
      ? endText(job)
      : hopeless(job) ??
        (now >= giveUpAt ? `it was still ${waitingText(job, ahead)} after ${seconds} seconds` : null);
    if (fault !== null) {
      await patiently(() => cancel([begun.id], asker), attempt);
      const said = job !== undefined && isEnded(job) ? await outputOf(begun, attempt) : "";
      throw new SkyError(
        "resources_unavailable",
        `Cannot launch cluster '${spec.clusterName}' on Slurm cluster '${handle.cluster}', partition ` +
          `'${handle.partition}': job ${begun.id} did not start: ${fault}${said}`,
        now >= giveUpAt
          ? { hint: "slurm.provision_timeout of the config says how long to wait" }
          : job?.state === "FAILED"
          ? { hint: sharedHint(attempt) }
          : {},
      );
    }
    if (job !== undefined && isWaiting(job) && now >= countAt) {
      ahead = await patiently(() => askAhead({ id: job.id, partition: handle.partition }, asker), attempt);
      countAt = now + AHEAD_MS;
    }
    ctx.log.status(launching(waitingText(job!, ahead)));
    await delay(pause, { signal: ctx.signal });
  }
}
