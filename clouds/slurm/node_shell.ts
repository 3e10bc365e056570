/**
 * The way into a node of an allocation: `srun --overlap` from the login node (domain.md §8.6). Owns the command line of
 * steps, what a failed srun means, and starting what outlives the login: the allocation's batch script does that
 * (batch_script.ts). The conversation itself is transport/remote's.
 */
import { SkyError } from "../../core/errors.ts";
import type { RunResult } from "../cloud.ts";
import { quote } from "../transport/job_files.ts";
import { type Carrier, type Failure, pipeShell } from "../transport/remote/pipe_shell.ts";
import type { DetachOptions, NodeShell } from "../transport/remote/shell.ts";
import { ASK_BATCH } from "./batch_script.ts";
import { plain } from "./facts.ts";

/** What steps that are jobs are called. */
export const JOB_STEP = "sky-job";

export interface Allocation {
  /** The login node's shell and what carries it. */
  readonly login: { readonly shell: NodeShell; readonly carrier: Carrier };
  /** For messages. */
  readonly cluster: string;
  readonly jobId: string;
  /** Where its batch script is found on the first node (batch_script.ts). */
  readonly tmpdir: string;
  /** CPUs of one node: a step sees no more than it asks for. */
  readonly cpus: number;
  /** Head first. */
  readonly nodes: readonly string[];
}

/** Words before a step's program. All are ours or plain words: no quoting, whatever the login's shell. */
export function stepWords(allocation: Allocation, { node, name }: { node: string; name: string }): string[] {
  return [
    "srun",
    "--overlap",
    `--jobid=${allocation.jobId}`,
    `--nodelist=${node}`,
    "--nodes=1",
    "--ntasks=1",
    `--cpus-per-task=${Math.max(1, Math.ceil(allocation.cpus))}`,
    "--quiet",
    "--mpi=none",
    `--job-name=${name}`,
  ];
}

/** A shell on one node of an allocation. */
export function slurmShell(allocation: Allocation, node: string): NodeShell {
  const steps = pipeShell(stepCarrier(allocation, node));
  return {
    name: steps.name,
    exec: (script, options) => steps.exec(script, options),
    open: (script, options) => steps.open(script, options),
    detach: (script, options) => startStep(script, { node, allocation, options }),
  };
}

/** Carries one command of a login's shell to a node, as a step. */
function stepCarrier(allocation: Allocation, node: string): Carrier {
  const { carrier } = allocation.login;
  const words = stepWords(allocation, { node, name: "sky-exec" }).join(" ");
  const name = `${node} of Slurm cluster ${allocation.cluster}`;
  return {
    name,
    note: (text) => carrier.note(text),
    async begin(line, options) {
      const turn = await carrier.begin(line.replace(/^exec /, `exec ${words} `), options);
      return {
        ...turn,
        judge: (failure) => judge(failure, { name, allocation }) ?? turn.judge(failure),
        doubt: () => turn.doubt(),
        release: () => turn.release(),
      };
    },
  };
}

/** What srun says of itself; null if it is not srun that failed. */
function judge(
  { code, stderr, begun }: Failure,
  { name, allocation }: { name: string; allocation: Allocation },
): Promise<SkyError | "again"> | null {
  const said = [...stderr.matchAll(/^(?:srun|slurmstepd): (?:error: )?(.*)$/gm)].map((match) =>
    plain(match[1]!)
  );
  if (said.length === 0 && code !== 127) return null;
  const text = said.filter((line) => !/Exited with exit code/.test(line)).slice(0, 3).join("; ") ||
    "srun failed";
  const { jobId } = allocation;
  const over = /Invalid job id|has expired|Job\/step already completing|already completed|Unable to confirm/i;
  if (over.test(text)) {
    return Promise.resolve(
      new SkyError("network", `Cannot reach ${name}: Slurm job ${jobId} is over (${text})`),
    );
  }
  const busy =
    /Resource temporarily unavailable|Requested nodes are busy|step creation temporarily disabled|retrying/i;
  if (!begun && busy.test(text)) return Promise.resolve("again");
  return Promise.resolve(new SkyError("network", `Cannot reach ${name}: ${text}`));
}

/**
 * In a session of its own where setsid can wait for it, as a job on a machine of its own would be. Slurm's variables
 * speak of a step of one task: programs that believe them would not find their gang.
 */
const IN_SESSION = `
for sky_name in $(env | sed -n 's/^\\(SLURM_[A-Za-z0-9_]*\\)=.*/\\1/p'); do
  case $sky_name in SLURM_CONF* | SLURM_JOB_ID) ;; *) unset "$sky_name" ;; esac
done
unset sky_name
if setsid -w true 2>/dev/null; then exec setsid -w /bin/sh -c "$0" sh "$@"; fi
exec /bin/sh -c "$0" sh "$@"`;

/**
 * Have the batch script start a step. `first` runs on the login node, which sees the same files. Back with the first
 * line that the script prints, or with its code and complaints if it ends without one.
 */
async function startStep(
  script: string,
  { node, allocation, options }: { node: string; allocation: Allocation; options: DetachOptions },
): Promise<RunResult> {
  const { first, stdin, ...rest } = options;
  const args = options.args ?? [];
  if (first !== undefined) {
    const laid = await allocation.login.shell.exec(first, options);
    if (laid.code !== 0) return laid;
  }
  const words = stepWords(allocation, { node, name: JOB_STEP });
  const call = ["exec", ...words, "/bin/sh", "-c", IN_SESSION, script, ...args].map(quote).join(" ")
    .replace(/^'exec'/, "exec");
  const word = `t-${crypto.randomUUID()}`;
  const head = pipeShell(stepCarrier(allocation, allocation.nodes[0] ?? node));
  return await head.exec(ASK_BATCH, {
    ...rest,
    args: [allocation.tmpdir, allocation.jobId, word, call],
    ...(first === undefined && stdin !== undefined ? { stdin } : {}),
  });
}
