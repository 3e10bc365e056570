/** Clusters as the table and the JSON of `sky status` (cli.md §3.3, §1.14). Pure: the asking is status.ts's. */
import type { ClusterView } from "../../api/clusters.ts";
import * as ansi from "../../core/ansi.ts";
import { isSkyError } from "../../core/errors.ts";
import { autostopCell, relativeTime } from "../../core/format.ts";
import { type Infra, infraCell, parseInfra } from "../../core/infra.ts";
import { plainTable } from "../../core/table.ts";
import { controllerKind } from "./find_clusters.ts";

export interface TableOptions {
  readonly verbose: boolean;
  /** Show the owners. */
  readonly users: boolean;
  readonly workspaces: boolean;
  /** Unix milliseconds. */
  readonly now: number;
}

const COLOURS: Readonly<Record<string, (text: string) => string>> = {
  INIT: ansi.blue,
  UP: ansi.green,
  STOPPED: ansi.yellow,
  AUTOSTOPPING: ansi.magenta,
  PENDING: ansi.cyan,
};

/** The status in its colour (cli.md §10). */
export function statusCell(status: string): string {
  return COLOURS[status]?.(status) ?? status;
}

interface Column {
  readonly title: string;
  readonly shown: boolean;
  cell(cluster: ClusterView): string;
}

/** In the given order, but controllers at the end. */
export function statusTable(clusters: readonly ClusterView[], options: TableOptions): string {
  const { verbose, users, workspaces, now } = options;
  const all: Column[] = [
    { title: "NAME", shown: true, cell: (one) => one.name },
    { title: "USER", shown: users, cell: (one) => one.user_name },
    { title: "USER_ID", shown: users && verbose, cell: (one) => one.user_hash },
    { title: "WORKSPACE", shown: workspaces || verbose, cell: (one) => one.workspace },
    {
      title: "INFRA",
      shown: true,
      cell: (one) => infraCell(placeOf(one, one.handle?.launched_resources), { full: verbose }),
    },
    { title: "RESOURCES", shown: true, cell: (one) => resourcesCell(one, verbose) },
    { title: "STATUS", shown: true, cell: (one) => statusCell(one.status) },
    { title: "AUTOSTOP", shown: true, cell: (one) => autostopCell(one.autostop, one.to_down) },
    { title: "LAUNCHED", shown: true, cell: (one) => relativeTime(one.launched_at * 1000, now) },
    { title: "HEAD_IP", shown: verbose, cell: (one) => headIp(one) ?? "-" },
    { title: "COMMAND", shown: verbose, cell: (one) => oneLine(one.last_use) || "-" },
    { title: "LAST_EVENT", shown: verbose, cell: (one) => oneLine(one.last_event) || "No recorded events." },
  ];
  const columns = all.filter((column) => column.shown);
  const plain = clusters.filter((one) => controllerKind(one.name) === null);
  const controllers = clusters.filter((one) => controllerKind(one.name) !== null);
  return plainTable(
    columns.map((column) => column.title),
    [...plain, ...controllers].map((one) => columns.map((column) => column.cell(one))),
  );
}

/** A command line or an event may hold line breaks; a cell may not. */
function oneLine(text: string | null | undefined): string {
  return (text ?? "").trim().replace(/\s*\n\s*/g, " ");
}

/**
 * Where it is: as the record says, with the zone that only its launched resources tell. Our server's handles call
 * this machine an SSH pool, for official clients; its records do not.
 */
export function placeOf(
  record: { readonly cloud: string | null; readonly region: string | null },
  launched: Readonly<Record<string, unknown>> | null | undefined,
): Infra {
  const known = { cloud: record.cloud?.toLowerCase() ?? null, region: record.region ?? null, zone: null };
  const written = launched?.["infra"];
  if (typeof written !== "string") return known;
  try {
    const told = parseInfra(written);
    return known.cloud === null || known.cloud === told.cloud ? told : known;
  } catch (error) {
    // A cloud that only the server knows.
    if (isSkyError(error, "invalid_argument")) return known;
    throw error;
  }
}

function resourcesCell(cluster: ClusterView, full: boolean): string {
  const text = full ? cluster.resources_str_full ?? cluster.resources_str : cluster.resources_str;
  if (text !== null && text !== undefined && text !== "") return text;
  return cluster.handle === null || cluster.handle === undefined ? "-" : "<initializing>";
}

/** The address of the head node from outside; null while it has none. */
export function headIp(cluster: ClusterView): string | null {
  const [head] = cluster.handle?.stable_internal_external_ips ?? [];
  return head?.[1] ?? head?.[0] ?? null;
}

/** How many will stop or go by themselves. */
export function scheduledAutostops(clusters: readonly ClusterView[]): number {
  return clusters.filter((one) => one.autostop >= 0 && one.status !== "STOPPED").length;
}

const FIELDS = [
  "name",
  "launched_at",
  "last_use",
  "status",
  "autostop",
  "to_down",
  "owner",
  "metadata",
  "cluster_hash",
  "cluster_ever_up",
  "status_updated_at",
  "user_hash",
  "user_name",
  "config_hash",
  "workspace",
  "last_creation_yaml",
  "last_creation_command",
  "is_managed",
  "last_event",
  "launch_status_reason",
  "resources_str",
  "resources_str_full",
  "nodes",
  "cloud",
  "region",
  "cpus",
  "memory",
  "accelerators",
  "labels",
  "cluster_name_on_cloud",
  "node_names",
  "priority",
  "priority_class",
  "links",
] as const satisfies readonly (keyof ClusterView)[];

/** Every field of cli.md §1.14, null where the server sent none; no handle, no credentials. */
export function statusJson(clusters: readonly ClusterView[]): Record<string, unknown>[] {
  return clusters.map((one) => Object.fromEntries(FIELDS.map((field) => [field, one[field] ?? null])));
}
