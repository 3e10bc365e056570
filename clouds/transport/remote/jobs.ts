/**
 * Job phases on a node that is reached by a shell: starting and ending, one round trip each. Owns the arguments
 * and the reading of the answers; what runs there is node/start_job.ts and node/run_job.ts.
 */
import { SkyError } from "../../../core/errors.ts";
import type { JobStart } from "../../cloud.ts";
import { exportsOf, JOB_KEY, jobFiles, type JobPaths, jobPaths, logLink, stagePath } from "../job_files.ts";
import { CUT_SHORT, KILL_JOB, LAY_OUT, startText, TAKEN } from "../node/start_job.ts";
import type { RemoteNode } from "./runner.ts";

/** Start a phase unless it is claimed. Back when the claim is decided: by us or by another. */
export async function startRemoteJob(
  node: RemoteNode,
  start: JobStart,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  signal.throwIfAborted();
  const paths = jobPaths(node.home, start.logDir, start.phase);
  const token = crypto.randomUUID();
  const files = jobFiles(start, token);
  const [main, env] = [encode(files["main"]!), encode(files["env"]!)];
  const last = `sky-${token}`;
  const stdin = new Uint8Array(await new Blob([main, env, `\n${last}\n`]).arrayBuffer());
  const { code, stdout, stderr } = await node.shell.detach(startText(exportsOf(node.env ?? {})), {
    first: LAY_OUT,
    args: [
      stagePath(paths, token),
      paths.job,
      `by-${token}`,
      `${paths.logs}/${start.output}`,
      node.home,
      logLink(start.output),
      String(main.length),
      String(env.length),
      last,
    ],
    stdin,
    signal,
    processes: node.processes ?? null,
  });
  if (code === TAKEN) return;
  const word = stdout.trim();
  if (code === 0 && (word === "claimed" || word === "taken")) return;
  if (code === CUT_SHORT) throw new SkyError("network", `The connection to ${node.shell.name} broke`);
  if (code === 0 && word === "" && (await node.watch.look(paths.job, { signal })).there) return;
  const full = /No space left|Disk quota/i.test(stderr);
  throw new SkyError(
    full ? "disk_full" : "command_failed",
    `Cannot start job '${start.logDir}' on ${node.shell.name}: ${
      full ? "no space left on the disk" : "its files can't be written"
    }`,
    { details: { phase: start.phase, stderr: stderr.slice(0, 1000) } },
  );
}

/** End a phase, or make it unstartable; its strays that left its session are hunted by their mark. */
export async function killRemoteJob(
  node: RemoteNode,
  paths: JobPaths,
  { graceMs, signal }: { graceMs: number; signal: AbortSignal },
): Promise<void> {
  const { code, stderr } = await node.shell.exec(KILL_JOB, {
    args: [
      node.home,
      paths.job,
      stagePath(paths, crypto.randomUUID()),
      (graceMs / 1000).toFixed(2),
      `${JOB_KEY}=${paths.job}`,
    ],
    signal,
    processes: node.processes ?? null,
  });
  if (code === 0) return;
  throw new SkyError(
    code === 9 ? "timeout" : "command_failed",
    `Cannot end the processes of a job on ${node.shell.name}: ${stderr.trim().slice(0, 500)}`,
    { details: { job: paths.job } },
  );
}

/** Whether the process that an identity file names is alive on the node. */
export async function isAliveOn(
  node: RemoteNode,
  identity: string,
  { signal }: { signal: AbortSignal },
): Promise<boolean> {
  const text = ALIVE;
  const { code } = await node.shell.exec(text, {
    args: [identity],
    signal,
    processes: node.processes ?? null,
  });
  return code === 0;
}

/** Argument: an identity file's text. */
const ALIVE = `
sky_nl='
'
read -r sky_boot 2>/dev/null </proc/sys/kernel/random/boot_id || sky_boot=-
[ "\${1#*"$sky_nl"}" = "$sky_boot" ] || exit 1
sky_was=\${1%%"$sky_nl"*}
sky_pid=\${sky_was%% *}
sky_line=
read -r sky_line 2>/dev/null <"/proc/$sky_pid/stat" || [ -n "$sky_line" ] || exit 1
case $sky_line in *') '*) ;; *) sky_line=$(cat "/proc/$sky_pid/stat" 2>/dev/null) ;; esac
set -f
set -- \${sky_was##*) }
sky_start=\${20}
set -- \${sky_line##*) }
[ -n "$sky_start" ] && [ "\${20}" = "$sky_start" ] || exit 1
case $1 in Z|X) [ "\${18}" -gt 1 ] || exit 1 ;; esac
exit 0
`;

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
