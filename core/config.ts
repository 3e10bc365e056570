/**
 * Config: shape, merge and lookup (domain.md §9.1, cli.md §1.12). Reading files is the caller's, what may stand in them
 * config_schema.ts's, `--config` flags config_flags.ts's. Pure.
 */

import { isMap } from "./plain.ts";

/** The merged config as parsed YAML, snake_case keys. */
export type SkyConfig = Readonly<Record<string, unknown>>;

/** Look up a dotted path, e.g. `api_server.endpoint`; undefined when absent. */
export function lookup(config: SkyConfig, path: string): unknown {
  let value: unknown = config;
  for (const key of path.split(".")) {
    if (!isMap(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

/** Below these keys lists of named items merge by name, as Kubernetes does. */
const KUBERNETES_SECTIONS = ["pod_config", "custom_metadata"];

/** Maps merge per key, everything else is replaced by the later one. */
export function mergeConfig(base: SkyConfig, over: SkyConfig): SkyConfig {
  return mergeMaps({ base, over, named: false });
}

function mergeMaps({ base, over, named }: { base: SkyConfig; over: SkyConfig; named: boolean }): SkyConfig {
  const merged = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(over)) {
    const inside = named || KUBERNETES_SECTIONS.includes(key);
    merged.set(key, mergeValues({ old: merged.get(key), value, named: inside }));
  }
  // fromEntries defines its keys, so `__proto__` is a key like any other.
  return Object.fromEntries(merged);
}

function mergeValues({ old, value, named }: { old: unknown; value: unknown; named: boolean }): unknown {
  if (isMap(old) && isMap(value)) return mergeMaps({ base: old, over: value, named });
  if (!named || !isNamedList(old) || !isNamedList(value)) return value;
  const items = new Map(old.map((item) => [item["name"], item as SkyConfig]));
  for (const over of value) {
    items.set(over["name"], mergeMaps({ base: items.get(over["name"]) ?? {}, over, named: true }));
  }
  return [...items.values()];
}

function isNamedList(value: unknown): value is Record<string, unknown>[] {
  return Array.isArray(value) && value.every((item) => isMap(item) && typeof item["name"] === "string");
}

/** What only the server's own config decides (wire.md §16.11). */
const SERVER_ONLY = [
  "api_server",
  "admin_policy",
  "allowed_clouds",
  "workspaces",
  "db",
  "daemons",
  "jobs.controller.consolidation_mode",
  "serve.controller.consolidation_mode",
  "jobs.controller.controller_logs_gc_retention_hours",
  "jobs.controller.task_logs_gc_retention_hours",
  "slurm.cluster_configs",
];

export interface RequestConfig {
  readonly config: SkyConfig;
  /** Dotted keys of the client that were dropped although they differ: worth a warning. */
  readonly ignored: readonly string[];
}

/** The config of one request: the client's over the server's, without what only the server decides. */
export function overlayRequestConfig(server: SkyConfig, client: SkyConfig): RequestConfig {
  const given = SERVER_ONLY.filter((path) => lookup(client, path) !== undefined);
  const kept = given.reduce((config, path) => without(config, path.split(".")), client);
  const ignored = given.filter((path) =>
    JSON.stringify(lookup(client, path)) !== JSON.stringify(lookup(server, path))
  );
  return { config: mergeConfig(server, kept), ignored };
}

function without(config: SkyConfig, [key = "", ...rest]: readonly string[]): SkyConfig {
  return Object.fromEntries(
    Object.entries(config).flatMap(([name, value]): [string, unknown][] => {
      if (name !== key) return [[name, value]];
      return rest.length > 0 && isMap(value) ? [[name, without(value, rest)]] : [];
    }),
  );
}
