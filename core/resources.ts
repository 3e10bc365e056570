/**
 * Resources: one wish for machines (domain.md §1.3), the choice between several, and how they are printed (§2.8,
 * cli.md §1.8). Parsing is resources_parse.ts's, comparing resources_match.ts's. Pure.
 */
import { acceleratorTexts } from "./accelerators.ts";
import { cloudDisplayName, hasVirtualTypes } from "./cloud_names.ts";
import type { LaunchedResources, WaitFor } from "./cluster.ts";
import { amount, pyFloat, pyRepr, truncateEnd } from "./format.ts";
import { amountOf } from "./sizes.ts";

export interface AutostopWish {
  /** False: cancel (sends -1). */
  readonly enabled: boolean;
  readonly idleMinutes: number;
  readonly down: boolean;
  readonly waitFor: WaitFor | null;
}

/** Null means "not asked for". Amounts as canonical text (`4`, `4+`, `16x`), GB for sizes. */
export interface Resources {
  /** Canonical lower-case cloud name (`local`, `aws`, `kubernetes`, …). */
  readonly cloud: string | null;
  readonly region: string | null;
  readonly zone: string | null;
  readonly instanceType: string | null;
  readonly cpus: string | null;
  readonly memory: string | null;
  readonly accelerators: Readonly<Record<string, number>> | null;
  readonly acceleratorArgs: Readonly<Record<string, unknown>> | null;
  /** Null differs from false when an existing cluster is matched. */
  readonly useSpot: boolean | null;
  readonly jobRecovery: string | Readonly<Record<string, unknown>> | null;
  readonly diskSize: number | null;
  readonly diskTier: string | null;
  readonly networkTier: string | null;
  readonly localDisk: string | null;
  readonly ephemeralStorage: number | null;
  readonly maxHourlyCost: number | null;
  /** Sorted, collapsed ranges as strings (appendix A.2). */
  readonly ports: readonly string[] | null;
  readonly imageId: string | Readonly<Record<string, string>> | null;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly autostop: AutostopWish | null;
  readonly priority: number | null;
  readonly priorityClass: string | null;
  /** Accepted keys that no room reads yet, kept so that YAML round-trips. */
  readonly other: Readonly<Record<string, unknown>>;
}

/** `ordered`: try in this order. `any_of`: free choice. One candidate: either. */
export interface ResourcesChoice {
  readonly kind: "any_of" | "ordered";
  readonly candidates: readonly Resources[];
}

export const DEFAULT_DISK_GB = 256;

const NOTHING: Resources = {
  cloud: null,
  region: null,
  zone: null,
  instanceType: null,
  cpus: null,
  memory: null,
  accelerators: null,
  acceleratorArgs: null,
  useSpot: null,
  jobRecovery: null,
  diskSize: null,
  diskTier: null,
  networkTier: null,
  localDisk: null,
  ephemeralStorage: null,
  maxHourlyCost: null,
  ports: null,
  imageId: null,
  labels: null,
  autostop: null,
  priority: null,
  priorityClass: null,
  other: {},
};

/** A wish for nothing but the given fields. */
export function newResources(wanted: Partial<Resources> = {}): Resources {
  return { ...NOTHING, ...wanted };
}

/** The choice of a task that asks for nothing. */
export function anyResources(): ResourcesChoice {
  return { kind: "any_of", candidates: [NOTHING] };
}

/** `AWS(m6i.large[Spot], cpus=4+, {'A100': 8}, …)`, `<Cloud>(…)` without a cloud. `place`: region and zone too. */
export function reprResources(wish: Resources, options: { place?: boolean } = {}): string {
  const { place = false } = options;
  return reprOf(wish.cloud, [
    instanceText(wish.instanceType, wish.useSpot === true),
    wish.cpus === null ? "" : `cpus=${wish.cpus}`,
    wish.memory === null ? "" : `mem=${wish.memory}`,
    wish.accelerators === null ? "" : pyRepr(wish.accelerators),
    wish.imageId === null ? "" : `image_id=${imageText(wish.imageId)}`,
    field("disk_tier", wish.diskTier),
    field("network_tier", wish.networkTier),
    wish.diskSize === DEFAULT_DISK_GB ? "" : field("disk_size", wish.diskSize),
    field("ephemeral_storage", wish.ephemeralStorage),
    field("local_disk", wish.localDisk),
    wish.maxHourlyCost === null ? "" : `max_cost=$${wish.maxHourlyCost}/hr`,
    wish.ports === null ? "" : `ports=${pyRepr(wish.ports)}`,
    place ? field("region", wish.region) : "",
    place ? field("zone", wish.zone) : "",
  ]);
}

/** The repr of what a cluster got, e.g. `AWS(m6i.2xlarge, mem=32.0)`. */
export function reprLaunched(got: LaunchedResources): string {
  return reprOf(got.cloud, [
    instanceText(got.instanceType, got.useSpot),
    got.memory === null ? "" : `mem=${pyFloat(got.memory)}`,
    got.accelerators === null ? "" : pyRepr(got.accelerators),
    field("image_id", got.imageId),
    field("disk_tier", got.diskTier ?? null),
    got.diskSize === DEFAULT_DISK_GB ? "" : field("disk_size", got.diskSize),
    got.ports.length === 0 ? "" : `ports=${pyRepr(got.ports)}`,
  ]);
}

function reprOf(cloud: string | null, parts: readonly string[]): string {
  const name = cloud === null ? "<Cloud>" : cloudDisplayName(cloud);
  return `${name}(${parts.filter((part) => part !== "").join(", ")})`;
}

function instanceText(type: string | null, spot: boolean): string {
  return `${type ?? ""}${spot ? "[Spot]" : ""}`;
}

function imageText(image: string | Readonly<Record<string, string>>): string {
  return typeof image === "string" ? image : pyRepr(image);
}

function field(name: string, value: string | number | null): string {
  return value === null ? "" : `${name}=${value}`;
}

/** The RESOURCES column: `1x(cpus=8, mem=32, m6i.2xlarge, ...)`; `full` lists everything. */
export function resourcesCell(
  got: LaunchedResources,
  options: { numNodes: number; full?: boolean },
): string {
  const { numNodes, full = false } = options;
  const gpus = acceleratorTexts(got.accelerators).join(", ");
  const virtual = hasVirtualTypes(got.cloud);
  const sized = full || virtual || gpus === "";
  const type = virtual || got.instanceType === null ? "" : got.instanceType;
  const items = [
    gpus === "" ? "" : `gpus=${gpus}`,
    sized && got.cpus !== null ? `cpus=${amount(got.cpus)}` : "",
    sized && got.memory !== null ? `mem=${amount(got.memory)}` : "",
    full ? type : truncateEnd(type, 15),
    ...(full
      ? [
        field("image_id", got.imageId),
        `disk=${got.diskSize}`,
        field("disk_tier", got.diskTier ?? null),
        got.ports.length === 0 ? "" : `ports=${pyRepr(got.ports)}`,
      ]
      : ["..."]),
  ];
  const spot = got.useSpot ? "[spot]" : "";
  return `${numNodes}x${spot}(${items.filter((item) => item !== "").join(", ")})`;
}

/** What a job asks for, in queues: `1x[CPU:1+]`, `2x[H100:8]`; `managed` writes `4.0` and adds `[Spot]`. */
export function demandText(
  choice: ResourcesChoice,
  options: { numNodes: number; managed?: boolean },
): string {
  const { candidates } = choice;
  const gpus = [...new Set(candidates.flatMap((wish) => acceleratorTexts(wish.accelerators)))];
  const cpus = candidates.flatMap((wish) => wish.cpus === null ? [] : [amountOf(wish.cpus).value]);
  const least = cpus.length < candidates.length
    ? "1"
    : (options.managed ? pyFloat : String)(Math.min(...cpus));
  const spots = new Set(candidates.map((wish) => wish.useSpot === true));
  const spot = !options.managed || !spots.has(true) ? "" : spots.has(false) ? "[On-demand|Spot]" : "[Spot]";
  return `${options.numNodes}x[${gpus.length > 0 ? gpus.join(", ") : `CPU:${least}+`}]${spot}`;
}
