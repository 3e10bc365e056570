/**
 * Task YAML: texts to DAGs and back (domain.md §1.6, §1.7, §1.13, wire.md §12.3). The door to everything about tasks as
 * text; one document is parsed by task_parse.ts, secrets are hidden by redact.ts, flags applied by overrides.ts. Pure.
 */
import { SkyError } from "./errors.ts";
import { pyRepr, shortRepr } from "./format.ts";
import { resourcesYaml } from "./resources_parse.ts";
import { isMap, type Plain, withoutNulls } from "./plain.ts";
import { parseSeconds } from "./sizes.ts";
import type { Dag, Task } from "./task.ts";
import { type ParseOptions, parseTask } from "./task_parse.ts";
import { dumpAll, parseDocuments, type YamlDocument, type YamlLimits } from "./yaml.ts";

export { absolutePaths, localPaths, mapLocalPaths } from "./mounts.ts";
export { applyDagOverrides, applyOverrides, type TaskOverrides } from "./overrides.ts";
export { redactTask, redactYaml } from "./redact.ts";
export { checkTask, newTask, type ParseOptions, parseTask, taskFromCommand } from "./task_parse.ts";
export { HURRIED, looksLikeYaml } from "./yaml.ts";

export interface DagOptions extends ParseOptions {
  /** The file's path, for error texts; an empty file is then refused instead of being an empty task. */
  readonly path?: string;
  /** How much of the text is read before giving up. */
  readonly limits?: YamlLimits;
}

/** More is a mistake, and takes long to check. */
const MAX_TASKS = 1000;

/**
 * A task file: one task, a pipeline or a job group. Given variables go to every task. Throws invalid_task (malformed
 * YAML, wrong shape) or invalid_argument (wrong values).
 */
export function parseDag(text: string, options: DagOptions = {}): Dag {
  const { path, limits } = options;
  const reading = { ...path === undefined ? {} : { name: path }, ...limits === undefined ? {} : { limits } };
  const documents = parseDocuments(text, { ...reading, asText: ["envs", "secrets"] })
    .filter(({ value }) => value !== null);
  if (path !== undefined && documents.every(({ value }) => isMap(value) && Object.keys(value).length === 0)) {
    throw new SkyError(
      "invalid_argument",
      `${
        pyRepr(path)
      } is empty or contains no task definition. Add at least a \`run:\` (or \`setup:\`) field.`,
    );
  }
  if (documents.length > MAX_TASKS + 1) {
    throw refuse(`A DAG has at most ${MAX_TASKS} tasks, but ${documents.length} documents were given.`);
  }
  const [first, ...rest] = documents;
  if (first === undefined) return chain(null, [parseTask({}, options)]);
  const header = first.value;
  if (isMap(header) && header["execution"] === "parallel") {
    return parseGroup(header, { documents: rest, options });
  }
  if (!isMap(header) || !isHeader(header)) return chain(null, tasksOf(documents, options));
  if (header["execution"] !== undefined && header["execution"] !== null && header["execution"] !== "serial") {
    throw new SkyError(
      "invalid_argument",
      `Invalid execution mode for pipeline: ${
        shortRepr(header["execution"])
      }. Use 'serial', or 'parallel' for a job group.`,
    );
  }
  const dagName = header["name"] ?? null;
  if (rest.length === 0) {
    return chain(null, [parseTask({ name: dagName }, { ...options, source: first.source })]);
  }
  if (dagName !== null) parseTask({ name: dagName });
  return chain(dagName as string | null, tasksOf(rest, options));
}

/** A header has a name and nothing but a name, or a name and an execution mode. */
function isHeader(document: Plain): boolean {
  return "name" in document && Object.keys(document).every((key) => key === "name" || key === "execution");
}

function tasksOf(documents: readonly YamlDocument[], options: DagOptions): Task[] {
  return documents.map(({ value, source }) => parseTask(value, { ...options, source }));
}

/** §1.7: one task and its DAG share a name, the DAG's first; unnamed tasks of several are numbered. */
function chain(name: string | null, tasks: readonly Task[]): Dag {
  const [only] = tasks;
  if (only !== undefined && tasks.length === 1) {
    const shared = name ?? only.name;
    return { name: shared, execution: "serial", tasks: [{ ...only, name: shared }] };
  }
  const named = tasks.map((task, i) =>
    task.name === null && name !== null ? { ...task, name: `${name}-${i}` } : task
  );
  return { name, execution: "serial", tasks: named };
}

const GROUP_FIELDS = ["name", "execution", "primary_tasks", "termination_delay"];
const GROUP_NAME = /^[a-zA-Z0-9_-]+$/;

function parseGroup(header: Plain, body: { documents: readonly YamlDocument[]; options: DagOptions }): Dag {
  const { documents, options } = body;
  if (documents.length === 0) {
    throw refuse("JobGroup YAML must have at least 2 documents: a header and one document per job.");
  }
  for (const field of Object.keys(header).filter((key) => !GROUP_FIELDS.includes(key))) {
    options.warn?.(`Unknown field ${pyRepr(field)} in the JobGroup header is ignored.`);
  }
  const name = groupName(header["name"], "JobGroup header");
  const tasks = tasksOf(documents, options);
  const seen = new Set<string>();
  for (const task of tasks) {
    const job = groupName(task.name, "Each job of a JobGroup");
    if (seen.has(job)) throw refuse(`Duplicate job name in JobGroup: ${job}`);
    seen.add(job);
  }
  const primaryTasks = primaryOf(header["primary_tasks"], seen);
  const terminationDelay = delayOf(header["termination_delay"], seen);
  return {
    name,
    execution: "parallel",
    tasks,
    ...(primaryTasks.length > 0 ? { primaryTasks } : {}),
    ...(terminationDelay === 0 ? {} : { terminationDelay }),
  };
}

function groupName(name: unknown, whose: string): string {
  if (typeof name === "string" && GROUP_NAME.test(name)) return name;
  throw refuse(`${whose} must have a name of letters, digits, "-" and "_". Got: ${shortRepr(name ?? null)}`);
}

function primaryOf(names: unknown, jobs: ReadonlySet<string>): string[] {
  if (names === undefined || names === null) return [];
  if (!Array.isArray(names)) {
    throw refuse(`primary_tasks must be a list of job names. Got: ${shortRepr(names)}`);
  }
  const unknown = names.filter((name) => !jobs.has(name));
  if (unknown.length === 0) return names;
  throw refuse(`primary_tasks references unknown job: ${unknown.map(String).join(", ")}`);
}

function delayOf(wish: unknown, jobs: ReadonlySet<string>): number | Record<string, number> {
  if (typeof wish === "number" || typeof wish === "string") return parseSeconds(wish);
  if (wish === undefined || wish === null) return 0;
  if (!isMap(wish)) {
    throw refuse(`termination_delay must be a time or a map of times. Got: ${shortRepr(wish)}`);
  }
  return Object.fromEntries(
    Object.entries(wish).map(([job, delay]): [string, number] => {
      if (job !== "default" && !jobs.has(job)) {
        throw refuse(`termination_delay references unknown job: ${job}`);
      }
      if (typeof delay !== "number" && typeof delay !== "string") {
        throw refuse(`Invalid time format: ${shortRepr(delay)}`);
      }
      return [job, parseSeconds(delay)];
    }),
  );
}

function refuse(message: string): SkyError {
  return new SkyError("invalid_argument", message);
}

/** The text that goes over the wire: a header and one document per task. Holds secrets in clear text. */
export function dumpDag(dag: Dag): string {
  const group = dag.execution === "serial" ? {} : withoutNulls({
    execution: "parallel",
    primary_tasks: dag.primaryTasks,
    termination_delay: dag.terminationDelay,
  });
  return dumpAll([{ name: dag.name, ...group }, ...dag.tasks.map(taskYaml)]);
}

/** One task as a single document. Holds secrets in clear text. */
export function dumpTask(task: Task): string {
  return dumpAll([taskYaml(task)]);
}

/** A task as a map in the order of §1.13. Holds secrets in clear text. */
export function taskYaml(task: Task): Record<string, unknown> {
  const { config, service, pool, inputs, outputs, volumes, ...sections } = task.sections;
  return withoutNulls({
    name: task.name,
    resources: resourcesYaml(task.resources),
    config,
    service,
    pool,
    num_nodes: task.numNodes,
    inputs,
    outputs,
    setup: task.setup,
    workdir: task.workdir !== null && typeof task.workdir === "object"
      ? withoutNulls({ ...task.workdir })
      : task.workdir,
    event_callback: sections["event_callback"],
    run: task.run,
    envs: Object.keys(task.envs).length > 0 ? task.envs : null,
    secrets: secretsYaml(task),
    managed_secrets: sections["managed_secrets"],
    file_mounts: task.fileMounts,
    file_mounts_mapping: task.fileMountsMapping,
    volumes: volumes ?? {},
    volume_mounts: sections["volume_mounts"],
    api_server_access: sections["api_server_access"],
    _metadata: sections["_metadata"],
    _user_specified_yaml: task.userYaml,
  });
}

/** References alone are a list; beside inline secrets they are keys without a value. */
function secretsYaml(task: Task): Plain | readonly string[] | null {
  const { secrets, secretRefs } = task;
  if (Object.keys(secrets).length === 0) return secretRefs.length > 0 ? secretRefs : null;
  return { ...secrets, ...Object.fromEntries(secretRefs.map((name) => [name, null])) };
}
