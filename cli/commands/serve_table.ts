/** Services, pools and their replicas as tables (cli.md §6.6, §7.3; records: wire.md §9.5). Pure. */
import * as ansi from "../../core/ansi.ts";
import { duration, relativeTime } from "../../core/format.ts";
import { infraCell } from "../../core/infra.ts";
import { plainTable } from "../../core/table.ts";

/** Times are unix seconds; `uptime` is a start time. */
export interface ServiceView {
  readonly name: string;
  readonly status: string;
  readonly uptime?: number | null;
  readonly policy?: string | null;
  readonly endpoint?: string | null;
  readonly requested_resources_str?: string | null;
  readonly load_balancing_policy?: string | null;
  readonly active_versions?: readonly number[] | null;
  readonly replica_info?: readonly ReplicaView[] | null;
}

export interface ReplicaView {
  readonly replica_id: number;
  readonly status: string;
  readonly version?: number | null;
  readonly endpoint?: string | null;
  readonly launched_at?: number | null;
  readonly cloud?: string | null;
  readonly region?: string | null;
  readonly infra?: string | null;
  readonly resources_str?: string | null;
  readonly resources_str_full?: string | null;
}

export interface ServiceTableOptions {
  readonly kind: "service" | "pool";
  readonly verbose: boolean;
  /** Unix milliseconds. */
  readonly now: number;
}

type Paint = (text: string) => string;

const SERVICE_COLOURS: Readonly<Record<string, Paint>> = {
  CONTROLLER_INIT: ansi.blue,
  REPLICA_INIT: ansi.blue,
  READY: ansi.green,
  SHUTTING_DOWN: ansi.yellow,
  CONTROLLER_FAILED: ansi.red,
  FAILED: ansi.red,
  FAILED_CLEANUP: ansi.red,
  NO_REPLICA: ansi.magenta,
};

const REPLICA_COLOURS: Readonly<Record<string, Paint>> = {
  PENDING: ansi.yellow,
  NOT_READY: ansi.yellow,
  PROVISIONING: ansi.blue,
  STARTING: ansi.cyan,
  READY: ansi.green,
  SHUTTING_DOWN: ansi.magenta,
  PREEMPTED: ansi.magenta,
  UNKNOWN: ansi.red,
};

/** One line per service or pool. */
export function serviceTable(services: readonly ServiceView[], options: ServiceTableOptions): string {
  const { kind, verbose, now } = options;
  const service = kind === "service";
  const header = [
    "NAME",
    "VERSION",
    "UPTIME",
    "STATUS",
    ...(service ? ["REPLICAS", "ENDPOINT"] : ["WORKERS"]),
    ...(verbose
      ? ["AUTOSCALING_POLICY", ...(service ? ["LOAD_BALANCING_POLICY"] : []), "REQUESTED_RESOURCES"]
      : []),
  ];
  const rows = services.map((one) => [
    one.name,
    (one.active_versions ?? []).join(",") || "-",
    duration(milliseconds(one.uptime), now),
    SERVICE_COLOURS[one.status]?.(one.status) ?? one.status,
    ready(one.replica_info ?? []),
    ...(service ? [one.endpoint ?? "-"] : []),
    ...(verbose ? [one.policy ?? "-", ...(service ? [one.load_balancing_policy ?? "-"] : [])] : []),
    ...(verbose ? [one.requested_resources_str ?? "-"] : []),
  ]);
  return plainTable(header, rows);
}

/** Ready ones by all that have not failed. */
function ready(replicas: readonly ReplicaView[]): string {
  const alive = replicas.filter((one) => !one.status.startsWith("FAILED"));
  return `${alive.filter((one) => one.status === "READY").length}/${alive.length}`;
}

/** One line per replica of all the services. */
export function replicaTable(
  services: readonly ServiceView[],
  options: { verbose: boolean; now: number },
): string {
  const { verbose, now } = options;
  const rows = services.flatMap((service) =>
    (service.replica_info ?? []).map((one) => [
      service.name,
      String(one.replica_id),
      String(one.version ?? "-"),
      one.endpoint ?? "-",
      relativeTime(milliseconds(one.launched_at), now),
      one.infra ??
        infraCell({ cloud: one.cloud?.toLowerCase() ?? null, region: one.region ?? null, zone: null }),
      (verbose ? one.resources_str_full ?? one.resources_str : one.resources_str) ?? "-",
      replicaStatus(one.status),
    ])
  );
  const header = ["SERVICE_NAME", "ID", "VERSION", "ENDPOINT", "LAUNCHED", "INFRA", "RESOURCES", "STATUS"];
  return plainTable(header, rows);
}

function replicaStatus(status: string): string {
  if (status.startsWith("FAILED")) return ansi.red(status);
  return REPLICA_COLOURS[status]?.(status) ?? status;
}

function milliseconds(seconds: number | null | undefined): number | null {
  return seconds === null || seconds === undefined ? null : seconds * 1000;
}
