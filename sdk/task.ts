/** Tasks and resources for programs: plain wishes in camelCase become checked tasks (core/ owns what they mean). */
import type { GitWorkdir, Task as CoreTask } from "../core/task.ts";
import { SkyError } from "../core/errors.ts";
import type { ResourcesChoice } from "../core/resources.ts";
import { parseResources } from "../core/resources_parse.ts";
import { parseTask } from "../core/task_yaml.ts";

/** What machines a task wants (SkyPilot's `sky.Resources`). Nothing given: anything. */
export interface ResourcesWish {
  /** `local`, `aws/us-east-1`, `kubernetes/context`, … */
  infra?: string;
  instanceType?: string;
  /** `4`, `"4+"`. */
  cpus?: number | string;
  /** GB: `16`, `"16+"`, `"4x"` (times the cpus). */
  memory?: number | string;
  /** `"H100:8"`, `{ H100: 8 }`, or a list of alternatives. */
  accelerators?: string | Record<string, number> | string[];
  acceleratorArgs?: Record<string, unknown>;
  useSpot?: boolean;
  jobRecovery?: string | Record<string, unknown>;
  /** GB. */
  diskSize?: number | string;
  diskTier?: string;
  networkTier?: string;
  localDisk?: string;
  ephemeralStorage?: number | string;
  /** USD. */
  maxHourlyCost?: number;
  ports?: number | string | (number | string)[];
  imageId?: string | Record<string, string>;
  labels?: Record<string, string>;
  autostop?: number | string | boolean | Record<string, unknown>;
  priority?: number;
  priorityClass?: string;
}

export type Resources = ResourcesChoice;

/** One wish, or several of which any will do. Throws invalid_task and invalid_argument like a task file. */
export function Resources(wish: ResourcesWish | readonly ResourcesWish[] = {}): Resources {
  return parseResources(isList(wish) ? { any_of: wish.map(snakeKeys) } : snakeKeys(wish));
}

function isList(wish: ResourcesWish | readonly ResourcesWish[]): wish is readonly ResourcesWish[] {
  return Array.isArray(wish);
}

/** What to run and what it needs (SkyPilot's `sky.Task`). */
export interface TaskWish {
  name?: string;
  /** Shell commands, once per node and cluster. */
  setup?: string;
  /** Shell commands, on every node. */
  run?: string;
  /** A directory of this machine, or a git repository. */
  workdir?: string | GitWorkdir;
  numNodes?: number;
  resources?: Resources | ResourcesWish;
  envs?: Record<string, string>;
  /** Hidden wherever the task is shown. */
  secrets?: Record<string, string>;
  /** Path on the nodes → local path, cloud URI, or a storage map as in YAML. */
  fileMounts?: Record<string, string | Record<string, unknown>>;
}

export type Task = CoreTask;

/** A checked task. Throws invalid_task and invalid_argument like a task file. */
export function Task(wish: TaskWish): Task {
  const { resources, numNodes, fileMounts, ...rest } = wish;
  const document = { ...rest, num_nodes: numNodes, file_mounts: fileMounts };
  const task = parseTask(withoutUndefined(document));
  if (resources === undefined) return task;
  return { ...task, resources: isChoice(resources) ? resources : Resources(resources) };
}

function isChoice(resources: Resources | ResourcesWish): resources is Resources {
  return "candidates" in resources;
}

function snakeKeys(wish: ResourcesWish): Record<string, unknown> {
  const entries = Object.entries(wish).map(([key, value]): [string, unknown] => {
    if (/[_\s]/.test(key)) throw new SkyError("invalid_argument", `Unknown resources field '${key}'`);
    return [key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value];
  });
  return withoutUndefined(Object.fromEntries(entries));
}

function withoutUndefined(map: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined));
}
