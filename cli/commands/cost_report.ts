/** `sky cost-report`: what clusters have cost, also those that are gone (cli.md §3.9). */
import type { CostView } from "../../api/clusters.ts";
import * as ansi from "../../core/ansi.ts";
import type { LaunchedResources } from "../../core/cluster.ts";
import { duration, money, relativeTime } from "../../core/format.ts";
import { DEFAULT_DISK_GB, reprLaunched } from "../../core/resources.ts";
import { plainTable } from "../../core/table.ts";
import type { Command, Input, Io } from "../command.ts";
import { ask } from "../follow.ts";
import { CONFIG, OUTPUT } from "../options.ts";
import { type ControllerKind, controllerKind } from "./find_clusters.ts";
import { placeOf, statusCell } from "./status_table.ts";

const DEFAULT_DAYS = 30;
/** How many clusters are shown without --all. */
const RECENT = 5;

export const command: Command = {
  name: "cost-report",
  summary: "Show estimated costs for launched clusters.",
  help:
    "Show what clusters have cost so far, newest first, also those that are gone. Only the time in which their " +
    "machines ran counts. Costs are estimates from price lists.",
  examples: [
    "sky cost-report",
    "sky cost-report --all",
    "sky cost-report --days 7",
    "sky cost-report -o json",
  ],
  args: [],
  options: [
    { name: "all", short: "a", kind: "flag", help: "Show all clusters, not only the latest five." },
    {
      name: "days",
      kind: "int",
      help: "Only clusters used in these last days; 0 for no limit.  [default: 30]",
    },
    ...OUTPUT,
    ...CONFIG,
  ],
  run,
};

async function run(io: Io, input: Input): Promise<number> {
  const { out } = io;
  const days = input.int("days") ?? DEFAULT_DAYS;
  const all = input.flag("all");
  const sky = await io.sky();
  const found = await ask(io, sky, "costReport", { days: days === 0 ? null : days });
  if (input.text("output") === "json") {
    out.json(found.map((one) => ({ ...one, status: one.status ?? "TERMINATED" })));
    return 0;
  }
  const records = found.toSorted((a, b) => b.launched_at - a.launched_at);
  const title = (text: string) => out.style.bold(out.style.cyan(text));
  const clusters = records.filter((one) => controllerKind(one.name) === null);
  const shown = all ? clusters : clusters.slice(0, RECENT);
  out.line(title(days === 0 ? "Clusters" : `Clusters (last ${days} days)`));
  out.line(costTable(shown, io.now()));
  const controllers = records.filter((one) => controllerKind(one.name) !== null);
  for (const one of controllers) {
    const kind = controllerKind(one.name) ?? "jobs";
    out.line();
    out.line(title(CONTROLLER_TITLES[kind]) + out.style.dim(" (will be autostopped if idle for 10min)"));
    out.line(costTable([one], io.now()));
  }
  const total = [...shown, ...controllers].reduce((sum, one) => sum + (one.total_cost ?? 0), 0);
  out.line();
  out.line(out.style.bold(`Total Cost: $${total.toFixed(2)}`));
  if (!all) {
    out.line(
      out.style.yellow(
        `Showing up to ${RECENT} most recent clusters. To see all clusters in history, pass the --all flag.`,
      ),
    );
  }
  out.line(
    out.style.yellow(
      "This feature is experimental. Costs for clusters with auto{stop,down} scheduled may not be accurate.",
    ),
  );
  return 0;
}

const CONTROLLER_TITLES: Readonly<Record<ControllerKind, string>> = {
  jobs: "Managed Jobs Controller",
  serve: "Serve Controller",
};

const HEADER = ["NAME", "LAUNCHED", "DURATION", "RESOURCES", "STATUS", "COST/hr", "COST (est.)"];

/** `now` in unix milliseconds. */
export function costTable(records: readonly CostView[], now: number): string {
  const rows = records.map((one) => [
    one.name,
    relativeTime(one.launched_at * 1000, now),
    one.duration === null ? "-" : duration(0, one.duration * 1000),
    `${one.num_nodes}x ${resourcesText(one)}`,
    one.status === null ? ansi.dim("TERMINATED") : statusCell(one.status),
    perHour(one),
    (one.total_cost ?? 0) > 0 ? money(one.total_cost) : "-",
  ]);
  return plainTable(HEADER, rows);
}

/** USD per hour of the whole cluster; official servers do not tell it, but it follows from cost and duration. */
function perHour(one: CostView): string {
  if (typeof one.hourly_cost === "number") return money(one.hourly_cost * one.num_nodes);
  if (typeof one.total_cost !== "number" || !one.duration) return "-";
  return money(one.total_cost / one.duration * 3600);
}

/** The repr of what the cluster got, from its YAML form (wire.md §14.4). */
function resourcesText(one: CostView): string {
  const { resources } = one;
  const infra = placeOf(one, resources);
  if (resources === null || infra.cloud === null) return one.resources_str ?? "-";
  const launched: LaunchedResources = {
    cloud: infra.cloud,
    region: infra.region,
    zone: infra.zone,
    instanceType: text(resources["instance_type"]),
    cpus: number(resources["cpus"]) ?? number(one.cpus),
    memory: number(resources["memory"]) ?? number(one.memory),
    accelerators: (resources["accelerators"] ?? null) as LaunchedResources["accelerators"],
    useSpot: resources["use_spot"] === true,
    diskSize: number(resources["disk_size"]) ?? DEFAULT_DISK_GB,
    ports: Array.isArray(resources["ports"]) ? resources["ports"].map(String) : [],
    labels: {},
    imageId: text(resources["image_id"]),
    hourlyCost: 0,
  };
  return reprLaunched(launched);
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

/** `"8.0"`, `"8+"`, `8` → 8; null for anything else. */
function number(value: unknown): number | null {
  if (value === null || value === undefined || value === "") return null;
  const parsed = Number.parseFloat(String(value));
  return Number.isFinite(parsed) ? parsed : null;
}
