/** Options that several commands share (cli.md §2.2, Appendix A), as data. Light: every command may import it. */
import type { Option } from "./command.ts";

export const CONFIG: readonly Option[] = [
  {
    name: "config",
    kind: "text",
    repeat: true,
    metavar: "KEY=VALUE",
    help: "A config file, or a config value as dotted.key=value. Repeatable.",
  },
];

export const ASYNC: readonly Option[] = [
  {
    name: "async",
    kind: "pair",
    help: "Submit the request and return at once, without waiting for its end.",
  },
];

export const YES: readonly Option[] = [
  { name: "yes", short: "y", kind: "flag", help: "Skip the confirmation prompt." },
];

export const OUTPUT: readonly Option[] = [
  {
    name: "output",
    short: "o",
    kind: "choice",
    choices: ["table", "json"],
    caseInsensitive: true,
    help: "Output format.  [default: table]",
  },
];

export const VERBOSE: readonly Option[] = [
  { name: "verbose", short: "v", kind: "flag", help: "Show all information in full." },
];

export const ALL_USERS: readonly Option[] = [
  { name: "all-users", short: "u", kind: "flag", help: "Include those of all users." },
];

export const WORKSPACE: readonly Option[] = [
  {
    name: "workspace",
    short: "w",
    kind: "text",
    overrides: "active_workspace",
    help: "The workspace to use.",
  },
];

export const NAME: readonly Option[] = [
  { name: "name", short: "n", kind: "text", help: "Task name. Overrides the name in the YAML." },
];

export const EXTRA: readonly Option[] = [
  {
    name: "gpus",
    kind: "text",
    help: "Type and number of GPUs, e.g. A100:8, A100, H100:0.5. Use none for no GPU.",
  },
  { name: "instance-type", short: "t", kind: "text", help: "The instance type to use." },
  {
    name: "ports",
    kind: "text",
    repeat: true,
    help: "A port or range to open, e.g. 8080 or 8080-8090. Repeatable. Overrides the ports in the YAML.",
  },
];

export const PRIORITY: readonly Option[] = [
  {
    name: "priority",
    kind: "text",
    help: "Priority from -1000 to 1000, or the name of a priority class. none clears it.",
  },
];

export const GIT: readonly Option[] = [
  { name: "git-url", kind: "text", help: "Git repository to use as the workdir." },
  { name: "git-ref", kind: "text", help: "Branch, tag or commit of the git workdir." },
];

const KEY_VALUE = "KEY=VALUE";

export const TASK: readonly Option[] = [
  {
    name: "workdir",
    kind: "text",
    metavar: "DIRECTORY",
    complete: "directory",
    help: "Directory to sync to ~/sky_workdir on the nodes, where setup and run start.",
  },
  {
    name: "infra",
    kind: "text",
    complete: "infra",
    help: "Infra to use: cloud, cloud/region or cloud/region/zone; * for any.",
  },
  { name: "cloud", kind: "text", hidden: true, help: "Deprecated: use --infra." },
  { name: "region", kind: "text", hidden: true, help: "Deprecated: use --infra." },
  { name: "zone", kind: "text", hidden: true, help: "Deprecated: use --infra." },
  { name: "num-nodes", kind: "int", help: "Number of nodes to run the task on." },
  { name: "cpus", kind: "text", help: "vCPUs of each node: 4, or 4+ for at least 4." },
  {
    name: "memory",
    kind: "text",
    help: "Memory of each node in GB: 16, 16+ for at least 16, 4x for 4 GB per vCPU.",
  },
  { name: "disk-size", kind: "int", help: "OS disk size in GB." },
  {
    name: "disk-tier",
    kind: "choice",
    choices: ["low", "medium", "high", "ultra", "best", "none"],
    caseInsensitive: true,
    help: "OS disk tier.",
  },
  {
    name: "network-tier",
    kind: "choice",
    choices: ["standard", "best"],
    caseInsensitive: true,
    help: "Network tier.",
  },
  { name: "use-spot", kind: "pair", help: "Whether to use spot instances." },
  { name: "image-id", kind: "text", help: "Image of the nodes; docker:IMAGE for a container image." },
  { name: "env-file", kind: "text", metavar: "FILE", complete: "file", help: "Dotenv file of variables." },
  {
    name: "env",
    kind: "text",
    repeat: true,
    metavar: KEY_VALUE,
    help: "Variable to set on the nodes: KEY=VALUE, or KEY to take its value from here. Repeatable.",
  },
  { name: "secret-file", kind: "text", metavar: "FILE", complete: "file", help: "Dotenv file of secrets." },
  {
    name: "secret",
    kind: "text",
    repeat: true,
    metavar: KEY_VALUE,
    help: "Like --env, but shown nowhere. Repeatable.",
  },
  { name: "local-disk", kind: "text", help: "Local disk: [nvme:|ssd:]SIZE[+], or a mode alone." },
];
