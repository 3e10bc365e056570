/** Which paths of a DAG are this machine's and must be uploaded to a remote server (wire.md §12.1). */
import { absolutePaths, localPaths } from "../core/mounts.ts";
import type { Dag, Task } from "../core/task.ts";

export interface MountOptions {
  /** `exec` uploads only workdirs. */
  readonly workdirOnly: boolean;
  /** The home that a leading `~` means, and where relative paths begin. */
  readonly home: string;
  readonly cwd: string;
}

/** Path as written → absolute path, for one task. */
export function uploadPaths(task: Task, options: MountOptions): Record<string, string> {
  const wanted: Task = options.workdirOnly ? { ...task, fileMounts: {}, sections: {} } : task;
  return Object.fromEntries(
    localPaths(wanted).map((path) => {
      const [absolute = path] = localPaths(
        absolutePaths({ ...wanted, workdir: path, fileMounts: {}, sections: {} }, options),
      );
      return [path, absolute];
    }),
  );
}

/** The DAG whose tasks name the uploaded files. */
export function withMapping(dag: Dag, mappings: readonly Record<string, string>[]): Dag {
  return {
    ...dag,
    tasks: dag.tasks.map((task, index) => ({ ...task, fileMountsMapping: mappings[index] ?? {} })),
  };
}
