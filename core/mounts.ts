/**
 * Local paths of tasks (domain.md §1.8, §1.9, wire.md §12.1): workdir, file mounts, storage sources, TLS files. Joins
 * and replaces paths; whether they exist is the caller's question. Pure.
 */
import { join } from "@std/path";
import { SkyError } from "./errors.ts";
import { pyRepr } from "./format.ts";
import * as schema from "./schema.ts";
import { isMap, type Plain } from "./plain.ts";
import { check } from "./schema_words.ts";
import type { Task } from "./task.ts";

const WORKDIR_ON_NODE = "~/sky_workdir";
const CLOUD_URI =
  /^(?:(?:s3|gs|r2|cos|oci|nebius|cw|vastdata|hf):\/\/|https:\/\/[^/]+\.blob\.core\.windows\.net\/)/;

/** True for sources that nodes download themselves. */
export function isCloudUri(path: string): boolean {
  return CLOUD_URI.test(path);
}

/** Where a mount lies on a node: relative targets are below the workdir there. */
export function mountTarget(destination: string): string {
  return /^(?:\/|~\/|~$)/.test(destination)
    ? destination
    : `${WORKDIR_ON_NODE}/${destination.replace(/^\.\//, "")}`;
}

/** Throws invalid_argument or invalid_task. */
export function checkFileMounts(task: Pick<Task, "fileMounts" | "workdir">): void {
  for (const [target, source] of Object.entries(task.fileMounts)) {
    if (target.endsWith("/") || (typeof source === "string" && source.endsWith("/"))) {
      const shown = typeof source === "string" ? `${target}: ${source}` : target;
      throw refuse(`Mount paths cannot end with a slash Found: ${shown}`);
    }
    if (isCloudUri(target)) {
      throw refuse(`Mount path ${pyRepr(target)} must be a path on the cluster, not a cloud URI.`);
    }
    if (mountTarget(target) === WORKDIR_ON_NODE && task.workdir !== null) {
      throw refuse(`Cannot mount to ${WORKDIR_ON_NODE}: it is where the task's workdir is synced.`);
    }
    if (typeof source !== "string") checkStorage(target, source);
  }
}

function checkStorage(target: string, storage: Plain): void {
  const { name, source } = check(schema.Storage, storage, { prefix: "Invalid storage YAML: " });
  const bucket = typeof source === "string" && isCloudUri(source);
  if (bucket && name !== undefined) {
    throw refuse(
      `Storage at ${pyRepr(target)} must not have a name: its source ${pyRepr(source)} names the bucket.`,
    );
  }
  if (!bucket && name === undefined) {
    throw refuse(`Storage at ${pyRepr(target)} must have a name or a bucket as source.`);
  }
}

function refuse(message: string): SkyError {
  return new SkyError("invalid_argument", message);
}

/** Every local path that the task needs from the client, each once, in the order of use. */
export function localPaths(task: Task): string[] {
  const found = new Set<string>();
  mapLocalPaths(task, (path) => {
    found.add(path);
    return path;
  });
  return [...found];
}

/** The task with each of its local paths replaced; cloud URIs and git sources stay. */
export function mapLocalPaths(task: Task, replace: (path: string) => string): Task {
  const local = (path: string) => isCloudUri(path) ? path : replace(path);
  const workdir = typeof task.workdir === "string" ? replace(task.workdir) : task.workdir;
  const fileMounts = Object.fromEntries(
    Object.entries(task.fileMounts).map(([target, source]) => [
      target,
      typeof source === "string" ? local(source) : { ...source, ...storageSource(source, local) },
    ]),
  );
  const service = task.sections["service"];
  const sections = isMap(service) && isMap(service["tls"])
    ? { ...task.sections, service: { ...service, tls: mapTls(service["tls"], replace) } }
    : task.sections;
  return { ...task, workdir, fileMounts, sections };
}

function storageSource(storage: Plain, local: (path: string) => string): Plain {
  const { source } = storage;
  if (typeof source === "string") return { source: local(source) };
  if (!Array.isArray(source)) return {};
  return { source: source.map((path) => typeof path === "string" ? local(path) : path) };
}

function mapTls(tls: Plain, replace: (path: string) => string): Plain {
  return Object.fromEntries(
    Object.entries(tls).map(([key, path]) => [key, typeof path === "string" ? replace(path) : path]),
  );
}

/** The task with its local paths absolute: `~` is the caller's home, the rest relative to `cwd`. */
export function absolutePaths(task: Task, base: { cwd: string; home: string }): Task {
  return mapLocalPaths(task, (path) => absolutePath(path, base));
}

function absolutePath(path: string, { cwd, home }: { cwd: string; home: string }): string {
  const expanded = path === "~" || path.startsWith("~/") ? join(home, path.slice(1)) : path;
  const absolute = expanded.startsWith("/") || /^[a-zA-Z]:[\\/]/.test(expanded)
    ? join(expanded)
    : join(cwd, expanded);
  return absolute.length > 1 ? absolute.replace(/[\\/]+$/, "") || "/" : absolute;
}
