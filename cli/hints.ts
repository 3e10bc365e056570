/** The box of useful commands after a launch (cli.md §3.1). */
import type { WireHandle } from "../api/clusters.ts";
import type { Io } from "./command.ts";

export interface Launched {
  readonly cluster: string;
  /** Null when no job was submitted. */
  readonly jobId: number | null;
  readonly handle: WireHandle | null;
  /** For a remote server: its dashboard. */
  readonly dashboard: string | null;
}

/** Print the box: separators between label and command are tabs. */
export function printHints(io: Io, launched: Launched): void {
  const { out } = io;
  const { bold, dim } = out.style;
  const { cluster, jobId, handle, dashboard } = launched;
  out.line();
  out.line("📋 Useful Commands");
  if (jobId !== null) {
    out.line(`Job ID: ${jobId}`);
    out.line(`${dim("├── ")}To cancel the job:\t\t${bold(`sky cancel ${cluster} ${jobId}`)}`);
    out.line(`${dim("├── ")}To stream job logs:\t\t${bold(`sky logs ${cluster} ${jobId}`)}`);
    out.line(`${dim("└── ")}To view job queue:\t\t${bold(`sky queue ${cluster}`)}`);
  }
  out.line(`Cluster name: ${cluster}`);
  if (dashboard !== null) {
    out.line(`${dim("├── ")}View on dashboard:\t\t${dashboard}/clusters/${cluster}`);
  }
  if (hasSsh(handle)) out.line(`${dim("├── ")}To log into the head VM:\t${bold(`ssh ${cluster}`)}`);
  out.line(`${dim("├── ")}To submit a job:\t\t${bold(`sky exec ${cluster} yaml_file`)}`);
  out.line(`${dim("├── ")}To stop the cluster:\t${bold(`sky stop ${cluster}`)}`);
  out.line(`${dim("└── ")}To teardown the cluster:\t${bold(`sky down ${cluster}`)}`);
}

/** Nodes of the local cloud (`ssh/local` to SkyPilot's clients) are folders of this machine: nothing to log into. */
export function hasSsh(handle: WireHandle | null): boolean {
  if (handle?.ssh_user) return true;
  const { infra, cloud } = handle?.launched_resources ?? {};
  return ![infra, cloud].some((name) => typeof name === "string" && /^(ssh\/)?local(\/|$)/i.test(name));
}
