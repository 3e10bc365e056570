/**
 * Task text of a body → the task to launch: parsed, uploaded paths replaced by where the files lie (wire.md §12.3).
 * Checks nothing else; that is the verbs'.
 */
import type { Context } from "../../core/context.ts";
import { SkyError } from "../../core/errors.ts";
import type { Resources } from "../../core/resources.ts";
import type { Dag, Task } from "../../core/task.ts";
import { HURRIED, mapLocalPaths, parseDag } from "../../core/task_yaml.ts";
import { join } from "@std/path";
import type { StoredExtras } from "../submit.ts";
import type { World } from "./handler.ts";

/** The DAG of a text, within the server's limits. Throws invalid_task, invalid_argument. */
export function dagOf(text: string): Dag {
  const dag = parseDag(text, { limits: HURRIED });
  return { ...dag, tasks: dag.tasks.map(withLocalCloud) };
}

/** The one task of a launch or exec. Throws invalid_argument for several. */
export function taskOf(
  text: string,
  extras: StoredExtras,
  { ctx, world }: { ctx: Context; world: World },
): Task {
  const { tasks } = dagOf(text);
  const [task] = tasks;
  if (task === undefined || tasks.length > 1) {
    throw new SkyError(
      "invalid_argument",
      `A cluster runs one task at a time, but ${tasks.length} were given`,
      {
        hint: "sky jobs launch",
      },
    );
  }
  const mapping = task.fileMountsMapping;
  if (mapping === null || Object.keys(mapping).length === 0) return task;
  const base = world.blobs.base(ctx.user.id, extras.file_mounts_blob_id ?? null);
  return mapLocalPaths(task, (path) => {
    const uploaded = Object.hasOwn(mapping, path) ? mapping[path] : undefined;
    if (uploaded === undefined) {
      throw new SkyError(
        "invalid_argument",
        `'${path}' was not uploaded: it is missing in file_mounts_mapping`,
      );
    }
    return below(base, uploaded);
  });
}

/** The uploaded file, which no mapping may place outside of the upload. */
function below(base: string, path: string): string {
  const segments = path.split("/").filter((segment) => segment !== "" && segment !== ".");
  if (segments.includes("..")) {
    throw new SkyError("invalid_argument", `'${path}' in file_mounts_mapping is not an absolute path`);
  }
  return join(base, ...segments);
}

/** SkyPilot's clients name this machine `ssh/local`, as they are told (views.ts). */
function withLocalCloud(task: Task): Task {
  const candidates = task.resources.candidates.map((wish): Resources =>
    wish.cloud === "ssh" && wish.region === "ssh-local" ? { ...wish, cloud: "local", region: null } : wish
  );
  return { ...task, resources: { ...task.resources, candidates } };
}
