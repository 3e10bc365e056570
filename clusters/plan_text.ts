/** What the optimizer prints (domain.md §2.7, cli.md §3.1): the table, the best plan, why nothing fits. Pure. */
import { acceleratorTexts } from "../core/accelerators.ts";
import { bold, brightBlack, cyan, dim, green, yellow } from "../core/ansi.ts";
import { cloudDisplayName, hasVirtualTypes } from "../core/cloud_names.ts";
import type { LaunchedResources } from "../core/cluster.ts";
import { SkyError } from "../core/errors.ts";
import { amount, plural, pyRepr } from "../core/format.ts";
import { infraCell } from "../core/infra.ts";
import { reprResources, type Resources } from "../core/resources.ts";
import { borderedTable } from "../core/table.ts";
import type { Task } from "../core/task.ts";
import type { Candidate, Plan, Survey } from "./optimize.ts";

type Wanted = Pick<Task, "name" | "resources" | "numNodes">;

const CHOSEN = green("   ✔");

/** The block of one task. `title` comes after "Considered resources". */
export function planLines(task: Wanted, plan: Plan, options: { title: string }): string[] {
  const lines: string[] = [];
  if (task.resources.candidates.some((wish) => wish.useSpot === true)) {
    lines.push(yellow(
      "Launching a spot job that does not automatically recover from preemptions. To get automatic recovery, " +
        "use managed job instead: sky jobs launch or sky.jobs.launch().",
    ));
  }
  if (task.resources.kind === "ordered" && task.resources.candidates.length > 1) {
    const list = task.resources.candidates.map((wish) => reprResources(wish)).join(", ");
    lines.push(
      `${yellow("Using user-specified accelerators list ")}(will be tried in the listed order): ${list}`,
    );
  }
  lines.push(`Considered resources${options.title} (${plural(task.numNodes, "node")}):`);
  lines.push(...planTable(plan, { ordered: task.resources.kind === "ordered" }).split("\n"));
  lines.push(...rivalLines(plan));
  if (plan.chosen.resources.diskTier === "ultra") {
    lines.push(yellow("Using disk_tier=ultra can cost more than the machine itself."));
  }
  return lines;
}

/** One row per cloud, accelerators and spot (where types are virtual, per place too). */
export function planTable(plan: Plan, options: { ordered: boolean }): string {
  const groups = new Map<string, Candidate>();
  for (const candidate of plan.considered) {
    const key = groupOf(candidate, options);
    const shown = groups.get(key);
    const better = shown === undefined || candidate.cost < shown.cost;
    if (shown !== plan.chosen && (candidate === plan.chosen || better)) groups.set(key, candidate);
  }
  const rows = [...groups.values()].sort((a, b) =>
    (options.ordered ? a.position - b.position : 0) || a.cost - b.cost
  );
  return borderedTable(
    ["INFRA", "INSTANCE", "vCPUs", "Mem(GB)", "GPUS", "COST ($)", "CHOSEN"],
    rows.map((candidate) => [
      ...machineCells(candidate.resources),
      candidate.cost.toFixed(2),
      candidate === plan.chosen ? CHOSEN : "",
    ]),
  );
}

function groupOf({ resources, position }: Candidate, options: { ordered: boolean }): string {
  const place = hasVirtualTypes(resources.cloud) ? resources.region : null;
  return JSON.stringify([
    resources.cloud,
    resources.accelerators,
    resources.useSpot,
    place,
    options.ordered ? position : null,
  ]);
}

function machineCells(got: LaunchedResources): string[] {
  const spot = got.useSpot ? "[Spot]" : "";
  const type = hasVirtualTypes(got.cloud) ? spot : `${got.instanceType ?? ""}${spot}`;
  return [
    infraCell(got),
    type === "" ? "-" : type,
    got.cpus === null ? "-" : amount(got.cpus),
    got.memory === null ? "-" : amount(got.memory),
    acceleratorTexts(got.accelerators).join(", ") || "-",
  ];
}

/** `Best plan:` over several tasks. */
export function bestPlanLines(tasks: readonly Wanted[], plans: readonly Plan[]): string[] {
  const rows = tasks.flatMap((task, i) => {
    const plan = plans[i];
    if (plan === undefined) return [];
    return [[task.name ?? `task-${i}`, String(task.numNodes), ...machineCells(plan.chosen.resources)]];
  });
  const header = ["TASK", "#NODES", "INFRA", "INSTANCE", "vCPUs", "Mem(GB)", "GPUS"];
  return [bold("Best plan: "), ...borderedTable(header, rows).split("\n")];
}

function rivalLines(plan: Plan): string[] {
  const { resources, wish } = plan.chosen;
  const gpus = acceleratorTexts(resources.accelerators).join(", ");
  const types = plan.rivals.find((each) => each.cloud === resources.cloud && each.wish === wish)?.types ?? [];
  if (gpus === "" || types.length < 2 || hasVirtualTypes(resources.cloud)) return [];
  const [name = ""] = gpus.split(":");
  return [
    dim(
      `🔍 Multiple ${cloudDisplayName(resources.cloud)} instances satisfy ${gpus}. The cheapest ` +
        `(gpus=${gpus}, ${resources.instanceType}, ...) is considered among: ${types.join(", ")}.`,
    ),
    `To list more details, run: sky gpus list ${name}`,
    "",
  ];
}

/** Why nothing fits, wish by wish. */
export function noMatchLines(task: Wanted, found: Survey): string[] {
  const clouds = found.clouds.map(cloudDisplayName).join(", ");
  const virtualOnly = found.clouds.every(hasVirtualTypes);
  return task.resources.candidates.flatMap((wish) => {
    const refusals = found.refusals.filter((each) => each.wish === wish);
    const similar = similarOf(found, wish);
    const count = task.numNodes > 1 ? `${task.numNodes}x ` : "";
    return [
      `No resource satisfying ${count}${reprResources(wish)} on [${clouds}].`,
      ...(similar.length > 0
        ? [`Did you mean: ${cyan(pyRepr(similar))}`]
        : virtualOnly
        ? []
        : wishHints(wish)),
      ...refusals.flatMap(({ cloud, hint }) => hint === null ? [] : [`${cloudDisplayName(cloud)}: ${hint}`]),
    ];
  });
}

function wishHints(wish: Resources): string[] {
  const exact = (field: string | null) => field !== null && !/[+x]$/.test(field);
  const more = (what: string) =>
    brightBlack(
      `- Try specifying a different ${what}, or add "+" to the end of the ${what} to allow for larger instances.`,
    );
  return [
    ...(exact(wish.cpus) ? [more("CPU count")] : []),
    ...(exact(wish.memory) ? [more("memory size")] : []),
    ...(exact(wish.localDisk) ? [more("local disk size")] : []),
    ...(wish.maxHourlyCost === null ? [] : [brightBlack("- Try specifying a higher max_hourly_cost.")]),
  ];
}

/** The error after those lines. */
export function noMatchError(task: Wanted, found: Survey): SkyError {
  const wanted = task.resources.candidates.map((wish) => `${task.numNodes}x ${reprResources(wish)}`).join(
    ", ",
  );
  const similar = [...new Set(task.resources.candidates.flatMap((wish) => similarOf(found, wish)))].sort();
  const lines = [
    `${sourceName(found.clouds)} does not contain any instances satisfying the request: ${wanted}.`,
    "To fix: relax or change the resource requirements.",
    ...(similar.length > 0 ? [`Try one of these offered accelerators: ${cyan(pyRepr(similar))}`] : []),
    "",
    `Hint: ${bold("sky gpus list")} to list available accelerators.`,
    `      ${bold("sky check")} to check the enabled clouds.`,
    "Hint: Check Per Resource Hint",
    "      ",
  ];
  return new SkyError("resources_unavailable", lines.join("\n"), { details: { failoverHistory: [] } });
}

function similarOf(found: Survey, wish: Resources): string[] {
  return [...new Set(found.refusals.filter((each) => each.wish === wish).flatMap((each) => each.similar))]
    .sort();
}

function sourceName(clouds: readonly string[]): string {
  const catalog = clouds.some((name) => !hasVirtualTypes(name) || name === "local");
  if (catalog) return clouds.includes("kubernetes") ? "Catalog and kubernetes cluster" : "Catalog";
  return clouds.includes("kubernetes") ? "Kubernetes cluster" : "Node pool";
}
