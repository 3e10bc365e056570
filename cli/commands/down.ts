/** `sky down`: tear clusters down (cli.md §3.7). The machinery is lifecycle.ts's, controllers are controllers.ts's. */
import type { Command } from "../command.ts";
import { confirmControllerDown } from "./controllers.ts";
import { CLUSTERS, GRACEFUL, type Operation, runLifecycle, SELECTION } from "./lifecycle.ts";

export const command: Command = {
  name: "down",
  summary: "Tear down clusters.",
  help:
    "Tear down clusters: their jobs end, their machines and disks are removed. Names may be globs. Requests that " +
    "wait or run on a cluster are cancelled first.",
  examples: [
    "sky down my-cluster",
    "sky down -y dev1 dev2",
    "sky down 'exp*'",
    "sky down -a",
    "sky down --purge lost",
  ],
  args: CLUSTERS,
  options: [
    ...SELECTION,
    {
      name: "purge",
      short: "p",
      kind: "flag",
      help:
        "Remove the clusters from the table even when the infra reports errors: machines may be left behind.",
    },
    ...GRACEFUL,
  ],
  run: (io, input) => {
    const purge = input.flag("purge");
    const operation: Operation = {
      command: "down",
      doing: "Terminating",
      line: (name) => `Terminating cluster ${name}`,
      done: "done.",
      after: () => [],
      concerns: () => true,
      submit: (sky, name) =>
        sky.down({
          cluster_name: name,
          purge,
          graceful: input.flag("graceful"),
          graceful_timeout: input.int("graceful-timeout") ?? null,
        }),
      remedy:
        "If you want to ignore the errors and remove the cluster(s) from the status table, use `sky down --purge`.",
      controller: (world, sky, name) => confirmControllerDown(world, sky, { name, purge }),
    };
    return runLifecycle(io, input, operation);
  },
};
