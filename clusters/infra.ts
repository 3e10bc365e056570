/**
 * Which clouds are usable (domain.md §2.1): the result of the last check, kept per workspace, and checked when
 * there is none. Leaves the report to checks.ts.
 */
import type { CheckResult, Cloud } from "../clouds/cloud.ts";
import { SkyError } from "../core/errors.ts";
import { type Asker, cloudContext } from "./asker.ts";
import type { Room } from "./room.ts";

/** Used only when it is asked for, or when there is nothing else. */
const LAST_RESORT = "local";

export interface Checked {
  readonly cloud: Cloud;
  readonly result: CheckResult;
}

type Workspace = { readonly workspace: string };

/** Check these clouds (default: all) in parallel and remember which are enabled. Ordered as registered. */
export async function checkClouds(
  names: readonly string[] | null,
  ctx: Asker & Workspace,
  room: Room,
): Promise<Checked[]> {
  const wanted = room.clouds.names.filter((name) => names?.includes(name) ?? true);
  const checked = await Promise.all(wanted.map(async (name) => {
    const cloud = await room.clouds.load(name);
    return { cloud, result: await checkOne(cloud, ctx, room) };
  }));
  const before = new Set(await remembered(ctx.workspace, room) ?? []);
  const places = { ...await rememberedPlaces(ctx.workspace, room) };
  for (const { cloud, result } of checked) {
    if (result.enabled && result.offers.includes("compute")) before.add(cloud.name);
    else before.delete(cloud.name);
    places[cloud.name] = result.places.filter((place) => place.ok).map((place) => place.name);
  }
  await room.settings.set(placesKeyOf(ctx.workspace), places);
  await room.settings.set(keyOf(ctx.workspace), room.clouds.names.filter((name) => before.has(name)));
  return checked;
}

async function checkOne(cloud: Cloud, ctx: Asker, room: Room): Promise<CheckResult> {
  try {
    return await cloud.check(cloudContext(cloud, ctx, room));
  } catch (error) {
    ctx.signal.throwIfAborted();
    // One cloud's trouble, whatever it is, must not hide what the others say.
    const reason = error instanceof Error ? error.message : String(error);
    return { enabled: false, offers: [], reason, hint: null, places: [] };
  }
}

/** Names of the enabled clouds in registered order. */
export async function enabledClouds(ctx: Asker & Workspace, room: Room): Promise<string[]> {
  const known = await remembered(ctx.workspace, room);
  if (known !== null && known.length > 0) return known;
  await checkClouds(null, ctx, room);
  return await remembered(ctx.workspace, room) ?? [];
}

async function remembered(workspace: string, room: Room): Promise<string[] | null> {
  const names = await room.settings.get<string[]>(keyOf(workspace));
  return names?.filter((name) => room.clouds.names.includes(name)) ?? null;
}

/** Names as `sky status` lists them; `expand`: with the places below them, e.g. `kubernetes/ctx`. */
export async function enabledInfra(
  options: { expand: boolean },
  ctx: Asker & Workspace,
  room: Room,
): Promise<string[]> {
  const names = await enabledClouds(ctx, room);
  if (!options.expand) return names;
  // As the last check found them: looking at every place anew would keep `sky status` waiting for those that are off.
  const places = await rememberedPlaces(ctx.workspace, room);
  return names.flatMap((name) => {
    const usable = (places[name] ?? []).map((place) => `${name}/${place}`);
    return usable.length > 0 ? usable : [name];
  });
}

/**
 * The clouds to look through for a wish. This machine is not a rival of real clouds: it is taken when asked for,
 * or when nothing else is enabled.
 */
export function cloudsFor(wanted: string | null, enabled: readonly string[]): string[] {
  if (wanted !== null) return enabled.filter((name) => name === wanted);
  const others = enabled.filter((name) => name !== LAST_RESORT);
  return others.length > 0 ? others : [...enabled];
}

/**
 * The enabled clouds for these wishes. One that is asked for by name and not enabled is checked once more. Throws
 * no_infra_enabled, or resources_unavailable when every wish asks for a cloud that is not enabled.
 */
export async function enabledFor(
  wishes: { readonly taskName: string | null; readonly clouds: readonly (string | null)[] },
  ctx: Asker & Workspace,
  room: Room,
): Promise<string[]> {
  let enabled = await enabledClouds(ctx, room);
  const missing =
    () => [...new Set(wishes.clouds.filter((name) => name !== null && !enabled.includes(name)))];
  if (missing().length > 0) {
    await checkClouds(missing().filter((name) => name !== null), ctx, room);
    enabled = await enabledClouds(ctx, room);
  }
  if (enabled.length === 0) {
    throw new SkyError("no_infra_enabled", "Cloud access is not set up. Run: sky check");
  }
  const still = missing();
  if (still.length > 0 && wishes.clouds.every((name) => still.includes(name))) {
    throw new SkyError("resources_unavailable", notEnabledText(wishes.taskName, still));
  }
  return enabled;
}

function notEnabledText(taskName: string | null, clouds: readonly (string | null)[]): string {
  const names = clouds.filter((name) => name !== null);
  return `Task '${taskName ?? "sky-cmd"}' requires ${names.join(", ")} which is not enabled. ` +
    `To enable access, change the task cloud requirement or run: sky check ${names.join(" ")}`;
}

async function rememberedPlaces(workspace: string, room: Room): Promise<Record<string, readonly string[]>> {
  return await room.settings.get<Record<string, readonly string[]>>(placesKeyOf(workspace)) ?? {};
}

function placesKeyOf(workspace: string): string {
  return `enabled_places:${workspace}`;
}

function keyOf(workspace: string): string {
  return `enabled_clouds:${workspace}`;
}
