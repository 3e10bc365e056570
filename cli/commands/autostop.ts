/** `sky autostop`: stop or tear down clusters by themselves once idle (cli.md §3.7). The machinery is lifecycle.ts's. */
import type { WaitFor } from "../../core/cluster.ts";
import { plural, pyStr } from "../../core/format.ts";
import type { Command, Input } from "../command.ts";
import { usage } from "../parse.ts";
import { CLUSTERS, type Operation, runLifecycle, SELECTION } from "./lifecycle.ts";

const DEFAULT_MINUTES = 5;
/** The server's word for "no autostop". */
const CANCEL = -1;

export const command: Command = {
  name: "autostop",
  summary: "Schedule an autostop or autodown for clusters.",
  help:
    "Stop clusters (or, with --down, tear them down) by themselves after some minutes without jobs. Names may be " +
    "globs. Every new job begins the idle time anew.",
  examples: [
    "sky autostop my-cluster",
    "sky autostop my-cluster -i 60 --down",
    "sky autostop my-cluster --wait-for none -i 30",
    "sky autostop my-cluster --cancel",
    "sky autostop -a -y -i 10",
  ],
  args: CLUSTERS,
  options: [
    ...SELECTION,
    {
      name: "idle-minutes",
      short: "i",
      kind: "int",
      help: "How long a cluster must be idle; negative cancels.  [default: 5]",
    },
    {
      name: "wait-for",
      kind: "choice",
      choices: ["jobs_and_ssh", "jobs", "none"],
      help: "What counts as not idle: jobs and ssh sessions, jobs only, or nothing.",
    },
    { name: "cancel", kind: "flag", help: "Cancel what was scheduled." },
    { name: "down", kind: "flag", help: "Tear the clusters down instead of stopping them." },
  ],
  run: (io, input) => runLifecycle(io, input, operationOf(input)),
};

function operationOf(input: Input): Operation {
  const given = input.int("idle-minutes");
  const cancel = input.flag("cancel");
  if (cancel && given !== undefined) {
    throw usage(
      "Only one of --idle-minutes and --cancel should be specified. " +
        `cancel: ${pyStr(cancel)}, idle_minutes: ${given}`,
    );
  }
  const minutes = cancel ? CANCEL : given ?? DEFAULT_MINUTES;
  const shared = {
    command: "autostop",
    done: "done",
    concerns: (cluster) => cluster.status === "UP",
    submit: (sky, name) =>
      sky.autostop({
        cluster_name: name,
        idle_minutes: minutes < 0 ? CANCEL : minutes,
        down: !cancel && minutes >= 0 && input.flag("down"),
        wait_for: (input.text("wait-for") ?? null) as WaitFor | null,
      }),
  } satisfies Partial<Operation>;
  if (minutes < 0) {
    const doing = "Cancelling auto{stop,down} on";
    return { ...shared, doing, line: (name) => `${doing} cluster '${name}'`, after: () => [] };
  }
  const kind = input.flag("down") ? "autodown" : "autostop";
  const past = input.flag("down") ? "autodowned" : "autostopped";
  const doing = `Scheduling ${kind} on`;
  return {
    ...shared,
    doing,
    line: (name) => `${doing} cluster '${name}'`,
    after: (name, { out }) => [
      `The cluster will be ${past} after ${plural(minutes, "minute")} of idleness.`,
      `To cancel the ${kind}, run: ${out.style.bold(`sky autostop ${name} --cancel`)}`,
    ],
  };
}
