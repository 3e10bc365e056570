/**
 * Files of a task onto all nodes (domain.md §1.8, §1.9): the workdir, then the file mounts one after the other, each to
 * all nodes at once. Doing it again is harmless. Leaves copying to the clouds' runners.
 */
import type { CommandRunner } from "../clouds/cloud.ts";
import { dim, yellow } from "../core/ansi.ts";
import type { ClusterRecord } from "../core/cluster.ts";
import type { Context } from "../core/context.ts";
import { describe, SkyError } from "../core/errors.ts";
import { plural, pyRepr } from "../core/format.ts";
import { isCloudUri, mountTarget } from "../core/mounts.ts";
import type { GitWorkdir, Task } from "../core/task.ts";
import { cloudContext, cloudOf } from "./asker.ts";
import { finishing, spinning, starting } from "./lines.ts";
import type { Room } from "./room.ts";
import { patiently } from "./waiting.ts";

const WORKDIR = "~/sky_workdir";
/** Copies at a time: each may be a process of ours. */
const AT_ONCE = 16;
/** How long nodes out of reach are waited for. */
const PATIENCE_MS = 180_000;

/**
 * Clone or update a git workdir. Arguments: url, ref. A token goes through git's own environment, never through a
 * command line or a file.
 */
const GIT_WORKDIR = `set -e
cd ~
if [ -n "\${GIT_TOKEN-}" ]; then
  export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=http.extraHeader
  export GIT_CONFIG_VALUE_0="Authorization: Basic $(printf 'x-access-token:%s' "$GIT_TOKEN" | base64 | tr -d '\\n')"
fi
export GIT_TERMINAL_PROMPT=0
mkdir -p sky_workdir
cd sky_workdir
[ -d .git ] || git init -q
git remote remove origin 2>/dev/null || true
git remote add origin "$1"
if git fetch -q --depth 1 origin "\${2:-HEAD}"; then
  git checkout -q -f --detach FETCH_HEAD
else
  git fetch -q --tags origin '+refs/heads/*:refs/remotes/origin/*'
  git checkout -q -f --detach "$2"
fi
`;

/** Throws before anything is made for what cannot be synced: missing paths, buckets (not_supported). */
export async function checkSources(task: Task): Promise<void> {
  if (typeof task.workdir === "string" && !(await statOf(task.workdir))?.isDirectory) {
    throw new SkyError(
      "file_not_found",
      `Workdir must be a valid directory (or a symlink to a directory). ${task.workdir} not found.`,
    );
  }
  for (const [target, source] of Object.entries(task.fileMounts)) {
    if (typeof source !== "string" || isCloudUri(source)) {
      throw new SkyError("not_supported", `Cannot mount at '${target}': buckets are not supported yet`, {
        hint: "Use a local path as the source",
      });
    }
    if (await statOf(source) === null) {
      throw new SkyError(
        "file_not_found",
        `File mount source ${
          pyRepr(source)
        } does not exist locally. To fix: check if it exists, and correct the path.`,
      );
    }
  }
}

export interface SyncOptions {
  readonly cluster: ClusterRecord;
  /** `exec` leaves file mounts as they are. */
  readonly fileMounts: boolean;
}

/** Throws file_not_found, or what the copying throws. */
export async function syncFiles(task: Task, options: SyncOptions, ctx: Context, room: Room): Promise<void> {
  const { cluster } = options;
  if (task.workdir === null && !options.fileMounts) return;
  await checkSources(options.fileMounts ? task : { ...task, fileMounts: {} });
  const event = (reason: string) => room.clusters.addEvent(cluster, { reason, requestId: ctx.requestId });
  ctx.log.line(starting("Syncing files."));
  const cloud = await cloudOf(cluster, room);
  if (cluster.handle === null) throw new SkyError("internal", `Cluster '${cluster.name}' has no handle`);
  const runners = cloud.runners(cluster.handle, cloudContext(cloud, ctx, room));
  const count = plural(runners.length, "node");
  if (task.workdir !== null) {
    await event("Syncing files to cluster");
    ctx.log.status(spinning("Syncing workdir"));
    const shown = typeof task.workdir === "string" ? task.workdir : task.workdir.url;
    ctx.log.line(dim(`  Syncing workdir (to ${count}): ${shown} -> ${WORKDIR}`));
    await onAll(runners, ctx, (runner) => syncWorkdir(runner, task, ctx));
    ctx.log.status(null);
    ctx.log.line(finishing("Synced workdir."));
  }
  const mounts = options.fileMounts ? Object.entries(task.fileMounts) : [];
  if (mounts.length === 0) return;
  await event("Syncing file mounts");
  ctx.log.status(spinning("Syncing file mounts"));
  for (const [destination, source] of mounts) {
    if (typeof source !== "string") continue;
    ctx.log.line(dim(`  Syncing (to ${count}): ${source} -> ${destination}`));
    const target = mountTarget(destination);
    await onAll(runners, ctx, (runner) => runner.upload(source, target, { signal: ctx.signal }));
  }
  ctx.log.status(null);
  ctx.log.line(finishing("Synced file_mounts."));
}

async function syncWorkdir(runner: CommandRunner, task: Task, ctx: Context): Promise<void> {
  const { workdir } = task;
  if (typeof workdir === "string") return await runner.upload(workdir, WORKDIR, { signal: ctx.signal });
  if (workdir !== null) await cloneWorkdir(runner, workdir, { task, ctx });
}

async function cloneWorkdir(
  runner: CommandRunner,
  workdir: GitWorkdir,
  options: { task: Task; ctx: Context },
): Promise<void> {
  const { task, ctx } = options;
  if ([workdir.url, workdir.ref ?? ""].some((text) => text.startsWith("-"))) {
    throw new SkyError(
      "invalid_argument",
      `Cannot clone workdir '${workdir.url}': neither url nor ref may begin with '-'`,
    );
  }
  const token = task.secrets["GIT_TOKEN"] ?? task.envs["GIT_TOKEN"];
  const result = await runner.run(["sh", "-c", GIT_WORKDIR, "sh", workdir.url, workdir.ref ?? ""], {
    signal: ctx.signal,
    ...(token === undefined ? {} : { env: { GIT_TOKEN: token } }),
  });
  if (result.code === 0) return;
  const ref = workdir.ref === null ? "" : ` at '${workdir.ref}'`;
  throw new SkyError(
    "command_failed",
    `Cannot clone workdir ${workdir.url}${ref}: git failed with return code ${result.code}\n${result.stderr.trim()}`,
    { details: { returnCode: result.code } },
  );
}

/**
 * On all nodes, some at a time; a connection that breaks is waited for, since copying again is harmless. The first
 * failure counts; the others are waited for, so that none goes on alone.
 */
async function onAll(
  runners: readonly CommandRunner[],
  ctx: Context,
  work: (runner: CommandRunner) => Promise<void>,
): Promise<void> {
  const queue = [...runners];
  const failed = new AbortController();
  const signal = AbortSignal.any([ctx.signal, failed.signal]);
  let said = false;
  const onFailure = (error: SkyError) => {
    if (said) return;
    said = true;
    const minutes = plural(PATIENCE_MS / 60_000, "minute");
    ctx.log.line(yellow(`${describe(error)}. Syncing goes on when it is back, within ${minutes}.`));
  };
  const workers = Array.from({ length: Math.min(AT_ONCE, runners.length) }, async () => {
    for (let runner = queue.shift(); runner !== undefined; runner = queue.shift()) {
      const node = runner;
      try {
        await patiently(() => work(node), { signal, limitMs: PATIENCE_MS, onFailure });
      } catch (error) {
        failed.abort(error);
        queue.length = 0;
      }
    }
  });
  await Promise.all(workers);
  ctx.signal.throwIfAborted();
  failed.signal.throwIfAborted();
}

async function statOf(path: string): Promise<Deno.FileInfo | null> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    throw error;
  }
}
