/**
 * From words and flags to a checked task (cli.md §2): the entrypoint, variables, overrides, local files. What flags
 * mean for a task is core/overrides.ts's. The YAML parser is loaded only when a task is made.
 */
import { resolve } from "@std/path";
import { SkyError } from "../core/errors.ts";
import { userHome } from "../core/paths.ts";
import { pyRepr } from "../core/format.ts";
import type { VarInputs } from "../core/envs.ts";
import type { TaskOverrides } from "../core/overrides.ts";
import type { Dag, Task } from "../core/task.ts";
import type { Input, Io } from "./command.ts";
import { type Entrypoint, readEntrypoint } from "./entrypoint.ts";
import { commitOf } from "./git_commit.ts";
import { usage } from "./parse.ts";

type Verb = "launch" | "exec";

/**
 * The one task that `launch` and `exec` take, with every flag applied and local paths absolute. Prints the "to run"
 * line. Throws usage for flags and pipelines, invalid_task and invalid_argument for the task, aborted for a declined
 * question.
 */
export async function taskFromInput(
  io: Io,
  input: Input,
  { verb, entrypoint }: { verb: Verb; entrypoint: readonly string[] },
): Promise<Dag> {
  const { out } = io;
  const { applyDagOverrides, overrideResources } = await import("../core/overrides.ts");
  const warn = (message: string) => out.line(out.style.yellow(message));
  const vars = await readVariables(io, input);
  await checkWorkdirFlag(io, input);
  const overrides = overridesOf(input);
  // A bad place is told before anything is read.
  const { infra, cloud, region, zone } = overrides;
  overrideResources({ kind: "any_of", candidates: [] }, pick({ infra, cloud, region, zone }));
  if ([cloud, region, zone].some((one) => one !== undefined)) {
    warn("The --cloud, --region, and --zone options are deprecated. Use --infra instead.");
  }

  const dag = await readDag(await readEntrypoint(io, entrypoint), { vars, warn });
  if (dag.execution === "parallel") out.line(out.style.cyan("Detected JobGroup YAML"));
  checkSingle(dag, verb);
  if (verb === "launch") sayIgnoredSections(io, dag);
  const given = verb === "launch"
    ? { ...overrides, ...autostopOf(input, dag) }
    : withoutIgnored(overrides, warn);
  const applied = applyDagOverrides(dag, given, { warn });
  const tasks = await Promise.all(applied.tasks.map((task) => atHome(io, task, verb)));
  return { ...applied, tasks };
}

/** The text that goes to the server. Holds secrets. */
export async function wireDag(dag: Dag): Promise<string> {
  const { dumpDag } = await import("../core/task_yaml.ts");
  return dumpDag(dag);
}

async function readDag(
  found: Entrypoint,
  { vars, warn }: { vars: VarInputs; warn: (message: string) => void },
): Promise<Dag> {
  const { parseDag, taskFromCommand } = await import("../core/task_yaml.ts");
  if (found.kind === "yaml") return parseDag(found.text, { ...vars, path: found.path, warn });
  const task = taskFromCommand(found.kind === "command" ? found.command : "", vars);
  return { name: task.name, execution: "serial", tasks: [task] };
}

function checkSingle(dag: Dag, verb: Verb): void {
  if (dag.execution === "serial" && dag.tasks.length === 1) return;
  throw usage(
    verb === "launch"
      ? "YAML specifies a DAG which is only supported by `sky jobs launch`. `sky launch` supports a single task only."
      : "YAML specifies a DAG, while `sky exec` supports a single task only.",
  );
}

function sayIgnoredSections(io: Io, dag: Dag): void {
  const { line, style } = { line: (text: string) => io.out.line(text), style: io.out.style };
  const sections = dag.tasks[0]?.sections ?? {};
  if (sections["service"] !== undefined) {
    line(style.yellow("Service section will be ignored when using `sky launch`. "));
    line(style.yellow("To spin up a service, use SkyServe CLI: ") + style.bold("sky serve up"));
  }
  if (sections["pool"] !== undefined) {
    line(style.yellow("Pool section will be ignored when using `sky launch`. "));
    line(style.yellow("To spin up a pool, use SkyPilot CLI: ") + style.bold("sky jobs pool apply"));
  }
}

/** `--env`, `--secret` and their files, unmerged: the YAML says which of them are secrets. */
async function readVariables(io: Io, input: Input): Promise<VarInputs> {
  const { parseDotenv, parseEnvFlags } = await import("../core/envs.ts");
  const file = async (option: string) => {
    const path = input.text(option);
    if (path === undefined) return undefined;
    try {
      return parseDotenv(await Deno.readTextFile(resolve(io.cwd, path)), io.env);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.IsADirectory)) throw error;
      throw usage(
        `Dotenv file does not exist: ${path}. Provide a path to an existing file, or remove the flag.`,
      );
    }
  };
  return pick({
    envs: parseEnvFlags(input.texts("env"), io.env),
    envFile: await file("env-file"),
    secrets: parseEnvFlags(input.texts("secret"), io.env),
    secretFile: await file("secret-file"),
  });
}

async function checkWorkdirFlag(io: Io, input: Input): Promise<void> {
  const path = input.text("workdir");
  if (path === undefined) return;
  const kind = await kindOf(fullPath(io, path));
  if (kind === "directory") return;
  const reason = kind === "file" ? "is a file" : "does not exist";
  throw usage(`Invalid value for '--workdir': Directory '${path}' ${reason}.`);
}

function overridesOf(input: Input): TaskOverrides {
  const declared = (name: string) => input.has(name) ? input.text(name) : undefined;
  const ports = input.texts("ports");
  return pick({
    name: declared("name"),
    workdir: declared("workdir"),
    gitUrl: declared("git-url"),
    gitRef: declared("git-ref"),
    numNodes: input.int("num-nodes"),
    infra: declared("infra"),
    cloud: declared("cloud"),
    region: declared("region"),
    zone: declared("zone"),
    gpus: declared("gpus"),
    cpus: declared("cpus"),
    memory: declared("memory"),
    instanceType: declared("instance-type"),
    diskSize: input.int("disk-size"),
    diskTier: declared("disk-tier"),
    networkTier: declared("network-tier"),
    localDisk: declared("local-disk"),
    useSpot: input.pair("use-spot"),
    imageId: declared("image-id"),
    ports: ports.length > 0 ? ports : undefined,
    priority: declared("priority"),
  });
}

/** `-i`, `--down`, `--wait-for`. The last alone only bends what the YAML has set. */
function autostopOf(input: Input, dag: Dag): Pick<TaskOverrides, "autostop"> {
  const idleMinutes = input.int("idle-minutes-to-autostop");
  const down = input.flag("down") ? true : undefined;
  const waitFor = input.text("wait-for");
  const set = dag.tasks.some((task) =>
    task.resources.candidates.some((wish) => wish.autostop?.enabled === true)
  );
  if (idleMinutes === undefined && down === undefined && (waitFor === undefined || !set)) return {};
  return { autostop: pick({ idleMinutes, down, waitFor }) };
}

/** What a job on an existing cluster cannot ask for (cli.md §3.2), as it is named in the warning. */
const IGNORED_BY_EXEC = {
  cpus: "cpus",
  memory: "memory",
  diskSize: "disk_size",
  diskTier: "disk_tier",
  localDisk: "local_disk",
  ports: "ports",
} as const;

function withoutIgnored(overrides: TaskOverrides, warn: (message: string) => void): TaskOverrides {
  const rest = Object.entries(overrides).filter(([key, value]) => {
    if (!Object.hasOwn(IGNORED_BY_EXEC, key)) return true;
    const shown = typeof value === "string" ? value : pyRepr(value);
    warn(`Override param ${IGNORED_BY_EXEC[key as keyof typeof IGNORED_BY_EXEC]}=${shown} is ignored.`);
    return false;
  });
  return Object.fromEntries(rest);
}

/** The task with absolute local paths, each of them there, and the commit of its workdir. */
async function atHome(io: Io, task: Task, verb: Verb): Promise<Task> {
  const { absolutePaths, localPaths } = await import("../core/task_yaml.ts");
  const { workdir } = task;
  if (typeof workdir === "string" && await kindOf(fullPath(io, workdir)) !== "directory") {
    const reason = "Workdir must be a valid directory (or a symlink to a directory).";
    throw new SkyError("invalid_argument", `${reason} ${workdir} not found.`);
  }
  // exec syncs no file mounts, so they need not be there.
  for (const path of verb === "exec" ? [] : localPaths(task)) {
    if (path === workdir || await kindOf(fullPath(io, path)) !== null) continue;
    const fix = "To fix: check if it exists, and correct the path.";
    throw new SkyError("invalid_argument", `File mount source '${path}' does not exist locally. ${fix}`);
  }
  const absolute = absolutePaths(task, { cwd: io.cwd, home: userHome(io.env) });
  if (typeof absolute.workdir !== "string") return absolute;
  const commit = await commitOf(absolute.workdir);
  if (commit === null) return absolute;
  const metadata = { ...absolute.sections["_metadata"] as Record<string, unknown>, git_commit: commit };
  return { ...absolute, sections: { ...absolute.sections, _metadata: metadata } };
}

function fullPath(io: Io, path: string): string {
  return resolve(io.cwd, path.replace(/^~(?=\/|$)/, userHome(io.env)));
}

async function kindOf(path: string): Promise<"directory" | "file" | null> {
  try {
    return (await Deno.stat(path)).isDirectory ? "directory" : "file";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    throw error;
  }
}

/** Without the undefined ones: what was not given must not count as given. */
function pick<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
