/**
 * The server's own config (`~/.sky/config.yaml`), kept in memory and read again when the file changes. What of a caller's
 * config counts on top of it is core/config.ts.
 */
import { join } from "@std/path";
import type { SkyConfig } from "../core/config.ts";
import { isSkyError } from "../core/errors.ts";
import { dotSky, type Env } from "../core/paths.ts";

export interface ServerConfig {
  current(): SkyConfig;
  /** Read the file again if it changed. Throws invalid_config; the last good one then stays. */
  refresh(): Promise<void>;
}

/** Reads it once. A file that cannot be read is told to `onFault`: its owner's clients will say so as well. */
export async function serverConfig(env: Env, onFault: (error: unknown) => void): Promise<ServerConfig> {
  const path = env("SKYPILOT_GLOBAL_CONFIG") ?? join(dotSky(env), "config.yaml");
  let config: SkyConfig = {};
  let readAt = "";
  const refresh = async () => {
    const stamp = await stampOf(path);
    if (stamp === readAt) return;
    readAt = stamp;
    config = stamp === "" ? {} : await read(path);
  };
  await refresh().catch((error) => {
    if (!isSkyError(error)) throw error;
    onFault(error);
  });
  return { current: () => config, refresh };
}

async function read(path: string): Promise<SkyConfig> {
  const { parse } = await import("../core/yaml.ts");
  return asConfig(parse(await Deno.readTextFile(path), { name: path, code: "invalid_config" }));
}

function asConfig(value: unknown): SkyConfig {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? value as SkyConfig : {};
}

async function stampOf(path: string): Promise<string> {
  try {
    const { mtime, size, ino } = await Deno.stat(path);
    return `${mtime?.getTime()}:${size}:${ino}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
