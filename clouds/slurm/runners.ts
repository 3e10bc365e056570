/**
 * Runners of an allocation's nodes: commands are steps, files go through the login node, which shares them. Owns whether
 * a job lives, without a step for every look (a job may have 40 000 of them, ever).
 */
import { isSkyError, SkyError } from "../../core/errors.ts";
import type { Handle } from "../../core/cluster.ts";
import type { CloudContext, CommandRunner, JobPhase, JobState } from "../cloud.ts";
import { isAliveOn } from "../transport/remote/jobs.ts";
import { type RemoteNode, RemoteRunner } from "../transport/remote/runner.ts";
import type { NodeShell } from "../transport/remote/shell.ts";
import { type Asker, askJobs, complaint, onLogin } from "./ask.ts";
import { clusterFolder, nodeHome, readHandle, type SlurmHandle } from "./handle.ts";
import { askerOf, type Login, loginOrFault } from "./logins.ts";
import { JOB_STEP, slurmShell } from "./node_shell.ts";
import { isEnded } from "./states.ts";

/** How long what a node said of a process is taken for true, at first and at last. */
const RECHECK_MS = { first: 30_000, last: 900_000 };

/** Shells on the nodes of an allocation, head first; before there is one, shells that only say so. */
export function shellsOf(handle: SlurmHandle, login: Login): NodeShell[] {
  const { allocation, cluster, cpus, nameOnCloud, numNodes } = handle;
  if (allocation === null) {
    const text = `Slurm cluster '${cluster}' has given no nodes to ${nameOnCloud} yet`;
    const refuse = () => Promise.reject(new SkyError("network", text));
    const absent: NodeShell = {
      name: `a node of Slurm cluster ${cluster}`,
      exec: refuse,
      open: refuse,
      detach: refuse,
    };
    return Array.from({ length: numNodes }, () => absent);
  }
  const { jobId, tmpdir } = allocation;
  const nodes = allocation.nodes.map(({ name }) => name);
  return nodes.map((node) => slurmShell({ login, cluster, jobId, tmpdir, cpus, nodes }, node));
}

export function runners(handle: Handle, ctx: CloudContext): readonly CommandRunner[] {
  const known = readHandle(handle);
  const login = loginOrFault(known.cluster, ctx);
  const asker = askerOf(login, ctx);
  const { base, jobId, nodes } = known.allocation ?? { base: "", jobId: "", nodes: [] };
  return shellsOf(known, login).map((shell, rank) => {
    const node: RemoteNode = {
      nodeId: nodes[rank]?.name ?? `node${rank}`,
      home: nodeHome(base, known.nameOnCloud, rank),
      shell,
      files: login.shell,
      watch: login.watch(),
      processes: ctx.processes ?? null,
      cluster: clusterFolder(base, known.nameOnCloud),
      avoid: [ctx.folder],
      note: (text) => ctx.log.line(text),
    };
    const isOver = async () =>
      (await askJobs(known.nameOnCloud, asker)).every((job) => job.id !== jobId || isEnded(job));
    const alive = lifeOf({ node, jobId, asker, isOver });
    return new SlurmRunner({ ...node, alive }, isOver);
  });
}

class SlurmRunner extends RemoteRunner {
  readonly #isOver: () => Promise<boolean>;

  constructor(node: RemoteNode, isOver: () => Promise<boolean>) {
    super(node);
    this.#isOver = isOver;
  }

  /** Life is asked for after the look at the files: an exit code may have come in between. */
  override async jobState(
    logDir: string,
    phase: JobPhase,
    options: { signal: AbortSignal },
  ): Promise<JobState> {
    const state = await super.jobState(logDir, phase, options);
    const vanished = state.pid !== null && !state.alive && state.exitCode === null;
    return vanished ? await super.jobState(logDir, phase, options) : state;
  }

  /** With its allocation ended everything on a node has ended, too. */
  override async killJob(
    logDir: string,
    phase: JobPhase,
    options: { graceMs: number; signal: AbortSignal },
  ): Promise<void> {
    try {
      await super.killJob(logDir, phase, options);
    } catch (error) {
      options.signal.throwIfAborted();
      if (!isSkyError(error, "network") || !await this.#isOver()) throw error;
    }
  }
}

/**
 * Whether the process that a job's `pid` file names lives. Asked of the node; then it lives as long as the same steps of
 * jobs are there, which one question to the controller tells: each step lives as long as its first process. A node that
 * was quickly back from a restart may go unnoticed by the controller, so it is asked again, the rarer the longer.
 */
function lifeOf(
  { node, jobId, asker, isOver }: {
    node: RemoteNode;
    jobId: string;
    asker: Asker;
    isOver: () => Promise<boolean>;
  },
) {
  const seen = new Map<string, { readonly steps: string; readonly since: number; readonly until: number }>();
  return async (identity: string, { signal }: { signal: AbortSignal }): Promise<boolean> => {
    const steps = await stepsOn(node.nodeId, { jobId, asker: { ...asker, signal } });
    if (steps === "" && await isOver()) return false;
    const last = seen.get(identity);
    const now = performance.now();
    if (steps !== "" && last?.steps === steps && now < last.until) return true;
    const alive = await isAliveOn(node, identity, { signal });
    seen.delete(identity);
    // A controller that was restarted may have forgotten a step that runs.
    if (alive && steps !== "") {
      const since = last?.since ?? now;
      const pause = Math.min(Math.max((now - since) / 10, RECHECK_MS.first), RECHECK_MS.last);
      seen.set(identity, { steps, since, until: now + pause });
    }
    return alive;
  };
}

/** Ids of the steps of jobs on a node, in one text; '' for none, also when the allocation is over. Throws network. */
async function stepsOn(node: string, { jobId, asker }: { jobId: string; asker: Asker }): Promise<string> {
  const result = await onLogin(`exec squeue -h -s -j "$1" -o '%i|%j|%N'`, asker, { args: [jobId] });
  if (/Invalid job id specified/.test(result.stderr)) return "";
  if (result.code !== 0) {
    throw new SkyError("network", `Cannot ask for steps of Slurm job ${jobId}: ${complaint(result)}`);
  }
  return result.stdout.split("\n").map((line) => line.trim().split("|"))
    .flatMap(([id, name, where]) => name === JOB_STEP && where === node ? [id!] : [])
    .sort().join(" ");
}
