/** Command-line flags over a task (cli.md §2.2, §2.3): a flag that was not given leaves the task alone. Pure. */
import { parseAccelerators, tpuDefaults } from "./accelerators.ts";
import { parseWaitFor } from "./autostop.ts";
import { canonicalCloud } from "./cloud_names.ts";
import { mergeConfig, type SkyConfig } from "./config.ts";
import { SkyError } from "./errors.ts";
import { pyRepr } from "./format.ts";
import { parseInfra } from "./infra.ts";
import { parsePorts } from "./ports.ts";
import type { AutostopWish, Resources, ResourcesChoice } from "./resources.ts";
import * as schema from "./schema.ts";
import { isMap } from "./plain.ts";
import { fieldSchemas } from "./schema_words.ts";
import { parseCpus, parseDiskSize, parseLocalDisk, parseMemory } from "./sizes.ts";
import type { Dag, GitWorkdir, Task } from "./task.ts";
import { checkNumNodes, checkTask } from "./task_parse.ts";

/** Values as typed. `none` (any case) makes a resource field unspecified, `*` too for cloud, region and zone. */
export interface ResourceOverrides {
  readonly infra?: string;
  readonly cloud?: string;
  readonly region?: string;
  readonly zone?: string;
  readonly gpus?: string;
  readonly cpus?: string | number;
  readonly memory?: string | number;
  readonly instanceType?: string;
  readonly diskSize?: string | number;
  readonly diskTier?: string;
  readonly networkTier?: string;
  readonly localDisk?: string;
  readonly useSpot?: boolean;
  readonly imageId?: string;
  readonly ports?: readonly string[];
  /** A number, the name of a priority class, or `none`. */
  readonly priority?: string | number;
  /** Minutes, negative cancels; `down`, `waitFor` as flags. */
  readonly autostop?: { readonly idleMinutes?: number; readonly down?: boolean; readonly waitFor?: string };
}

export interface TaskOverrides extends ResourceOverrides {
  readonly name?: string;
  readonly workdir?: string;
  readonly gitUrl?: string;
  readonly gitRef?: string;
  readonly numNodes?: number;
  /** `--config`: what of it a task may override goes over its `config` section. */
  readonly config?: SkyConfig;
}

/**
 * The task with the flags applied to each of its alternatives, checked as it will be launched. Throws usage for flags
 * that exclude each other, invalid_argument for bad values.
 */
export function applyOverrides(task: Task, overrides: TaskOverrides): Task {
  const { name = task.name, numNodes = task.numNodes } = overrides;
  const result: Task = {
    ...task,
    name,
    numNodes: checkNumNodes(numNodes),
    workdir: workdirOf(task, overrides),
    resources: overrideResources(task.resources, overrides),
    sections: configOf(task, overrides.config),
  };
  checkTask(result);
  return result;
}

/**
 * A DAG with the flags applied. Several tasks take only `--workdir`, `--git-*` and, for the DAG, `--name`; `warn` is
 * told what was ignored.
 */
export function applyDagOverrides(
  dag: Dag,
  overrides: TaskOverrides,
  options: { warn?: (message: string) => void } = {},
): Dag {
  const [only] = dag.tasks;
  if (only !== undefined && dag.tasks.length === 1 && dag.execution === "serial") {
    const task = applyOverrides(only, overrides);
    return { ...dag, name: task.name, tasks: [task] };
  }
  const { name = dag.name, workdir, gitUrl, gitRef, config: _config, ...rest } = overrides;
  const ignored = Object.entries(rest).filter(([, value]) => value !== undefined);
  if (ignored.length > 0) {
    const shown = pyRepr(Object.fromEntries(ignored.map(([key, value]) => [snakeCase(key), value])));
    const why = dag.execution === "parallel"
      ? "for JobGroup YAML"
      : ", since the yaml file contains multiple tasks";
    options.warn?.(`WARNING: override params ${shown} are ignored${why.startsWith(",") ? "" : " "}${why}.`);
  }
  const places = {
    ...(workdir === undefined ? {} : { workdir }),
    ...(gitUrl === undefined ? {} : { gitUrl }),
    ...(gitRef === undefined ? {} : { gitRef }),
  };
  const tasks = dag.tasks.map((task): Task => ({ ...task, workdir: workdirOf(task, places) }));
  tasks.forEach(checkTask);
  return { ...dag, name, tasks };
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function workdirOf(task: Task, { workdir, gitUrl, gitRef }: TaskOverrides): string | GitWorkdir | null {
  if (gitUrl !== undefined && workdir !== undefined) {
    throw new SkyError("usage", "Cannot specify both --git-url and --workdir");
  }
  const git = task.workdir !== null && typeof task.workdir === "object" ? task.workdir : null;
  const url = gitUrl ?? git?.url;
  if (url !== undefined) return { url, ref: gitRef ?? git?.ref ?? null };
  if (gitRef !== undefined) throw new SkyError("usage", "Cannot specify --git-ref without --git-url");
  return workdir ?? task.workdir;
}

function configOf(task: Task, config: SkyConfig | undefined): Task["sections"] {
  const allowed = overridable(config ?? {}, schema.ConfigOverrides);
  if (Object.keys(allowed).length === 0) return task.sections;
  const merged = mergeConfig((task.sections["config"] ?? {}) as SkyConfig, allowed);
  return { ...task.sections, config: merged };
}

/** What of a config a task may hold; the rest goes with the request. */
function overridable(config: SkyConfig, shape: unknown): SkyConfig {
  const known = fieldSchemas(shape);
  if (known === null) return config;
  const kept = Object.entries(config).flatMap(([key, value]): [string, unknown][] => {
    if (!Object.hasOwn(known, key)) return [];
    if (!isMap(value)) return [[key, value]];
    const inner = overridable(value, known[key]);
    return Object.keys(inner).length > 0 || Object.keys(value).length === 0 ? [[key, inner]] : [];
  });
  return Object.fromEntries(kept);
}

/** Each alternative with the given fields replaced. Throws invalid_argument. */
export function overrideResources(choice: ResourcesChoice, overrides: ResourceOverrides): ResourcesChoice {
  const fields = fieldsOf(overrides);
  const placed = choice.candidates.map((wish): Resources => {
    const cloud = fields.cloud === undefined ? wish.cloud : fields.cloud;
    const memory = overrides.memory === undefined ? {} : { memory: memoryOf(overrides.memory, cloud) };
    const autostop = overrides.autostop === undefined
      ? {}
      : { autostop: autostopOf(wish, overrides.autostop) };
    return { ...wish, ...fields, ...memory, ...autostop };
  });
  const gpus = overrides.gpus === undefined
    ? placed
    : placed.flatMap((wish) => withGpus(wish, overrides.gpus ?? ""));
  const distinct = [...new Map(gpus.map((wish) => [JSON.stringify(wish), wish])).values()];
  return { kind: choice.kind, candidates: distinct };
}

function unset<T>(value: string | undefined, parse: (text: string) => T): T | null | undefined {
  if (value === undefined) return undefined;
  return value.toLowerCase() === "none" ? null : parse(value);
}

function place(
  value: string | undefined,
  parse: (text: string) => string = String,
): string | null | undefined {
  return unset(value === "*" ? "none" : value, parse);
}

function fieldsOf(given: ResourceOverrides): Partial<Resources> {
  const { infra, cloud, region, zone } = given;
  if (infra !== undefined && (cloud !== undefined || region !== undefined || zone !== undefined)) {
    throw new SkyError("invalid_argument", "Cannot specify both --infra and --cloud, --region, or --zone.");
  }
  const where = infra === undefined
    ? { cloud: place(cloud, canonicalCloud), region: place(region), zone: place(zone) }
    : parseInfra(infra.toLowerCase() === "none" ? null : infra);
  const changes = {
    ...where,
    cpus: unset(text(given.cpus), parseCpus),
    instanceType: unset(given.instanceType, String),
    diskSize: given.diskSize === undefined ? undefined : parseDiskSize(given.diskSize),
    diskTier: unset(given.diskTier, (tier) => oneOf(tier, { field: "disk_tier", words: DISK_TIERS })),
    networkTier: unset(
      given.networkTier,
      (tier) => oneOf(tier, { field: "network_tier", words: NETWORK_TIERS }),
    ),
    localDisk: unset(given.localDisk, parseLocalDisk),
    useSpot: given.useSpot,
    imageId: unset(given.imageId, String),
    ports: portsOf(given.ports),
    ...priorityOf(text(given.priority)),
  };
  return Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
}

function text(value: string | number | undefined): string | undefined {
  return value === undefined ? undefined : String(value);
}

const DISK_TIERS = ["low", "medium", "high", "ultra", "best"];
const NETWORK_TIERS = ["standard", "best"];

function oneOf(value: string, { field, words }: { field: string; words: readonly string[] }): string {
  const word = value.toLowerCase();
  if (words.includes(word)) return word;
  throw new SkyError(
    "invalid_argument",
    `Invalid ${field} ${pyRepr(value)}. Valid values: ${words.join(", ")}.`,
  );
}

function memoryOf(value: string | number, cloud: string | null): string | null {
  return unset(String(value), (text) => parseMemory(text, { allowZero: cloud === "slurm" })) ?? null;
}

function portsOf(values: readonly string[] | undefined): string[] | null | undefined {
  if (values === undefined || values.length === 0) return undefined;
  if (!values.some((value) => value.toLowerCase() === "none")) return parsePorts(values);
  if (values.length > 1) {
    throw new SkyError("invalid_argument", 'Cannot specify both "none" and other ports.');
  }
  return null;
}

function priorityOf(value: string | undefined): Partial<Resources> {
  if (value === undefined) return {};
  if (value.toLowerCase() === "none") return { priority: null, priorityClass: null };
  if (!/^[-+]?\d+$/.test(value)) return { priority: null, priorityClass: value };
  const priority = Number(value);
  if (priority >= -1000 && priority <= 1000) return { priority, priorityClass: null };
  throw new SkyError("invalid_argument", `Priority must be between -1000 and 1000. Found: ${value}`);
}

function withGpus(wish: Resources, gpus: string): Resources[] {
  const bare = { ...wish, accelerators: null, acceleratorArgs: null };
  if (gpus.toLowerCase() === "none") return [bare];
  return parseAccelerators(gpus, wish.cloud).wishes.map(({ name, count, implied }): Resources => {
    const tpu = tpuDefaults(name, wish.acceleratorArgs ?? {});
    return {
      ...bare,
      cloud: wish.cloud ?? tpu?.cloud ?? null,
      accelerators: { [name]: count },
      acceleratorArgs: tpu === null ? null : { runtime_version: tpu.runtimeVersion, ...wish.acceleratorArgs },
      other: implied ? { ...wish.other, _no_missing_accel_warnings: true } : wish.other,
    };
  });
}

function autostopOf(wish: Resources, flags: NonNullable<ResourceOverrides["autostop"]>): AutostopWish {
  const { idleMinutes = wish.autostop?.idleMinutes ?? 0, down = wish.autostop?.down ?? false, waitFor } =
    flags;
  const enabled = idleMinutes >= 0;
  return {
    enabled,
    idleMinutes: Math.max(0, idleMinutes),
    down,
    waitFor: waitFor === undefined ? wish.autostop?.waitFor ?? null : parseWaitFor(waitFor),
  };
}
