/** One launch in progress: what its parts know of it, and how they wait and explain. */
import { delay } from "@std/async/delay";
import { isSkyError } from "../../core/errors.ts";
import type { CloudContext, ProvisionSpec } from "../cloud.ts";
import { type Asker, complaint, onLogin } from "./ask.ts";
import type { SlurmHandle } from "./handle.ts";
import { provisionTimeout } from "./settings.ts";

/** How long an answer is waited for at most. */
const UNANSWERED_MS = 180_000;
const PAUSE_MS = 2_000;

export interface Attempt {
  readonly spec: ProvisionSpec;
  readonly handle: SlurmHandle;
  readonly asker: Asker;
  readonly ctx: CloudContext;
  readonly base: string;
}

/**
 * An allocation that is there, or may be, is not given up because a question was not answered. Answers are waited for
 * as long as an allocation is from the first failure on, three minutes at most.
 */
export async function patiently<T>(
  work: () => Promise<T>,
  { spec, handle, ctx }: Pick<Attempt, "spec" | "handle" | "ctx">,
): Promise<T> {
  const seconds = provisionTimeout(ctx.config, { partitionAsked: spec.resources.zoneAsked === true });
  const limitMs = Math.min(seconds === null ? Infinity : seconds * 1_000, UNANSWERED_MS);
  let giveUpAt: number | null = null;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      ctx.signal.throwIfAborted();
      const passing = isSkyError(error, "network") || isSkyError(error, "timeout");
      if (!passing || performance.now() >= (giveUpAt ?? Infinity)) throw error;
      ctx.log.status(launching(`${handle.cluster} does not answer`));
      if (giveUpAt === null) ctx.log.line(`${error.message}. Waiting for it to come back.`);
      giveUpAt ??= performance.now() + limitMs;
      await delay(PAUSE_MS, { signal: ctx.signal });
    }
  }
}

/** The spinner of a launch. */
export function launching(detail: string): string {
  return `[bold cyan]Launching (${detail.replaceAll("[", "\\[")})[/]`;
}

/** What to do about a folder that nodes don't see. */
export function sharedHint({ handle, base }: Attempt): string {
  return `'${base}' must be on a file system that all nodes share; slurm.cluster_configs.${handle.cluster}.workdir ` +
    "names another folder";
}

/** The last words of a batch script, in brackets; '' for none. */
export async function outputOf({ id }: { readonly id: string }, { asker, base }: Attempt): Promise<string> {
  const result = await onLogin(`tail -n 3 -- "$1" 2>/dev/null`, asker, {
    args: [`${base}/.sky_provision/slurm-${id}.out`],
  });
  return result.stdout.trim() === "" ? "" : ` (${complaint({ ...result, stderr: result.stdout })})`;
}
