/** Where config files are, and loading them only when there are any: the parser costs more than a whole command. */
import { builtin } from "../core/builtin.ts";
import type { SkyConfig } from "../core/config.ts";
import { below, dotSky, type Env } from "../core/paths.ts";

export interface ConfigFile {
  readonly path: string;
  /** Named by a variable: must be there. */
  readonly required: boolean;
}

/** Later files overlay earlier ones (domain.md §9.1). */
export function configFiles(env: Env, cwd: string): ConfigFile[] {
  const only = env("SKYPILOT_CONFIG");
  if (only) return [{ path: only, required: true }];
  const user = env("SKYPILOT_GLOBAL_CONFIG");
  const project = env("SKYPILOT_PROJECT_CONFIG");
  return [
    user ? { path: user, required: true } : { path: userConfig(env), required: false },
    project ? { path: project, required: true } : { path: below(cwd, ".sky.yaml"), required: false },
  ];
}

export function userConfig(env: Env): string {
  return env("SKYPILOT_GLOBAL_CONFIG") || below(dotSky(env), "config.yaml");
}

/** A loader of the merged config; what is wrong with it is thrown when it is called. */
export async function openConfig(
  env: Env,
  cwd: string,
  overrides: readonly string[],
): Promise<() => SkyConfig> {
  const any = overrides.length > 0 ||
    configFiles(env, cwd).some(({ path, required }) => required || exists(path));
  if (!any) return () => ({});
  const { loadConfig } = await import("./config_files.ts");
  return () => loadConfig(env, cwd, overrides);
}

export function exists(path: string): boolean {
  // not by catching NotFound: in a minified bundle the first exception costs 3 ms, a tenth of a whole command
  return builtin("node:fs").existsSync(path) && Deno.statSync(path).isFile;
}
