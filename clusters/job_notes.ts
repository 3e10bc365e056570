/** Lines of ours in a job's log, before and between those of its nodes. Each is said once, over restarts too. */
import { dim, yellow } from "../core/ansi.ts";
import type { SkyError } from "../core/errors.ts";
import { plural } from "../core/format.ts";
import { branch } from "./lines.ts";
import type { JobLog } from "./merge.ts";
import { isDenied } from "./waiting.ts";

/** `├── Waiting for task resources on 2 nodes.`: the first line of every job log. */
export async function noteWaiting(log: JobLog, numNodes: number): Promise<void> {
  const text = dim(`Waiting for task resources on ${plural(numNodes, "node")}.`);
  await log.note("waiting", branch(text, { last: false }));
}

export async function noteStarted(log: JobLog): Promise<void> {
  const hint = dim("(Ctrl-C to exit log streaming; job will not be killed)");
  await log.note("started", branch(`Job started. Streaming logs... ${hint}`, { last: true }));
}

/** A node that is out of reach comes back by itself. One that does not let us in needs somebody who reads this. */
export async function noteFailure(log: JobLog, error: SkyError): Promise<void> {
  if (!isDenied(error)) return;
  const hint = error.hint === null ? "" : ` ${error.hint}.`;
  const text =
    `WARNING: ${error.message}.${hint} The job goes on; what it says is shown once that is mended.`;
  await log.note(`denied: ${error.message}`, yellow(text));
}
