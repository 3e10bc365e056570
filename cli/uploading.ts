/** Uploading to a remote server as people see it (cli.md §1.9). The work is sdk/upload.ts's. */
import type { Dag } from "../core/task.ts";
import type { Sky } from "../sdk/client.ts";
import type { Io } from "./command.ts";
import { interruptible } from "./follow.ts";

const LABEL = "Uploading files to API server";

/** Upload what the tasks name. Prints nothing for a local server, or when there is nothing to upload. */
export async function uploadFiles(
  io: Io,
  sky: Sky,
  { dag, workdirOnly }: { dag: Dag; workdirOnly: boolean },
): Promise<{ dag: Dag; blobId: string | null }> {
  const { out } = io;
  let phase = "";
  const uploaded = await interruptible(io, () =>
    sky.uploadMounts(dag, {
      workdirOnly,
      signal: io.signal,
      progress: (event) => {
        if (phase === "") out.line(`⚙︎ ${LABEL}`);
        if (event.phase === phase) return;
        phase = event.phase;
        if (phase === "pack") out.spinner(`[bold cyan]${LABEL} (1/2 - Zipping)[/]`);
        if (phase === "upload") out.spinner(`[bold cyan]${LABEL} (2/2 - Uploading)[/]`);
      },
    }));
  out.spinner(null);
  if (phase !== "") out.line(out.style.green("✓ Files uploaded"));
  return uploaded;
}
