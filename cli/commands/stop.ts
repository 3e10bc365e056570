/** `sky stop`: stop clusters and keep their disks (cli.md §3.7). The machinery is lifecycle.ts's. */
import type { Command } from "../command.ts";
import { CLUSTERS, GRACEFUL, type Operation, runLifecycle, SELECTION } from "./lifecycle.ts";

export const command: Command = {
  name: "stop",
  summary: "Stop clusters.",
  help:
    "Stop clusters: their jobs end, their machines stop, their disks are kept. Names may be globs. Requests that " +
    "wait or run on a cluster are cancelled first.\n\nsky start brings a stopped cluster back.",
  examples: ["sky stop my-cluster", "sky stop -y dev1 dev2", "sky stop 'exp*'", "sky stop -a"],
  args: CLUSTERS,
  options: [...SELECTION, ...GRACEFUL],
  run: (io, input) => {
    const operation: Operation = {
      command: "stop",
      doing: "Stopping",
      line: (name) => `Stopping cluster ${name}`,
      done: "done.",
      after: (name, { out }) => [`To restart the cluster, run: ${out.style.bold(`sky start ${name}`)}`],
      concerns: (cluster) => cluster.status !== "STOPPED",
      submit: (sky, name) =>
        sky.stop({
          cluster_name: name,
          graceful: input.flag("graceful"),
          graceful_timeout: input.int("graceful-timeout") ?? null,
        }),
    };
    return runLifecycle(io, input, operation);
  },
};
