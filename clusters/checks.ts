/** The `check` verb and its report (cli.md §4.1), line for line. The checking itself is infra.ts. */
import { bold, dim, green, yellow } from "../core/ansi.ts";
import { canonicalCloud, cloudDisplayName } from "../core/cloud_names.ts";
import { lookup, type SkyConfig } from "../core/config.ts";
import type { Context } from "../core/context.ts";
import { SkyError } from "../core/errors.ts";
import { checkClouds, type Checked } from "./infra.ts";
import type { Room } from "./room.ts";

export interface CheckOptions {
  /** Cloud names in any case, perhaps with a place behind a slash; null for all. */
  readonly clouds: readonly string[] | null;
  /** Null: the caller's. */
  readonly workspace: string | null;
}

const DOCS = "https://docs.skypilot.co/en/latest/getting-started/installation.html";
/** What the places of a cloud are called. */
const PLACES: Readonly<Record<string, string>> = {
  kubernetes: "Allowed contexts",
  ssh: "SSH Node Pools",
  slurm: "Allowed clusters",
};

/** Workspace → display name of each enabled cloud → what it is enabled for. Throws invalid_argument. */
export async function check(
  options: CheckOptions,
  ctx: Context,
  room: Room,
): Promise<Record<string, Record<string, string[]>>> {
  const workspace = options.workspace ?? ctx.workspace;
  checkWorkspaceName(workspace, ctx.config);
  const wanted = options.clouds === null
    ? null
    : [...new Set(options.clouds.map((infra) => canonicalCloud(infra.split("/")[0] ?? "")))];
  ctx.log.line("Checking credentials to enable infra for SkyPilot.");
  ctx.log.status("[bold cyan]Checking infra choices...[/]");
  const { signal, log, config, requestId } = ctx;
  const asker = { signal, log, config, requestId, workspace, now: () => ctx.now() };
  const checked = await checkClouds(wanted, asker, room);
  ctx.log.status(null);
  const unknown = (wanted ?? []).filter((name) => !room.clouds.names.includes(name));
  for (const line of reportLines(checked, unknown)) ctx.log.line(line);
  const enabled = checked.filter(({ result }) => result.enabled);
  return {
    [workspace]: Object.fromEntries(
      enabled.map(({ cloud, result }) => [cloud.displayName, [...result.offers]]),
    ),
  };
}

function checkWorkspaceName(name: string, config: SkyConfig): void {
  const configured = lookup(config, "workspaces");
  const names = configured !== null && typeof configured === "object" ? Object.keys(configured) : [];
  const known = [...new Set(["default", ...names])].sort();
  if (known.includes(name)) return;
  throw new SkyError(
    "invalid_argument",
    `Workspace '${name}' not found in SkyPilot configuration. Available workspaces: ${known.join(", ")}`,
  );
}

/** `unknown`: clouds that were asked for and that this server has no way to. */
export function reportLines(checked: readonly Checked[], unknown: readonly string[]): string[] {
  const blocks = [
    ...checked.map((each) => ({ name: each.cloud.displayName, lines: cloudLines(each) })),
    ...unknown.map((name) => ({ name: cloudDisplayName(name), lines: unknownLines(name) })),
  ];
  // Upper case before lower case, as Python sorts.
  blocks.sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  const enabled = checked.filter(({ result }) => result.enabled)
    .sort((a, b) => a.cloud.displayName < b.cloud.displayName ? -1 : 1);
  return [
    ...blocks.flatMap(({ lines }) => lines),
    "",
    green("🎉 Enabled infra 🎉"),
    ...(enabled.length === 0 ? ["  No infra to check/enabled."] : enabled.flatMap(enabledLines)),
    "",
    dim(`To enable a cloud, follow the hints above and rerun: ${bold("sky check")}`),
    dim(`If any problems remain, refer to detailed docs at: ${DOCS}`),
  ];
}

function cloudLines({ cloud, result }: Checked): string[] {
  const title = `  ${cloud.displayName}: `;
  const capabilities = result.offers.length > 0 ? result.offers.join(", ") : "compute";
  if (!result.enabled) {
    return [
      dim(`${title}disabled `),
      ...(result.reason === null ? [] : `    Reason [${capabilities}]: ${result.reason}`.split("\n")),
      ...(result.hint === null ? [] : `    ${result.hint}`.split("\n")),
      ...placeLines(cloud.name, result.places),
    ];
  }
  return [
    green(`${title}enabled [${capabilities}]`),
    ...(result.hint === null ? [] : [yellow(`    Hint [${capabilities}]: ${result.hint}`)]),
    ...placeLines(cloud.name, result.places),
  ];
}

function placeLines(cloud: string, places: Checked["result"]["places"]): string[] {
  if (places.length === 0) return [];
  return [
    `    ${PLACES[cloud] ?? "Places"}:`,
    ...places.map(({ name, ok, reason }, i) => {
      const branch = i === places.length - 1 ? "└── " : "├── ";
      const state = ok ? "enabled." : `disabled. Reason: ${reason ?? "unknown"}`;
      return dim(`    ${branch}${name}: ${state}`);
    }),
  ];
}

function enabledLines({ cloud, result }: Checked): string[] {
  const usable = result.places.filter((place) => place.ok);
  return [
    green(`  ${cloud.displayName} [${result.offers.join(", ")}]`),
    ...(usable.length === 0 ? [] : [green(`    ${PLACES[cloud.name] ?? "Places"}:`)]),
    ...usable.map(({ name }, i) => dim(`    ${i === usable.length - 1 ? "└── " : "├── "}${name}`)),
  ];
}

function unknownLines(name: string): string[] {
  return [
    dim(`  ${cloudDisplayName(name)}: disabled `),
    "    Reason [compute]: this version of sky cannot reach it.",
  ];
}
