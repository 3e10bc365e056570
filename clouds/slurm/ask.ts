/**
 * Questions to a cluster's login node, one exchange each: what is there, which jobs are ours, how many wait before us.
 * Owns the shell texts for them and what their failure means; reading the answers is facts.ts.
 */
import { SkyError } from "../../core/errors.ts";
import type { RunResult } from "../cloud.ts";
import type { NodeShell, ShellOptions } from "../transport/remote/shell.ts";
import {
  countAhead,
  type Facts,
  JOB_FORMAT,
  parseJobs,
  parseNodes,
  parsePartitions,
  parseSettings,
  plain,
  type SlurmJob,
} from "./facts.ts";

export interface Asker {
  readonly login: NodeShell;
  /** For messages. */
  readonly cluster: string;
  readonly signal: AbortSignal;
  readonly processes: string | null;
}

/** Clusters have thousands of nodes, a line each. */
const MAX_FACTS = 32 << 20;
/** A controller that hangs makes its clients try for minutes. */
const ANSWER_MS = 60_000;

/** Run a text on the login node. Slurm's words are looked at, so they are to be English. */
export async function onLogin(
  script: string,
  asker: Asker,
  options: Partial<ShellOptions> = {},
): Promise<RunResult> {
  const { login, signal, processes } = asker;
  return await login.exec(`export LC_ALL=C\n${script}`, {
    signal,
    processes,
    timeoutMs: ANSWER_MS,
    ...options,
  });
}

const FACTS = `command -v sbatch >/dev/null || { echo "there is no sbatch on its PATH" >&2; exit 127; }
scontrol show config && scontrol show partition -o && scontrol show node -d -o`;

/** All there is to know of a cluster. Throws network if Slurm does not answer, not_supported if it isn't there. */
export async function askFacts(asker: Asker): Promise<Facts> {
  const result = await onLogin(FACTS, asker, { maxOutput: MAX_FACTS });
  if (result.code === 127) {
    throw new SkyError("not_supported", `Cannot use Slurm cluster '${asker.cluster}': ${complaint(result)}`);
  }
  if (result.code !== 0) throw noAnswer(asker, result);
  return {
    settings: parseSettings(result.stdout),
    partitions: parsePartitions(result.stdout),
    nodes: parseNodes(result.stdout),
  };
}

/** Jobs of ours with a name, ended ones that Slurm still remembers included; oldest first. Throws network. */
export async function askJobs(name: string, asker: Asker): Promise<SlurmJob[]> {
  const result = await onLogin(`exec squeue --me -h -t all --name="$1" -o "$2"`, asker, {
    args: [name, JOB_FORMAT],
  });
  if (result.code !== 0) throw noAnswer(asker, result);
  return parseJobs(result.stdout);
}

/** How many jobs of a partition would be started before ours; null if that can't be told. */
export async function askAhead(
  { id, partition }: { id: string; partition: string },
  asker: Asker,
): Promise<number | null> {
  const result = await onLogin(`exec squeue -h -t PENDING -p "$1" -o '%A|%Q'`, asker, { args: [partition] });
  return result.code === 0 ? countAhead(result.stdout, id) : null;
}

/** Nodes of ours that Slurm can't reach or has given up: name → state. Throws network. */
export async function askTrouble(nodes: readonly string[], asker: Asker): Promise<Map<string, string>> {
  const result = await onLogin(`exec sinfo -h -N -n "$1" -o '%N|%T'`, asker, { args: [nodes.join(",")] });
  if (result.code !== 0) throw noAnswer(asker, result);
  return new Map(
    result.stdout.split("\n").flatMap((line): [string, string][] => {
      const [, name, state] = /^([^|\s]+)\|(\S+)$/.exec(line.trim()) ?? [];
      return name !== undefined && /^down|^fail|^unknown|\*$/.test(state!) ? [[name, state!]] : [];
    }),
  );
}

export function noAnswer(asker: Asker, result: RunResult): SkyError {
  return new SkyError("network", `Slurm cluster '${asker.cluster}' does not answer: ${complaint(result)}`);
}

/** The last thing that was said, in one line of bounded length. */
export function complaint({ code, stderr }: RunResult): string {
  const said = stderr.split("\n").map((line) => plain(line)).filter((line) => line !== "");
  return said.length === 0 ? `code ${code}` : said.slice(-3).join("; ").slice(0, 500);
}
