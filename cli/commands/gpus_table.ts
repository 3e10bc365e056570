/** Accelerators as tables and as JSON (cli.md §4.2, §1.14). Pure: the asking is gpus.ts's. */
import type { AcceleratorsView } from "../../api/checks.ts";
import { amount, money } from "../../core/format.ts";
import { plainTable } from "../../core/table.ts";

/** One way to get an accelerator; field names as in the JSON output. GB, USD per hour. */
export interface Offer {
  readonly cloud: string;
  readonly instance_type: string | null;
  readonly accelerator_name: string;
  readonly accelerator_count: number | null;
  readonly cpu_count: number | null;
  readonly device_memory: number | string | null;
  readonly memory: number | null;
  readonly price: number | null;
  readonly spot_price: number | null;
  readonly region: string | null;
}

const COMMON = [
  "A10",
  "A10G",
  "A100",
  "A100-80GB",
  "B200",
  "H100",
  "H200",
  "L4",
  "L40S",
  "RTX5090",
  "T4",
  "V100",
  "V100-32GB",
];

/** The positional rows of the wire (wire.md §7.5) with names. */
export function acceleratorOffers(view: AcceleratorsView): Record<string, Offer[]> {
  return Object.fromEntries(Object.entries(view).map(([name, rows]) => [name, rows.map(offer)]));
}

function offer(row: readonly unknown[]): Offer {
  return {
    cloud: text(row[0]) ?? "-",
    instance_type: text(row[1]),
    accelerator_name: text(row[2]) ?? "-",
    accelerator_count: number(row[3]),
    cpu_count: number(row[4]),
    device_memory: number(row[5]) ?? text(row[5]),
    memory: number(row[6]),
    price: number(row[7]),
    spot_price: number(row[8]),
    region: text(row[9]),
  };
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function number(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

/** What there is and in which quantities: common GPUs, TPUs, and with `others` the rest. */
export function quantityTables(
  counts: Readonly<Record<string, readonly number[]>>,
  { others }: { others: boolean },
): string {
  const names = Object.keys(counts).toSorted();
  const tpus = names.filter((name) => name.startsWith("tpu-"));
  const rest = names.filter((name) => !COMMON.includes(name) && !tpus.includes(name));
  const table = (title: string, chosen: readonly string[]) =>
    plainTable(
      [title, "AVAILABLE_QUANTITIES"],
      chosen.map((name) => [name, [...counts[name] ?? []].sort((a, b) => a - b).map(amount).join(", ")]),
    );
  return [
    table("COMMON_GPU", COMMON.filter((name) => counts[name] !== undefined)),
    ...(tpus.length > 0 ? [table("GOOGLE_TPU", tpus)] : []),
    ...(others && rest.length > 0 ? [table("OTHER_GPU", rest)] : []),
  ].join("\n\n");
}

const HEADER = [
  "GPU",
  "QTY",
  "CLOUD",
  "INSTANCE_TYPE",
  "DEVICE_MEM",
  "vCPUs",
  "HOST_MEM",
  "HOURLY_PRICE",
  "HOURLY_SPOT_PRICE",
];

/** One table per accelerator. `region`: the cheapest one per line, every one, or no such column. */
export function detailTables(
  offers: ReadonlyMap<string, readonly Offer[]>,
  { region }: { region: "cheapest" | "all" | "none" },
): string[] {
  const header = region === "none" ? HEADER : [...HEADER, "REGION"];
  return [...offers.entries()].toSorted(([a], [b]) => a < b ? -1 : 1).map(([, list]) => {
    const shown = region === "all" ? sorted(list) : sorted(cheapest(list));
    return plainTable(
      header,
      shown.map((one) => [...cells(one), ...(region === "none" ? [] : [one.region ?? "-"])]),
    );
  });
}

function cells(one: Offer): string[] {
  const attachable = one.instance_type === null && one.cloud.toLowerCase() === "gcp";
  return [
    one.accelerator_name,
    one.accelerator_count === null ? "-" : amount(one.accelerator_count),
    one.cloud,
    attachable ? "(attachable)" : one.instance_type ?? "-",
    gigabytes(one.device_memory),
    one.cpu_count === null ? "-" : amount(one.cpu_count),
    gigabytes(one.memory),
    one.price === null ? "-" : money(one.price, 3),
    one.spot_price === null ? "-" : money(one.spot_price, 3),
  ];
}

function gigabytes(size: number | string | null): string {
  if (typeof size === "string") return size;
  return size === null ? "-" : `${amount(size)}GB`;
}

/** Of offers that differ only in their region, the one with the lowest price. */
function cheapest(offers: readonly Offer[]): Offer[] {
  const best = new Map<string, Offer>();
  for (const one of offers) {
    const key = JSON.stringify([
      one.cloud,
      one.instance_type,
      one.accelerator_count,
      one.cpu_count,
      one.memory,
    ]);
    const before = best.get(key);
    if (before === undefined || price(one) < price(before)) best.set(key, one);
  }
  return [...best.values()];
}

/** Clouds together, those with the cheapest offer first; inside by price. */
function sorted(offers: readonly Offer[]): Offer[] {
  const lowest = new Map<string, number>();
  for (const one of offers) lowest.set(one.cloud, Math.min(lowest.get(one.cloud) ?? Infinity, price(one)));
  const byCloud = (a: Offer, b: Offer) => {
    if (a.cloud === b.cloud) return 0;
    const difference = difference0(lowest.get(a.cloud), lowest.get(b.cloud));
    return difference !== 0 ? difference : a.cloud < b.cloud ? -1 : 1;
  };
  return offers.toSorted((a, b) =>
    byCloud(a, b) || difference0(price(a), price(b)) || (a.region ?? "").localeCompare(b.region ?? "")
  );
}

function price(one: Offer): number {
  return one.price ?? Infinity;
}

/** A difference in which two infinities are equal. */
function difference0(a = Infinity, b = Infinity): number {
  return a === b ? 0 : a - b;
}
