/** Which accelerators the enabled infra has (domain.md §3.5), as data; tables are the client's. */
import type { Cloud, GpuSummary } from "../clouds/cloud.ts";
import type { Context } from "../core/context.ts";
import { SkyError } from "../core/errors.ts";
import { GPU_MODELS } from "../core/gpu_table.ts";
import { cloudContext } from "./asker.ts";
import { enabledClouds } from "./infra.ts";
import type { Room } from "./room.ts";

export interface AcceleratorFilter {
  /** A regular expression that the name contains. */
  readonly name: string | null;
  readonly caseSensitive: boolean;
  readonly quantity: number | null;
  readonly region: string | null;
  /** Cloud names in any case; null for all enabled. */
  readonly clouds: readonly string[] | null;
}

export interface AcceleratorOffer {
  /** Display name. */
  readonly cloud: string;
  readonly accelerator: string;
  readonly count: number;
  readonly instanceType: string | null;
  readonly cpus: number | null;
  /** GB per device. */
  readonly deviceMemory: number | null;
  readonly memory: number | null;
  /** USD an hour. */
  readonly price: number | null;
  readonly spotPrice: number | null;
  readonly region: string | null;
}

/** Name → what can be had, sorted by name, quantity, cloud. Throws invalid_argument for a bad expression. */
export async function listAccelerators(
  filter: AcceleratorFilter,
  ctx: Context,
  room: Room,
): Promise<Record<string, AcceleratorOffer[]>> {
  const matches = nameTest(filter);
  const wanted = filter.clouds?.map((name) => name.toLowerCase());
  const names = (await enabledClouds(ctx, room)).filter((name) => wanted?.includes(name) ?? true);
  const offers = (await Promise.all(names.map(async (name) => {
    const cloud = await room.clouds.load(name);
    const summaries = await cloud.gpus?.(cloudContext(cloud, ctx, room)) ?? [];
    return summaries.flatMap((summary) => offersOf(cloud, summary));
  }))).flat();
  const kept = offers.filter((offer) =>
    matches(offer.accelerator) &&
    (filter.quantity === null || offer.count === filter.quantity) &&
    (filter.region === null || offer.region === filter.region)
  );
  kept.sort((a, b) =>
    compare(a.accelerator, b.accelerator) || a.count - b.count || compare(a.cloud, b.cloud)
  );
  const byName = Map.groupBy(kept, (offer) => offer.accelerator);
  return Object.fromEntries(byName);
}

/** Name → quantities that can be asked for. */
export async function listAcceleratorCounts(
  filter: AcceleratorFilter,
  ctx: Context,
  room: Room,
): Promise<Record<string, number[]>> {
  const offers = await listAccelerators(filter, ctx, room);
  return Object.fromEntries(
    Object.entries(offers).map(([name, list]) => [name, [...new Set(list.map((offer) => offer.count))]]),
  );
}

function nameTest(filter: AcceleratorFilter): (name: string) => boolean {
  if (filter.name === null) return () => true;
  try {
    const pattern = new RegExp(filter.name, filter.caseSensitive ? "" : "i");
    return (name) => pattern.test(name);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new SkyError(
      "invalid_argument",
      `Invalid accelerator name '${filter.name}': not a regular expression`,
    );
  }
}

/** One for each quantity that fits on a node: powers of two, and all it has. */
function offersOf(cloud: Cloud, summary: GpuSummary): AcceleratorOffer[] {
  const most = Math.max(0, ...summary.perNode);
  const counts = new Set<number>();
  for (let count = 1; count <= most; count *= 2) counts.add(count);
  if (most > 0) counts.add(most);
  const model = GPU_MODELS.find(({ name }) => name.toLowerCase() === summary.gpu.toLowerCase());
  return [...counts].map((count) => ({
    cloud: cloud.displayName,
    accelerator: summary.gpu,
    count,
    instanceType: null,
    cpus: null,
    deviceMemory: model?.memoryGb ?? null,
    memory: null,
    price: 0,
    spotPrice: null,
    region: summary.place === cloud.name ? null : summary.place,
  }));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
