/** The task: what to run and what it needs (domain.md §1). Types here; parsing in task_yaml.ts. Pure. */
import type { ResourcesChoice } from "./resources.ts";

export interface GitWorkdir {
  readonly url: string;
  readonly ref: string | null;
}

export interface Task {
  readonly name: string | null;
  /** A directory path as written or made absolute, a git source, or none. */
  readonly workdir: string | GitWorkdir | null;
  readonly numNodes: number;
  readonly resources: ResourcesChoice;
  readonly envs: Readonly<Record<string, string>>;
  /** Inline secrets in clear text: redact wherever shown. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Names of server-kept secrets (`secrets:NAME` forms). */
  readonly secretRefs: readonly string[];
  readonly setup: string | null;
  readonly run: string | null;
  /** Destination → local path, cloud URI, or a storage map. */
  readonly fileMounts: Readonly<Record<string, string | Readonly<Record<string, unknown>>>>;
  /** Path as written → absolute client path, for uploaded files (wire.md §12.1). */
  readonly fileMountsMapping: Readonly<Record<string, string>> | null;
  /** Validated sections that later rooms read: service, pool, config, volumes, … snake_case as in YAML. */
  readonly sections: Readonly<Record<string, unknown>>;
  /** The user's YAML text as written; null for an inline command. Holds secrets. */
  readonly userYaml: string | null;
}

export interface Dag {
  readonly name: string | null;
  readonly execution: "serial" | "parallel";
  readonly tasks: readonly Task[];
  /** Job groups only: names of the jobs that the others end with; absent or empty means all. */
  readonly primaryTasks?: readonly string[];
  /** Job groups only: seconds to wait before the others are ended, one for all or per job name and `default`. */
  readonly terminationDelay?: number | Readonly<Record<string, number>>;
}
