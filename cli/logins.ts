/** `ssh <cluster>` kept in step with what commands learn (cli.md §1.13). The files are sdk/ssh_config.ts's. */
import { describe } from "../core/errors.ts";
import type { SshRecord } from "../sdk/ssh_config.ts";
import type { Io } from "./command.ts";

/** Write or remove what lets people log in to these clusters. Trouble with the files is told, and stops nothing. */
export async function keepLogins(io: Io, records: readonly SshRecord[]): Promise<void> {
  if (records.length === 0) return;
  await attempt(io, async (files) => await files.updateSshConfig(records, io.env));
}

/** Nobody can log in to this cluster any more. */
export async function dropLogin(io: Io, cluster: string): Promise<void> {
  await attempt(io, async (files) => await files.removeSshConfig(cluster, io.env));
}

async function attempt(
  io: Io,
  work: (files: typeof import("../sdk/ssh_config.ts")) => Promise<void>,
): Promise<void> {
  try {
    await work(await import("../sdk/ssh_config.ts"));
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error; // Not what the file system says.
    io.out.error(
      io.out.style.yellow(`Cannot keep the ssh config of clusters up to date: ${describe(error)}`),
    );
  }
}
