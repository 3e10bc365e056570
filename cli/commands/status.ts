/** `sky status`: clusters and what else runs (cli.md §3.3). Tables are status_table.ts's, sections other than clusters
 * status_sections.ts's, `--ip` and `--endpoint` status_address.ts's. */
import type { ClusterView } from "../../api/clusters.ts";
import { lookup } from "../../core/config.ts";
import { describe, isSkyError } from "../../core/errors.ts";
import { matchesGlob } from "../../core/names.ts";
import type { Sky } from "../../sdk/client.ts";
import type { Command, Input, Io } from "../command.ts";
import { ask } from "../follow.ts";
import { keepLogins } from "../logins.ts";
import { ALL_USERS, CONFIG, OUTPUT, VERBOSE } from "../options.ts";
import { findClusters } from "./find_clusters.ts";
import { type Outcome, type Settled, settled, unwrap } from "./settled.ts";
import { addressMode } from "./address_mode.ts";
import { askSections, type Sections, showSections } from "./status_sections.ts";

export const command: Command = {
  name: "status",
  summary: "Show clusters.",
  help:
    "Show clusters, newest first: all of yours, or those with the given names or globs; without names also what " +
    "is in progress elsewhere.\n\nStatuses come from the server's records; -r asks the infra first.",
  examples: [
    "sky status",
    "sky status my-cluster 'exp*'",
    "sky status -v -u",
    "sky status --refresh",
    "sky status --ip my-cluster",
    "sky status --endpoint 8080 my-cluster",
    "sky status -o json",
  ],
  args: [{ name: "CLUSTERS", required: false, many: true, complete: "cluster" }],
  options: [
    ...VERBOSE,
    { name: "refresh", short: "r", kind: "flag", help: "Ask the infra for the true statuses first." },
    { name: "ip", kind: "flag", help: "Only print the IP address of the head node of one cluster." },
    { name: "endpoints", kind: "flag", help: "Only print all endpoints of one cluster." },
    {
      name: "endpoint",
      kind: "int",
      metavar: "PORT",
      help: "Only print the URL of this port of one cluster.",
    },
    { name: "show-managed-jobs", kind: "pair", help: "Show managed jobs in progress.  [default: show]" },
    { name: "show-services", kind: "pair", help: "Show services.  [default: show]" },
    { name: "show-pools", kind: "pair", help: "Show pools.  [default: show]" },
    ...ALL_USERS,
    ...OUTPUT,
    ...CONFIG,
  ],
  run,
};

async function run(io: Io, input: Input): Promise<number> {
  const mode = addressMode(input);
  if (mode !== null) {
    const { showAddress } = await import("./status_address.ts");
    return await showAddress(io, mode, input.args);
  }
  const sky = await io.sky();
  const clusters = askClusters(io, sky, input);
  // Loaded while the server answers.
  const table = import("./status_table.ts");
  if (input.text("output") === "json") {
    const found = await clusters;
    io.out.json((await table).statusJson(found));
    return 0;
  }
  // Everything is under way before the first answer is awaited.
  const infra = settled(ask(io, sky, "enabledClouds", { expand: "True", ...workspaceOf(io) }));
  const workspaces = settled(ask(io, sky, "workspaces", {}));
  const named = input.args.length > 0;
  const sections = named ? null : askSections(io, sky, {
    jobs: input.pair("show-managed-jobs") ?? true,
    pools: input.pair("show-pools") ?? true,
    services: input.pair("show-services") ?? true,
    allUsers: input.flag("all-users"),
  });
  return await show(io, sky, { input, clusters: settled(clusters), infra, workspaces, sections, table });
}

async function askClusters(io: Io, sky: Sky, input: Input): Promise<ClusterView[]> {
  const named = input.args.length > 0;
  const json = input.text("output") === "json";
  const found = await findClusters(io, sky, {
    names: named ? input.args : null,
    allUsers: input.flag("all-users") || named,
    ...(input.flag("refresh") ? { refresh: "FORCE" as const } : {}),
    summary: !input.flag("verbose"),
    credentials: !json,
    ...(json ? { say: (line: string) => io.out.error(line) } : {}),
  });
  const debug = ["1", "true"].includes((io.env("SKYPILOT_DEBUG") ?? "").toLowerCase());
  // Clusters of managed jobs come and go by themselves.
  return json || debug ? found : found.filter((cluster) => cluster.is_managed !== true);
}

interface Answers {
  readonly input: Input;
  readonly clusters: Settled<ClusterView[]>;
  readonly infra: Settled<string[]>;
  readonly workspaces: Settled<Record<string, unknown>>;
  readonly sections: Sections | null;
  readonly table: Promise<typeof import("./status_table.ts")>;
}

async function show(io: Io, sky: Sky, answers: Answers): Promise<number> {
  const { out } = io;
  const { input, sections } = answers;
  const title = (text: string) => out.style.bold(out.style.cyan(text));
  const clusters = unwrap(await answers.clusters);
  const table = await answers.table;
  const workspaces = Object.keys(unwrap(await answers.workspaces));
  const severalWorkspaces = workspaces.length > 1;
  const where = severalWorkspaces ? ` (workspace: '${workspaceOf(io).workspace ?? "default"}')` : "";
  out.line(`${title(`Enabled Infra${where}:`)} ${infraText(await answers.infra)}`);
  out.line();
  out.line(title("Clusters"));
  if (clusters.length > 0) {
    const foreign = input.args.length > 0 && clusters.some((one) => one.user_hash !== sky.user.id);
    out.line(table.statusTable(clusters, {
      verbose: input.flag("verbose"),
      users: input.flag("all-users") || foreign,
      workspaces: severalWorkspaces,
      now: io.now(),
    }));
  } else if (input.args.length === 0) out.line("No existing clusters.");
  showMissing(io, input.args, clusters);
  const hints = sections === null ? [] : await showSections(io, sections);
  const scheduled = table.scheduledAutostops(clusters);
  if (scheduled > 0 && !input.flag("refresh")) {
    const who = scheduled === 1 ? "1 cluster has" : `${scheduled} clusters have`;
    hints.push(
      `* ${who} auto{stop,down} scheduled. Refresh statuses with: ${out.style.bold("sky status --refresh")}`,
    );
  }
  if (hints.length > 0) out.line();
  for (const hint of hints) out.line(hint);
  await keepLogins(io, clusters);
  return 0;
}

function showMissing(io: Io, names: readonly string[], clusters: readonly ClusterView[]): void {
  const missing = names.filter((name) =>
    !clusters.some((one) => one.name === name || matchesGlob(name, one.name))
  );
  if (missing.length === 0) return;
  const quoted = missing.map((name) => `'${name}'`).join(", ");
  io.out.line(`Cluster${missing.length > 1 ? "s" : ""} ${quoted} not found.`);
}

function infraText(answer: Outcome<string[]>): string {
  if ("value" in answer) return answer.value.map((name) => name.toLowerCase()).toSorted().join(", ");
  // The clusters are worth showing even when the checks are not to be had.
  if (isSkyError(answer.error) && answer.error.code !== "aborted") {
    return `unknown (${describe(answer.error).split("\n")[0]})`;
  }
  throw answer.error;
}

function workspaceOf(io: Io): { workspace?: string } {
  const active = lookup(io.config(), "active_workspace");
  return typeof active === "string" ? { workspace: active } : {};
}
