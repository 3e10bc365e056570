/**
 * The list of commands in help order (cli.md §1.1). Entries are lazy: one command loads its own file and nothing
 * else. A command file exports `const command: Command`; a file with several (one group) exports each by its word.
 * `name` and `summary` here and in the command object must agree (tests/cli/commands_test.ts compares them).
 */
import type { Command } from "../command.ts";

export interface Entry {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  readonly hidden?: boolean;
  load(): Promise<Command>;
}

export interface EntryGroup {
  readonly name: string;
  readonly summary: string;
  readonly examples?: readonly string[];
  readonly hidden?: boolean;
  readonly entries: readonly (Entry | EntryGroup)[];
}

export function isEntryGroup(entry: Entry | EntryGroup): entry is EntryGroup {
  return "entries" in entry;
}

const VOLUMES = ["sky volumes ls", "sky volumes delete my-volume"];
const volumes: readonly Entry[] = [
  {
    name: "ls",
    summary: "List volumes.",
    load: async () => (await import("./volumes.ts")).ls,
  },
  {
    name: "delete",
    summary: "Delete volumes.",
    load: async () => (await import("./volumes.ts")).remove,
  },
];

export const commands: readonly (Entry | EntryGroup)[] = [
  {
    name: "launch",
    summary: "Launch a cluster or task.",
    load: async () => (await import("./launch.ts")).command,
  },
  {
    name: "exec",
    summary: "Execute a task or command on an existing cluster.",
    load: async () => (await import("./exec.ts")).command,
  },
  {
    name: "status",
    summary: "Show clusters.",
    load: async () => (await import("./status.ts")).command,
  },
  {
    name: "cost-report",
    summary: "Show estimated costs for launched clusters.",
    load: async () => (await import("./cost_report.ts")).command,
  },
  {
    name: "queue",
    summary: "Show the job queue of clusters.",
    load: async () => (await import("./queue.ts")).command,
  },
  {
    name: "logs",
    summary: "Tail the log of a job.",
    load: async () => (await import("./logs.ts")).command,
  },
  {
    name: "cancel",
    summary: "Cancel jobs.",
    load: async () => (await import("./cancel.ts")).command,
  },
  {
    name: "stop",
    summary: "Stop clusters.",
    load: async () => (await import("./stop.ts")).command,
  },
  {
    name: "autostop",
    summary: "Schedule an autostop or autodown for clusters.",
    load: async () => (await import("./autostop.ts")).command,
  },
  {
    name: "start",
    summary: "Restart clusters.",
    load: async () => (await import("./start.ts")).command,
  },
  {
    name: "down",
    summary: "Tear down clusters.",
    load: async () => (await import("./down.ts")).command,
  },
  {
    name: "check",
    summary: "Check which infra is available to use.",
    load: async () => (await import("./check.ts")).command,
  },
  {
    name: "gpus",
    summary: "GPUs and other accelerators on offer.",
    examples: ["sky gpus list", "sky gpus list H100:8"],
    entries: [
      {
        name: "list",
        summary: "List accelerators and their prices.",
        load: async () => (await import("./gpus.ts")).list,
      },
    ],
  },
  {
    name: "show-gpus",
    summary: "List accelerators and their prices (deprecated: use `sky gpus list`).",
    hidden: true,
    load: async () => (await import("./gpus.ts")).showGpus,
  },
  {
    name: "storage",
    summary: "Storage objects.",
    examples: ["sky storage ls", "sky storage delete my-bucket"],
    entries: [
      {
        name: "ls",
        summary: "List storage objects.",
        load: async () => (await import("./storage.ts")).ls,
      },
      {
        name: "delete",
        summary: "Delete storage objects.",
        load: async () => (await import("./storage.ts")).remove,
      },
    ],
  },
  { name: "volumes", summary: "Volumes.", examples: VOLUMES, entries: volumes },
  { name: "volume", summary: "Volumes.", examples: VOLUMES, hidden: true, entries: volumes },
  {
    name: "jobs",
    summary: "Managed jobs.",
    examples: ["sky jobs queue"],
    entries: [
      {
        name: "queue",
        summary: "Show managed jobs.",
        load: async () => (await import("./jobs.ts")).queue,
      },
    ],
  },
  {
    name: "serve",
    summary: "Services.",
    examples: ["sky serve status"],
    entries: [
      {
        name: "status",
        summary: "Show services.",
        load: async () => (await import("./serve.ts")).status,
      },
    ],
  },
  {
    name: "api",
    summary: "The API server and its requests.",
    examples: ["sky api start", "sky api status", "sky api logs 73d316ac", "sky api cancel 73d316ac"],
    entries: [
      {
        name: "start",
        summary: "Start the local API server.",
        load: async () => (await import("./api/start.ts")).command,
      },
      {
        name: "stop",
        summary: "Stop the local API server.",
        load: async () => (await import("./api/stop.ts")).command,
      },
      {
        name: "logs",
        summary: "Stream the log of a request.",
        load: async () => (await import("./api/logs.ts")).command,
      },
      {
        name: "cancel",
        summary: "Cancel requests.",
        load: async () => (await import("./api/cancel.ts")).command,
      },
      {
        name: "status",
        summary: "List requests.",
        load: async () => (await import("./api/status.ts")).command,
      },
      {
        name: "login",
        summary: "Log in to an API server.",
        load: async () => (await import("./api/login.ts")).command,
      },
      {
        name: "logout",
        summary: "Log out of the API server.",
        load: async () => (await import("./api/logout.ts")).command,
      },
      {
        name: "info",
        summary: "Show which API server is used.",
        load: async () => (await import("./api/info.ts")).command,
      },
    ],
  },
  {
    name: "ssh",
    summary: "SSH node pools: machines of your own.",
    examples: ["sky ssh up", "sky ssh up --infra lab", "sky ssh down"],
    entries: [
      {
        name: "up",
        summary: "Set up SSH node pools.",
        load: async () => (await import("./ssh.ts")).up,
      },
      {
        name: "down",
        summary: "Let go of SSH node pools.",
        load: async () => (await import("./ssh.ts")).down,
      },
    ],
  },
];
