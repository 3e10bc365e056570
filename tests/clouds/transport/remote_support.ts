/** A node behind a real sshd for the tests of remote runners: its home is a directory of this machine all the same. */
import { join } from "@std/path";
import { RemoteRunner } from "../../../clouds/transport/remote/runner.ts";
import { closeShells, sshShell, sshWatch } from "../../../clouds/transport/ssh/mod.ts";
import type { SshContext, SshHost } from "../../../clouds/transport/ssh/mod.ts";
import type { NodeShell } from "../../../clouds/transport/remote/shell.ts";
import { killAllLocalJobs } from "../../../clouds/transport/local_jobs.ts";
import { Sshd, type SshdOptions } from "../../support/sshd.ts";
import { alive, markedBelow, nodeOf, processEnv, signal, type TestNode, until } from "../support.ts";

export interface SshPlace {
  readonly sshd: Sshd;
  readonly host: SshHost;
  readonly ctx: SshContext;
  readonly shell: NodeShell;
  /** What the log was told. */
  readonly lines: string[];
}

export interface PlaceOptions extends SshdOptions {
  /** Changes of how the host is reached. */
  readonly host?: (sshd: Sshd) => Partial<SshHost>;
}

/** An sshd and a shell on it; afterwards no connection is left. */
export async function withSsh(work: (place: SshPlace) => Promise<void>, options: PlaceOptions = {}) {
  const folder = await Deno.makeTempDir({ prefix: "sky-ssh-" });
  const sshd = await Sshd.start(options);
  try {
    const lines: string[] = [];
    const log = { line: (text: string) => void lines.push(text), status: () => {} };
    const ctx = { folder, env: processEnv, log };
    const host = sshd.host(options.host?.(sshd) ?? {});
    await work({ sshd, host, ctx, shell: sshShell(host, ctx), lines });
  } finally {
    await closeShells(folder);
    await sshd[Symbol.asyncDispose]();
    await Deno.remove(folder, { recursive: true });
  }
}

export interface RemoteTestNode extends TestNode, SshPlace {}

/** A node in a temp directory that is reached by ssh; afterwards everything on it is killed, and must be gone. */
export async function withRemoteNode(
  work: (node: RemoteTestNode) => Promise<void>,
  options: PlaceOptions = {},
): Promise<void> {
  await withSsh(async (place) => {
    const root = await Deno.makeTempDir({ prefix: "sky node " });
    const cluster = join(root, "cluster");
    const home = join(cluster, "node0");
    await Deno.mkdir(join(home, "sky_workdir"), { recursive: true });
    await Deno.mkdir(join(home, ".sky"), { recursive: true });
    const notes: string[] = [];
    const runner = new RemoteRunner({
      nodeId: "node0",
      home,
      shell: place.shell,
      files: place.shell,
      watch: sshWatch(place.host, place.ctx),
      cluster,
      processes: join(root, "processes"),
      note: (text) => notes.push(text),
    });
    try {
      await work({ ...nodeOf({ root, cluster, home, runner, notes }), ...place });
      await until(async () => (await markedBelow(root)).length === 0, "no process left behind", 2_000);
    } finally {
      await killAllLocalJobs([home], root, { graceMs: 0, signal });
      await Deno.remove(root, { recursive: true });
    }
  }, options);
}

/** Pids of ssh masters whose socket is below a folder. */
export async function mastersOf(folder: string): Promise<number[]> {
  const pids: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    const isMaster = line.startsWith("ssh\0") && line.includes("ControlMaster=yes");
    if (isMaster && line.includes(`${folder}/`) && alive(Number(name))) pids.push(Number(name));
  }
  return pids;
}
