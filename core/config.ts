/** Config files: shape, merge and lookup (domain.md §9.1, cli.md §1.12). Pure; reading files is the caller's. */

/** The merged config as parsed YAML, snake_case keys. */
export type SkyConfig = Readonly<Record<string, unknown>>;

/** Look up a dotted path, e.g. `api_server.endpoint`; undefined when absent. */
export function lookup(config: SkyConfig, path: string): unknown {
  let value: unknown = config;
  for (const key of path.split(".")) {
    if (value === null || typeof value !== "object") return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

/** Maps merge per key, everything else is replaced by the later one. */
export function mergeConfig(base: SkyConfig, over: SkyConfig): SkyConfig {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const old = merged[key];
    merged[key] = isMap(old) && isMap(value) ? mergeConfig(old, value) : value;
  }
  return merged;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
