/**
 * The texts that run on nodes, by bash: on many systems it is what /bin/sh is. The node is reached by a program of
 * this machine, as any carrier may be, without ssh.
 */
import { join } from "@std/path";
import { pipeShell } from "../../../clouds/transport/remote/pipe_shell.ts";
import { RemoteRunner } from "../../../clouds/transport/remote/runner.ts";
import { HomeWatch } from "../../../clouds/transport/remote/watch.ts";
import { SkyError } from "../../../core/errors.ts";
import { killAllLocalJobs } from "../../../clouds/transport/local_jobs.ts";
import { markedBelow, nodeOf, signal, until, type WithNode } from "../support.ts";
import { filesContract } from "./files_contract.ts";
import { jobContract } from "./job_contract.ts";

/** A node whose /bin/sh is `argv`. */
function withShell(argv: readonly string[], path: string): WithNode {
  return async (work) => {
    const root = await Deno.makeTempDir({ prefix: "sky node " });
    const cluster = join(root, "cluster");
    const home = join(cluster, "node0");
    await Deno.mkdir(join(home, "sky_workdir"), { recursive: true });
    await Deno.mkdir(join(home, ".sky"), { recursive: true });
    const notes: string[] = [];
    const shell = pipeShell({
      name: "a node",
      begin: (line) =>
        Promise.resolve({
          argv: ["sh", "-c", line.replaceAll("/bin/sh", argv.join(" "))],
          env: { PATH: path, HOME: root },
          cwd: "/",
          judge: ({ stderr }) => Promise.resolve(new SkyError("network", stderr)),
          doubt: () => Promise.resolve(),
          release: () => {},
        }),
      note: (text) => notes.push(text),
    });
    const watch = new HomeWatch(shell);
    const note = (text: string) => void notes.push(text);
    const runner = new RemoteRunner({ nodeId: "node0", home, shell, files: shell, watch, cluster, note });
    try {
      await work(nodeOf({ root, cluster, home, runner, notes }));
      await until(async () => (await markedBelow(root)).length === 0, "no process left behind", 2_000);
    } finally {
      await watch.close();
      await killAllLocalJobs([home], root, { graceMs: 0, signal });
      await Deno.remove(root, { recursive: true });
    }
  };
}

const bash = withShell(["/bin/bash", "--posix"], Deno.env.get("PATH") ?? "/usr/bin:/bin");
jobContract("by bash", bash);
filesContract("by bash", bash);
