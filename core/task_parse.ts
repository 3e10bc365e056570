/**
 * One task from plain data (domain.md §1.1 to §1.11): schema, variables, substitution, sections. Documents, DAGs and
 * writing back are task_yaml.ts's. Pure.
 */
import { dockerLogin, mergeVars, substitute, type VarInputs } from "./envs.ts";
import { SkyError } from "./errors.ts";
import { pyRepr, pyStr, shortRepr } from "./format.ts";
import { checkFileMounts } from "./mounts.ts";
import { anyResources, newResources } from "./resources.ts";
import { checkResources, parseResources } from "./resources_parse.ts";
import * as schema from "./schema.ts";
import { isMap, type Plain, withoutNulls } from "./plain.ts";
import { check } from "./schema_words.ts";
import type { GitWorkdir, Task } from "./task.ts";

export interface ParseOptions extends VarInputs {
  /** Told about what is accepted but probably not meant. */
  readonly warn?: (message: string) => void;
}

const TASK_NAME = /^[a-zA-Z0-9]+(?:[._-]{1,2}[a-zA-Z0-9]+)*$/;
const PREFIX = "Invalid task YAML: ";

const EMPTY: Task = {
  name: null,
  workdir: null,
  numNodes: 1,
  resources: anyResources(),
  envs: {},
  secrets: {},
  secretRefs: [],
  setup: null,
  run: null,
  fileMounts: {},
  fileMountsMapping: null,
  sections: {},
  userYaml: null,
};

/** A task that asks for the given things only; for programs. The fields are not checked: see `checkTask`. */
export function newTask(fields: Partial<Task> = {}): Task {
  return { ...EMPTY, ...fields };
}

/** An inline command as a task; empty text means no run section. Throws invalid_argument for bad variable names. */
export function taskFromCommand(command: string, options: VarInputs & { name?: string } = {}): Task {
  const { name = "sky-cmd", ...inputs } = options;
  checkTaskName(name);
  return newTask({
    name,
    run: command === "" ? null : command,
    ...mergeVars({ envs: {}, secrets: {} }, inputs),
  });
}

/** Throws invalid_argument unless the name is letters and digits joined by one or two of `.`, `_`, `-`. */
export function checkTaskName(name: string): void {
  if (TASK_NAME.test(name)) return;
  throw new SkyError(
    "invalid_argument",
    `Invalid task name ${shortRepr(name)}. Use letters and digits, joined by at most two of ".", "_" or "-".`,
  );
}

/** Throws invalid_argument. */
export function checkNumNodes(count: number): number {
  if (Number.isInteger(count) && count >= 1) return count;
  throw new SkyError("invalid_argument", `num_nodes should be a positive int. Got: ${count}`);
}

/**
 * One task from a parsed document. `source` is its text. Throws invalid_task for a wrong shape, invalid_argument for
 * wrong values.
 */
export function parseTask(document: unknown, options: ParseOptions & { source?: string } = {}): Task {
  const config = taskMap(document);
  const yaml = check(schema.Task, config, { prefix: PREFIX });
  const { inline, refs } = splitSecrets(yaml.secrets ?? {});
  const vars = mergeVars({ envs: yaml.envs ?? {}, secrets: inline }, options);
  // Secrets win where both have a name.
  const fill = <T>(section: T): T => substitute(section, { ...vars.envs, ...vars.secrets });
  const task: Task = {
    ...EMPTY,
    ...vars,
    secretRefs: refs,
    name: yaml.name ?? null,
    workdir: workdirOf(fill(yaml.workdir)),
    numNodes: checkNumNodes(yaml.num_nodes ?? 1),
    resources: parseResources(yaml.resources),
    setup: yaml.setup ?? null,
    run: yaml.run ?? null,
    fileMounts: (fill(yaml.file_mounts) ?? {}) as Task["fileMounts"],
    fileMountsMapping: yaml.file_mounts_mapping ?? null,
    sections: sectionsOf(yaml, { fill, warn: options.warn }),
    userYaml: yaml._user_specified_yaml ?? options.source ?? null,
  };
  if (task.name !== null) checkTaskName(task.name);
  checkFileMounts(task);
  const login = dockerLogin(task);
  if (login !== null && !task.resources.candidates.some((wish) => usesDocker(wish.imageId))) {
    options.warn?.("Docker login variables are ignored: no docker image is given in `image_id`.");
  }
  return task;
}

/** The checks that wait until command-line overrides are in. Throws invalid_argument. */
export function checkTask(task: Task): void {
  if (task.name !== null) checkTaskName(task.name);
  checkNumNodes(task.numNodes);
  checkFileMounts(task);
  dockerLogin(task);
  checkResources(task.resources);
}

function usesDocker(image: ReturnType<typeof newResources>["imageId"]): boolean {
  if (image === null) return false;
  return typeof image === "string" ? image.startsWith("docker:") : Object.hasOwn(image, "docker");
}

function taskMap(document: unknown): Record<string, unknown> {
  if (document === null || document === undefined) return {};
  if (!isMap(document)) {
    const type = Array.isArray(document) ? "list" : typeof document === "string" ? "str" : typeof document;
    throw new SkyError(
      "invalid_argument",
      `YAML loaded as ${type}, not as dict. Is it correct? Content: ${shortRepr(document, 80)}`,
    );
  }
  const config = withoutNulls(document);
  const { secrets } = config;
  if (secrets !== undefined && typeof secrets !== "object") {
    // The usual message would show the value.
    const path = "Check problematic field(s): $.secrets";
    throw new SkyError("invalid_task", `${PREFIX}'<redacted>' is not of type 'dict'. ${path}`);
  }
  for (const section of ["envs", "secrets"]) {
    const vars = config[section];
    if (isMap(vars)) config[section] = textMap(vars);
  }
  return config;
}

/** Numbers and booleans of a program become text as in YAML. */
function textMap(vars: Plain): Plain {
  return Object.fromEntries(
    Object.entries(vars).map(([name, value]) => [name, value === null ? null : pyStr(value)]),
  );
}

const REFERENCE = /^secrets:(?:(?:personal|workspace|global)\.)?[a-zA-Z_][a-zA-Z0-9_]*$/;

function splitSecrets(secrets: NonNullable<schema.TaskYaml["secrets"]>): {
  inline: Record<string, string | null>;
  refs: string[];
} {
  if (Array.isArray(secrets)) return { inline: {}, refs: secrets.map(reference) };
  const entries = Object.entries(secrets);
  const isRef = ([name]: [string, unknown]) => name.startsWith("secrets:");
  for (const [name, value] of entries.filter(isRef)) {
    reference(name);
    if (value !== null) {
      throw new SkyError("invalid_argument", `Secret reference ${pyRepr(name)} must not have a value.`);
    }
  }
  return {
    inline: Object.fromEntries(entries.filter((entry) => !isRef(entry))),
    refs: entries.filter(isRef).map(([name]) => name),
  };
}

function reference(text: string): string {
  if (REFERENCE.test(text)) return text;
  throw new SkyError(
    "invalid_argument",
    `Invalid secret in array form: ${
      shortRepr(text.replace(/=.*/s, "=<redacted>"))
    }. Use "secrets:NAME", where NAME may begin with ` +
      `"personal.", "workspace." or "global.".`,
  );
}

function workdirOf(workdir: schema.TaskYaml["workdir"]): string | GitWorkdir | null {
  if (workdir === undefined) return null;
  if (typeof workdir === "string") return workdir === "" ? null : workdir;
  return { url: workdir.url, ref: workdir.ref ?? null };
}

/** Sections that later rooms read, in dump order. */
const SECTIONS = [
  "service",
  "pool",
  "inputs",
  "outputs",
  "event_callback",
  "managed_secrets",
  "volumes",
  "volume_mounts",
  "_metadata",
] as const;

interface SectionTools {
  readonly fill: <T>(section: T) => T;
  readonly warn: ((message: string) => void) | undefined;
}

function sectionsOf(yaml: schema.TaskYaml, { fill, warn }: SectionTools): Record<string, unknown> {
  if (yaml.service !== undefined && yaml.pool !== undefined) {
    throw new SkyError("invalid_argument", "Cannot set both service and pool in the same task.");
  }
  const volumes = Object.keys(yaml.volumes ?? {}).length > 0 ? fill(yaml.volumes) : undefined;
  const filled: schema.TaskYaml = { ...yaml, service: fill(yaml.service), volumes };
  if (filled.service !== undefined) {
    check(schema.Service, withoutNulls(filled.service), { prefix: "Invalid service YAML: " });
  }
  if (filled.pool !== undefined) {
    check(schema.Pool, withoutNulls(filled.pool), { prefix: "Invalid pool YAML: " });
  }
  checkVolumes(filled.volumes ?? {});
  const config = configOf(yaml, warn);
  return withoutNulls({
    ...(config === undefined ? {} : { config }),
    ...Object.fromEntries(SECTIONS.map((name) => [name, filled[name]])),
    ...(yaml.api_server_access === false ? { api_server_access: false } : {}),
  });
}

function checkVolumes(volumes: NonNullable<schema.TaskYaml["volumes"]>): void {
  for (const [path, volume] of Object.entries(volumes)) {
    if (!/^[/~]/.test(path)) {
      throw new SkyError(
        "invalid_argument",
        `Volume mount path must start with "/" or "~". Found: ${pyRepr(path)}`,
      );
    }
    if (typeof volume !== "string" && volume.name === undefined && volume.size === undefined) {
      throw new SkyError("invalid_argument", `Volume at ${pyRepr(path)} must have a name or a size.`);
    }
  }
}

/** `config` with the old `autostop.hook` as a lifecycle hook (§1.3.7). */
function configOf(yaml: schema.TaskYaml, warn: SectionTools["warn"]): Plain | undefined {
  const { any_of: anyOf, ordered, ...base } = yaml.resources ?? {};
  const places = [base, ...Array.isArray(anyOf) ? anyOf : [], ...Array.isArray(ordered) ? ordered : []];
  const autostop = places.map((place) => isMap(place) ? place["autostop"] : null).find((each) =>
    isMap(each) && typeof each["hook"] === "string"
  );
  if (!isMap(autostop)) return yaml.config;
  warn?.("`autostop.hook` is deprecated. Use `config.hooks` instead.");
  const timeout = typeof autostop["hook_timeout"] === "number" ? { timeout: autostop["hook_timeout"] } : {};
  const hook = { run: autostop["hook"], events: [autostop["down"] === true ? "down" : "stop"], ...timeout };
  return { ...yaml.config, hooks: [...yaml.config?.hooks ?? [], hook] };
}
