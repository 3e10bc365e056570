/**
 * An allocation after it was made: looking at it, ending it, keeping its guard told (domain.md §8.6). Owns when a
 * cluster counts as gone: only when Slurm itself says that the allocation ended, or answers and knows none.
 */
import { delay } from "@std/async/delay";
import type { Handle } from "../../core/cluster.ts";
import { isSkyError, SkyError } from "../../core/errors.ts";
import type { CloudContext, GuardPolicy, NodeInfo } from "../cloud.ts";
import { JOB_KEY } from "../transport/job_files.ts";
import { END_MARKED } from "../transport/node/end_processes.ts";
import { type Asker, askJobs, askTrouble, complaint, noAnswer, onLogin } from "./ask.ts";
import type { SlurmJob } from "./facts.ts";
import { clusterFolder, nodeHome, readHandle, type SlurmHandle } from "./handle.ts";
import { askerOf, type Login, loginOf } from "./logins.ts";
import { cancel, findBase } from "./provision.ts";
import { shellsOf } from "./runners.ts";
import { workdirOf } from "./settings.ts";
import { isEnded, nodeStateOf } from "./states.ts";

/** How long Slurm may take to end an allocation; a node that went silent takes until Slurm gives it up. */
const ENDING_MS = 45_000;
const POLL_MS = 250;
/** What is left of jobs is ended before the allocation is, if the nodes answer in time. */
const STRAYS_MS = 8_000;

export async function inspect(handle: Handle, ctx: CloudContext): Promise<readonly NodeInfo[]> {
  const known = readHandle(handle);
  try {
    return await look(known, ctx);
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (!isSkyError(error, "network") && !isSkyError(error, "timeout")) throw error;
    return nodesAs(known, { state: "unknown", reason: error.message });
  }
}

async function look(handle: SlurmHandle, ctx: CloudContext): Promise<NodeInfo[]> {
  const asker = askerOf(loginOf(handle.cluster, ctx), ctx);
  const jobs = await askJobs(handle.nameOnCloud, asker);
  const { allocation } = handle;
  const own = allocation === null ? lastOf(jobs) : jobs.find(({ id }) => id === allocation.jobId);
  const other = jobs.find((job) => !isEnded(job) && job.id !== own?.id);
  if (own === undefined || isEnded(own)) {
    if (other !== undefined) {
      return nodesAs(handle, { state: "unknown", reason: `Slurm job ${other.id} has this cluster's name` });
    }
    const reason = own === undefined ? "Slurm knows no job of this name" : nodeStateOf(own).reason;
    return nodesAs(handle, { state: "gone", reason });
  }
  const told = nodeStateOf(own);
  if (told.state !== "up") return nodesAs(handle, told);
  if (allocation === null) {
    return nodesAs(handle, { state: "unknown", reason: `Slurm job ${own.id} was not set up` });
  }
  const trouble = await askTrouble(allocation.nodes.map(({ name }) => name), asker);
  return nodesAs(handle, told).map((node) => {
    const state = trouble.get(node.id);
    return state === undefined ? node : { ...node, state: "unknown", reason: `Slurm says it is ${state}` };
  });
}

function lastOf(jobs: readonly SlurmJob[]): SlurmJob | undefined {
  return jobs.find((job) => !isEnded(job)) ?? jobs.at(-1);
}

function nodesAs(handle: SlurmHandle, told: Pick<NodeInfo, "state" | "reason">): NodeInfo[] {
  return Array.from({ length: handle.numNodes }, (_, i) => {
    const node = handle.allocation?.nodes[i];
    return {
      id: node?.name ?? `node${i}`,
      internalIp: node?.ip ?? "",
      externalIp: node?.ip ?? null,
      ...told,
    };
  });
}

/** Ends the allocation, waits until it has left the queue, takes its folder away. Succeeds if there is nothing. */
export async function terminate(handle: Handle, ctx: CloudContext): Promise<void> {
  const known = readHandle(handle);
  const login = loginOf(known.cluster, ctx);
  const asker = askerOf(login, ctx);
  const living = await livingJobs(known, asker);
  if (living.some(({ id, state }) => id === known.allocation?.jobId && state === "RUNNING")) {
    await endStrays(known, login, ctx);
  }
  await cancel(living.map(({ id }) => id), asker);
  await left(known, asker, ctx);
  const base = known.allocation?.base ?? await findBase(workdirOf(ctx.config, known.cluster), asker);
  const folder = clusterFolder(base, known.nameOnCloud);
  const result = await onLogin(REMOVE, asker, { args: [folder] });
  if (result.code === 0) return;
  throw new SkyError(
    "command_failed",
    `Cannot remove ${folder} on Slurm cluster '${known.cluster}': ${complaint(result)}`,
  );
}

/**
 * An upload whose connection was cut off may still wait in there for the rest: it ends first. What a process that is
 * just ending writes may come in between.
 */
const REMOVE = `
case $1 in */.sky_clusters/?*) ;; *) echo "not a cluster's folder" >&2; exit 1 ;; esac
for sky_pid in $(ls -l /proc/[0-9]*/cwd 2>/dev/null | grep -F -e "-> $1/" | sed 's#.*/proc/\\([0-9]*\\)/cwd -> .*#\\1#'); do
  kill -s KILL "$sky_pid" 2>/dev/null
done
rm -rf -- "$1" 2>/dev/null || { sleep 1; rm -rf -- "$1"; }`;

async function livingJobs(handle: SlurmHandle, asker: Asker): Promise<SlurmJob[]> {
  return (await askJobs(handle.nameOnCloud, asker)).filter((job) => !isEnded(job));
}

async function left(handle: SlurmHandle, asker: Asker, ctx: CloudContext): Promise<void> {
  const giveUpAt = ctx.now() + ENDING_MS;
  const begun = performance.now();
  for (;;) {
    const [job] = await livingJobs(handle, asker);
    if (job === undefined) return;
    if (ctx.now() >= giveUpAt || performance.now() - begun >= ENDING_MS) {
      throw new SkyError(
        "timeout",
        `Slurm job ${job.id} of cluster '${handle.cluster}' was cancelled, but is still ${job.state}`,
        { hint: "A node may be silent: try again when Slurm has given it up" },
      );
    }
    await delay(POLL_MS, { signal: ctx.signal });
  }
}

/** Processes that left their step, where Slurm does not track them by control groups. What fails is Slurm's to end. */
async function endStrays(handle: SlurmHandle, login: Login, ctx: CloudContext): Promise<void> {
  const signal = AbortSignal.any([ctx.signal, AbortSignal.timeout(STRAYS_MS)]);
  const { base } = handle.allocation!;
  await Promise.all(
    shellsOf(handle, login).map(async (shell, rank) => {
      const mark = `${JOB_KEY}=${nodeHome(base, handle.nameOnCloud, rank)}/`;
      try {
        await shell.exec(END_STRAYS, { args: [mark], signal, processes: ctx.processes ?? null });
      } catch {
        ctx.signal.throwIfAborted();
        // A node that does not answer: its allocation is ended all the same.
      }
    }),
  );
}

/** Argument: the beginning of a mark. Each whole mark that begins so is ended in turn. */
const END_STRAYS = `
sky_marks=$(cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -F -e "$1" | grep "^${JOB_KEY}=" | sort -u)
[ -n "$sky_marks" ] || exit 0
printf '%s\\n' "$sky_marks" | while IFS= read -r sky_one; do
  case $sky_one in "$1"*) ;; *) continue ;; esac
  set -- "$1" "$sky_one"
  ( set -- "$sky_one" 0
${END_MARKED}
  )
done`;

const ARM = `
umask 077
[ -d "$1" ] || exit 0
if [ "$#" = 1 ]; then
  rm -f -- "$1/lease"
else
  sky_now=$(date +%s)
  printf '%s %s %s %s\\n' "$sky_now" "$2" "$3" "$((sky_now - $4))" >"$1/lease"
fi`;

/** Renews the lease that the batch script looks at, or takes it back. Throws network. */
export async function guard(handle: Handle, policy: GuardPolicy | null, ctx: CloudContext): Promise<void> {
  const known = readHandle(handle);
  if (known.allocation === null) return;
  const asker = askerOf(loginOf(known.cluster, ctx), ctx);
  const args = [clusterFolder(known.allocation.base, known.nameOnCloud)];
  if (policy !== null) {
    const idle = policy.busy ? 0 : Math.max(0, Math.floor((ctx.now() - policy.lastActiveAt) / 1_000));
    args.push(String(Math.max(0, Math.floor(policy.idleMinutes))), policy.waitFor, String(idle));
  }
  const result = await onLogin(ARM, asker, { args });
  if (result.code !== 0) throw noAnswer(asker, result);
}

/** What an allocation that ended by itself left on the shared file system goes; what may still run is said. */
export async function abandon(handle: Handle, ctx: CloudContext): Promise<string | null> {
  const known = readHandle(handle);
  const { allocation, cluster, nameOnCloud } = known;
  try {
    const patient = { ...ctx, signal: AbortSignal.any([ctx.signal, AbortSignal.timeout(STRAYS_MS)]) };
    const asker = askerOf(loginOf(cluster, ctx), patient);
    if ((await livingJobs(known, asker)).length === 0) {
      if (allocation !== null) {
        await onLogin(REMOVE, asker, { args: [clusterFolder(allocation.base, nameOnCloud)] });
      }
      return null;
    }
  } catch {
    ctx.signal.throwIfAborted();
    // Out of reach: then nobody knows.
  }
  const which = allocation === null ? `--name=${nameOnCloud}` : allocation.jobId;
  return `Its allocation may still run on Slurm cluster '${cluster}': scancel ${which}`;
}
