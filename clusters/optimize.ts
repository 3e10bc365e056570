/**
 * The optimizer (domain.md §2): what could be launched for a task, and which of it. Leaves asking what exists to the
 * clouds, what is printed to plan_text.ts, trying it out to provision.ts.
 */
import type { Cloud } from "../clouds/cloud.ts";
import type { LaunchedResources } from "../core/cluster.ts";
import type { Context } from "../core/context.ts";
import { SkyError } from "../core/errors.ts";
import type { Resources } from "../core/resources.ts";
import type { Dag, Task } from "../core/task.ts";
import { cloudsFor, enabledFor } from "./infra.ts";
import { spinning } from "./lines.ts";
import { bestPlanLines, noMatchError, noMatchLines, planLines } from "./plan_text.ts";
import { cloudContext } from "./asker.ts";
import type { Room } from "./room.ts";

/** One thing that could be launched. `cost`: USD an hour for all nodes. */
export interface Candidate {
  readonly resources: LaunchedResources;
  readonly cost: number;
  readonly wish: Resources;
  /** Index of the wish among the task's candidates. */
  readonly position: number;
}

/** Types of one cloud that serve one wish; only the cheapest is a candidate. */
export interface Rivals {
  readonly cloud: string;
  readonly wish: Resources;
  readonly types: readonly string[];
}

/** Why a cloud has nothing for a wish. */
export interface Refusal {
  readonly cloud: string;
  readonly wish: Resources;
  readonly hint: string | null;
  readonly similar: readonly string[];
}

/** What must not be tried again: a candidate matches if every field that is not null is equal. */
export type Blocked =
  & Pick<LaunchedResources, "cloud">
  & { readonly [K in "region" | "zone" | "instanceType" | "accelerators"]: LaunchedResources[K] }
  & { readonly useSpot: boolean | null };

export interface Plan {
  readonly chosen: Candidate;
  /** In the order they were found: by wish, cloud, price. */
  readonly considered: readonly Candidate[];
  readonly rivals: readonly Rivals[];
}

export interface Survey {
  readonly candidates: readonly Candidate[];
  readonly rivals: readonly Rivals[];
  readonly refusals: readonly Refusal[];
  /** Enabled clouds that were looked through, registered order. */
  readonly clouds: readonly string[];
}

/** All that could be launched for a task. Throws no_infra_enabled, resources_unavailable (nothing enabled fits). */
export async function survey(
  task: Pick<Task, "name" | "resources" | "numNodes">,
  ctx: Context,
  room: Room,
): Promise<Survey> {
  const wishes = task.resources.candidates;
  const enabled = await enabledFor(
    { taskName: task.name, clouds: wishes.map((wish) => wish.cloud) },
    ctx,
    room,
  );
  const candidates: Candidate[] = [];
  const rivals: Rivals[] = [];
  const refusals: Refusal[] = [];
  const looked = new Set<string>();
  for (const [position, wish] of wishes.entries()) {
    for (const name of cloudsFor(wish.cloud, enabled)) {
      looked.add(name);
      const cloud = await room.clouds.load(name);
      const found = await offersOf(cloud, { wish, numNodes: task.numNodes }, ctx, room);
      if ("refusal" in found) {
        refusals.push(found.refusal);
        continue;
      }
      const [cheapest] = found.offers;
      const types = [...new Set(found.offers.flatMap((offer) => offer.instanceType ?? []))];
      rivals.push({ cloud: name, wish, types });
      for (const resources of found.offers) {
        if (resources.instanceType !== cheapest?.instanceType) continue;
        candidates.push({ resources, cost: resources.hourlyCost * task.numNodes, wish, position });
      }
    }
  }
  return { candidates, rivals, refusals, clouds: enabled.filter((name) => looked.has(name)) };
}

/** The best candidate that is not blocked, or null. Ties: the first found. */
export function choose(
  candidates: readonly Candidate[],
  options: { kind: "any_of" | "ordered"; blocked: readonly Blocked[] },
): Plan["chosen"] | null {
  let best: Candidate | null = null;
  for (const candidate of candidates) {
    if (isBlocked(candidate.resources, options.blocked)) continue;
    const later = best !== null && options.kind === "ordered" && candidate.position > best.position;
    if (best === null || (!later && candidate.cost < best.cost)) best = candidate;
  }
  return best;
}

export function isBlocked(resources: LaunchedResources, blocked: readonly Blocked[]): boolean {
  return blocked.some((entry) =>
    entry.cloud === resources.cloud &&
    (entry.region === null || entry.region === resources.region) &&
    (entry.zone === null || entry.zone === resources.zone) &&
    (entry.instanceType === null || entry.instanceType === resources.instanceType) &&
    (entry.accelerators === null ||
      JSON.stringify(entry.accelerators) === JSON.stringify(resources.accelerators)) &&
    (entry.useSpot === null || entry.useSpot === resources.useSpot)
  );
}

export interface OptimizeOptions {
  /** Print the table of what was considered. */
  readonly quiet: boolean;
  readonly blocked?: readonly Blocked[];
}

/**
 * Plan one task and print it; null when everything is blocked. Throws resources_unavailable, having printed why,
 * when nothing fits at all.
 */
export async function planTask(
  task: Task,
  options: OptimizeOptions,
  ctx: Context,
  room: Room,
): Promise<Plan | null> {
  ctx.log.status(spinning("Optimizing"));
  const found = await survey(task, ctx, room);
  ctx.log.status(null);
  if (found.candidates.length === 0) {
    for (const line of noMatchLines(task, found)) ctx.log.line(line);
    throw noMatchError(task, found);
  }
  const blocked = options.blocked ?? [];
  const chosen = choose(found.candidates, { kind: task.resources.kind, blocked });
  if (chosen === null) return null;
  const considered = found.candidates.filter(({ resources }) => !isBlocked(resources, blocked));
  const plan: Plan = { chosen, considered, rivals: found.rivals };
  if (!options.quiet) {
    for (const line of planLines(task, plan, { title: "" })) ctx.log.line(line);
  }
  return plan;
}

/** The `optimize` verb: plan every task of a DAG and print the plan. */
export async function optimize(dag: Dag, ctx: Context, room: Room): Promise<Plan[]> {
  const several = dag.tasks.length > 1;
  const plans: Plan[] = [];
  for (const task of dag.tasks) {
    const plan = await planTask(task, { quiet: several }, ctx, room);
    if (plan === null) throw new SkyError("internal", "Nothing was blocked, yet everything was");
    plans.push(plan);
  }
  if (!several) return plans;
  for (const line of bestPlanLines(dag.tasks, plans)) ctx.log.line(line);
  for (const [i, task] of dag.tasks.entries()) {
    const plan = plans[i];
    if (plan === undefined) continue;
    ctx.log.line("");
    for (const line of planLines(task, plan, { title: ` for task '${task.name ?? `task-${i}`}'` })) {
      ctx.log.line(line);
    }
  }
  return plans;
}

type Found = { readonly offers: readonly LaunchedResources[] } | { readonly refusal: Refusal };

async function offersOf(
  cloud: Cloud,
  wanted: { wish: Resources; numNodes: number },
  ctx: Context,
  room: Room,
): Promise<Found> {
  const { wish, numNodes } = wanted;
  const lacks = missingFeature(cloud, wanted);
  const refuse = (hint: string | null, similar: readonly string[] = []): Found => ({
    refusal: { cloud: cloud.name, wish, hint, similar },
  });
  if (lacks !== null) return refuse(lacks);
  const answer = await cloud.offers(wish, numNodes, cloudContext(cloud, ctx, room));
  if (!Array.isArray(answer)) {
    const none = answer as Exclude<typeof answer, readonly unknown[]>;
    return refuse(none.hint, none.similar);
  }
  const all = (answer as readonly { resources: LaunchedResources }[]).map((offer) => offer.resources);
  const cap = wish.maxHourlyCost;
  const offers = all.filter((offer) => cap === null || offer.hourlyCost <= cap);
  return offers.length > 0 ? { offers } : refuse(`nothing there costs $${cap} an hour or less`);
}

function missingFeature(cloud: Cloud, wanted: { wish: Resources; numNodes: number }): string | null {
  const { wish, numNodes } = wanted;
  const { capabilities } = cloud;
  if (wish.useSpot === true && !capabilities.spot) return "it has no spot instances";
  if (numNodes > 1 && !capabilities.multiNode) return "it runs single nodes only";
  if (wish.imageId !== null && !capabilities.images) return "it runs no images";
  if ((wish.ports?.length ?? 0) > 0 && !capabilities.ports) return "it opens no ports";
  return null;
}
