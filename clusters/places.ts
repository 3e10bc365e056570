/** Verbs about places of a cloud that has some of people's own: making them ready, letting go, what machines they have. */
import type { Cloud, GpuSummary, PlaceNode } from "../clouds/cloud.ts";
import type { Context } from "../core/context.ts";
import { SkyError } from "../core/errors.ts";
import { cloudContext } from "./asker.ts";
import { checkClouds, enabledClouds } from "./infra.ts";
import type { Room } from "./room.ts";

export interface PlaceWish {
  readonly cloud: string;
  /** Null for all. */
  readonly place: string | null;
}

/** Make places ready, and find out what is enabled now. Throws not_supported, and what the cloud throws. */
export async function setUpPlaces(wish: PlaceWish, ctx: Context, room: Room): Promise<void> {
  const cloud = await room.clouds.load(wish.cloud);
  if (cloud.setUp === undefined) throw unable(cloud);
  await cloud.setUp(wish.place, cloudContext(cloud, ctx, room));
  await checkClouds([cloud.name], ctx, room);
}

/** Let go of places. Throws not_supported, and what the cloud throws, e.g. while clusters are there. */
export async function tearDownPlaces(wish: PlaceWish, ctx: Context, room: Room): Promise<void> {
  const cloud = await room.clouds.load(wish.cloud);
  if (cloud.tearDown === undefined) throw unable(cloud);
  await cloud.tearDown(wish.place, cloudContext(cloud, ctx, room));
}

function unable(cloud: Cloud): SkyError {
  return new SkyError("not_supported", `${cloud.displayName} has nothing to set up`);
}

/** GPUs of a cloud's places; none where it is not enabled. */
export async function gpusOfPlaces(wish: PlaceWish, ctx: Context, room: Room): Promise<GpuSummary[]> {
  if (!(await enabledClouds(ctx, room)).includes(wish.cloud)) return [];
  const cloud = await room.clouds.load(wish.cloud);
  const all = await cloud.gpus?.(cloudContext(cloud, ctx, room)) ?? [];
  return all.filter(({ place }) => wish.place === null || place === wish.place);
}

/** Machines of a cloud's places; none where it is not enabled. */
export async function nodesOfPlaces(wish: PlaceWish, ctx: Context, room: Room): Promise<PlaceNode[]> {
  if (!(await enabledClouds(ctx, room)).includes(wish.cloud)) return [];
  const cloud = await room.clouds.load(wish.cloud);
  const all = await cloud.nodes?.(cloudContext(cloud, ctx, room)) ?? [];
  return all.filter(({ place }) => wish.place === null || place === wish.place);
}

/** Places of a cloud that can't be used now, and why; none where it is not enabled. Asks all anew. */
export async function faultsOfPlaces(
  wish: PlaceWish,
  ctx: Context,
  room: Room,
): Promise<{ place: string; reason: string }[]> {
  if (!(await enabledClouds(ctx, room)).includes(wish.cloud)) return [];
  const cloud = await room.clouds.load(wish.cloud);
  const { places } = await cloud.check(cloudContext(cloud, ctx, room));
  return places.flatMap(({ name, ok, reason }) =>
    ok || (wish.place !== null && wish.place !== name) ? [] : { place: name, reason: reason ?? "unknown" }
  );
}
