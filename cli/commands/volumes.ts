/** `sky volumes`: volumes that tasks can mount (cli.md §8.2). */
import { compactAge, truncateEnd } from "../../core/format.ts";
import { formatInfra } from "../../core/infra.ts";
import { plainTable } from "../../core/table.ts";
import type { Command } from "../command.ts";
import { ask } from "../follow.ts";
import { CONFIG, VERBOSE } from "../options.ts";
import { checkSelector, DELETION_OPTIONS, namesArgument, refuseDeletion } from "./deletion.ts";

const USED_BY_LENGTH = 25;
const MESSAGE_LENGTH = 60;

export const ls: Command = {
  name: "ls",
  summary: "List volumes.",
  help: "List volumes, one table per kind.",
  examples: ["sky volumes ls", "sky volumes ls -v", "sky volumes ls --refresh"],
  args: [],
  options: [
    ...VERBOSE,
    { name: "refresh", short: "r", kind: "flag", help: "Ask the infra for the true statuses first." },
    ...CONFIG,
  ],
  run: async (io, input) => {
    const found = await ask(io, await io.sky(), "volumes", {
      refresh: input.flag("refresh") ? "true" : "false",
    });
    const options = { verbose: input.flag("verbose"), now: io.now() };
    io.out.line(found.length === 0 ? "No existing volumes." : volumeTables(found, options));
    return 0;
  },
};

export const remove: Command = {
  name: "delete",
  summary: "Delete volumes.",
  help: "Delete volumes by name or glob, or all of them.",
  examples: ["sky volumes delete my-volume", "sky volumes delete -y 'tmp-*'", "sky volumes delete -a"],
  args: namesArgument("volume"),
  options: [
    ...DELETION_OPTIONS,
    {
      name: "purge",
      short: "p",
      kind: "flag",
      help: "Remove them from the table even when the infra reports errors.",
    },
  ],
  run: async (io, input) => {
    checkSelector(input);
    const found = await ask(io, await io.sky(), "volumes", {});
    const known = found.map((one) => String(one["name"]));
    return refuseDeletion(io, input, { known, nouns: { one: "Volume", many: "volumes" } });
  },
};

type VolumeRecord = Readonly<Record<string, unknown>>;

const KINDS = [
  { type: "k8s-pvc", title: "Kubernetes PVCs:" },
  { type: "k8s-hostpath", title: "Kubernetes HostPath Volumes:" },
  { type: "runpod-network-volume", title: "RunPod Network Volumes:" },
];

interface Column {
  readonly title: string;
  cell(volume: VolumeRecord): string;
}

/** Records as in wire.md §10; kinds without volumes are left out. `now` in unix milliseconds. */
export function volumeTables(
  records: readonly VolumeRecord[],
  options: { verbose: boolean; now: number },
): string {
  const others = [...new Set(records.map((one) => text(one["type"])))]
    .filter((type) => !KINDS.some((kind) => kind.type === type))
    .map((type) => ({ type, title: `${type}:` }));
  return [...KINDS, ...others].flatMap(({ type, title }) => {
    const volumes = records.filter((one) => text(one["type"]) === type);
    if (volumes.length === 0) return [];
    const columns = columnsFor(type, { ...options, messages: volumes.some((one) => one["error_message"]) });
    const rows = volumes.map((volume) => columns.map((column) => column.cell(volume)));
    return [`${title}\n${plainTable(columns.map((column) => column.title), rows)}`];
  }).join("\n\n");
}

function columnsFor(
  type: string,
  { verbose, now, messages }: { verbose: boolean; now: number; messages: boolean },
): Column[] {
  const field = (title: string, key: string): Column => ({ title, cell: (one) => text(one[key]) });
  const config = (title: string, key: string): Column => ({
    title,
    cell: (one) => text((one["config"] as VolumeRecord | null | undefined)?.[key]),
  });
  return [
    field("NAME", "name"),
    field("TYPE", "type"),
    { title: "INFRA", cell: infraText },
    { title: "SIZE", cell: (one) => text(one["size"]).replace(/^\d+$/, "$&Gi") },
    field("USER", "user_name"),
    field("WORKSPACE", "workspace"),
    { title: "AGE", cell: (one) => compactAge(now / 1000 - Number(one["launched_at"])) },
    field("STATUS", "status"),
    { title: "LAST_USE", cell: (one) => localTime(one["last_attached_at"]) },
    { title: "USED_BY", cell: usedBy },
    { title: "IS_EPHEMERAL", cell: (one) => one["is_ephemeral"] === true ? "True" : "False" },
    ...(type === "k8s-hostpath" ? [config("HOST_PATH", "host_path")] : []),
    ...(verbose
      ? [
        field("NAME_ON_CLOUD", "name_on_cloud"),
        config("STORAGE_CLASS", "storage_class_name"),
        config("ACCESS_MODE", "access_mode"),
      ]
      : []),
    ...(verbose || messages
      ? [{
        title: "MESSAGE",
        cell: (one: VolumeRecord) =>
          truncateEnd(text(one["error_message"]).replaceAll("\n", " "), MESSAGE_LENGTH),
      }]
      : []),
  ];
}

function text(value: unknown): string {
  return value === null || value === undefined || value === "" ? "-" : String(value);
}

function infraText(volume: VolumeRecord): string {
  const part = (key: string) => typeof volume[key] === "string" ? volume[key] : null;
  return formatInfra({ cloud: part("cloud"), region: part("region"), zone: part("zone") }) ?? "-";
}

function usedBy(volume: VolumeRecord): string {
  const list = (key: string) => Array.isArray(volume[key]) ? volume[key].map(String) : [];
  const clusters = list("usedby_clusters");
  const names = clusters.length > 0 ? clusters : list("usedby_pods");
  return names.length > 0 ? truncateEnd(names.join(", "), USED_BY_LENGTH) : "-";
}

/** `2026-11-24 05:38:46` in the zone of this machine; `-` for never. Unix seconds. */
function localTime(seconds: unknown): string {
  if (typeof seconds !== "number" || seconds <= 0) return "-";
  const date = new Date(seconds * 1000);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":")}`;
}
