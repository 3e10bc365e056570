/**
 * Reading and changing config files (cli.md §1.12, domain.md §9.1). Owns merge order, `--config` overrides and the
 * `api_server` section that login writes. What the keys mean is their readers'.
 */
import { dirname, join } from "@std/path";
import { mergeConfig, type SkyConfig } from "../core/config.ts";
import { describe, isSkyError, SkyError } from "../core/errors.ts";
import { pyRepr } from "../core/format.ts";
import { dotSky, type Env } from "../core/paths.ts";
import { dump, parse } from "../core/yaml.ts";
import { configFiles, exists, userConfig } from "./config_paths.ts";

/** Top-level keys (domain.md §9.2). Checked where a person types them; files may hold keys of extensions. */
const KEYS = new Set(
  ("api_server allowed_clouds workspace active_workspace workspaces rbac admin_policy db jobs serve kubernetes ssh " +
    "slurm pricing aws gcp azure oci nebius vast lambda runpod ibm scp fluidstack cudo paperspace do vsphere " +
    "hyperbolic cloudflare coreweave primeintellect seeweb shadeform mithril local docker nvidia_gpus provision " +
    "logs data dashboard daemons plugins").split(" "),
);
const DOCS = "https://docs.skypilot.co/en/latest/reference/config.html";

/**
 * User file, project file, `--config` values, later wins. Throws file_not_found for a file named by a variable,
 * invalid_config for a bad file, usage for a bad override.
 */
export function loadConfig(env: Env, cwd: string, overrides: readonly string[]): SkyConfig {
  let config: SkyConfig = {};
  for (const { path, required } of configFiles(env, cwd)) {
    if (exists(path)) config = mergeConfig(config, readConfig(path));
    else if (required) throw new SkyError("file_not_found", `Config file does not exist: ${path}`);
  }
  return overrides.length === 0 ? config : mergeConfig(config, overridesOf(overrides, cwd));
}

function readConfig(path: string): SkyConfig {
  const value = parse(Deno.readTextFileSync(path), { name: path, code: "invalid_config" });
  if (value === null) return {};
  if (typeof value === "object" && !Array.isArray(value)) return value as SkyConfig;
  throw new SkyError(
    "invalid_config",
    `Invalid config YAML from (${path}). See: ${DOCS}. Error: it is not a mapping`,
  );
}

function overridesOf(overrides: readonly string[], cwd: string): SkyConfig {
  const files = overrides.map((each) => join(cwd, each)).filter((path, i) =>
    exists(path) || exists(overrides[i]!)
  );
  if (files.length > 0) {
    if (overrides.length > 1) throw usage("Cannot use multiple --config flags with a config file.");
    const [named = ""] = overrides;
    return readConfig(exists(named) ? named : files[0]!);
  }
  try {
    return overrides.flatMap(pairsOf).reduce<SkyConfig>((config, [key, value]) => {
      return mergeConfig(config, nested(key.split("."), value));
    }, {});
  } catch (error) {
    if (!isSkyError(error, "invalid_config")) throw error;
    const tuple = overrides.length === 1
      ? `(${pyRepr(overrides[0])},)`
      : `(${overrides.map(pyRepr).join(", ")})`;
    throw usage(
      `Invalid config override: ${tuple}. Check if config file exists or if the dotlist is formatted as: ` +
        `key1=value1,key2=value2.\nDetails: ${describe(error)}`,
    );
  }
}

/** `a.b=1,c=[2,3]` → pairs; a comma parts pairs only where a new key follows. */
function pairsOf(text: string): [string, unknown][] {
  return text.split(/,(?=[A-Za-z_][\w.\/-]*=)/).map((pair) => {
    const [, key, value] = /^([^=]+)=([\s\S]+)$/.exec(pair) ?? [];
    if (key === undefined || value === undefined) {
      throw invalid(`Invalid config override: ${pair}. Please use the format: key=value`);
    }
    const [top = ""] = key.split(".");
    if (!KEYS.has(top)) {
      throw invalid(
        `Invalid config YAML from (CLI). See: ${DOCS}. Error: Found unsupported field ${pyRepr(top)}.`,
      );
    }
    return [key, parse(value, { name: "CLI", code: "invalid_config" })];
  });
}

function nested(path: readonly string[], value: unknown): SkyConfig {
  const [key = "", ...rest] = path;
  return { [key]: rest.length === 0 ? value : nested(rest, value) };
}

function invalid(message: string): SkyError {
  return new SkyError("invalid_config", message);
}

function usage(message: string): SkyError {
  return new SkyError("usage", `Invalid value for '--config': ${message}`);
}

/** Make the user config name this server (`sky api login`). The token is stored beside it, mode 0600. */
export async function saveEndpoint(env: Env, endpoint: string, token: string | null = null): Promise<void> {
  const section = { endpoint, ...(token === null ? {} : { service_account_token: token }) };
  await changeConfig(env, section);
}

/** Remove the whole `api_server` section (`sky api logout`). */
export async function removeEndpoint(env: Env): Promise<void> {
  if (exists(userConfig(env))) await changeConfig(env, null);
}

async function changeConfig(env: Env, section: Record<string, unknown> | null): Promise<void> {
  const path = userConfig(env);
  await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await Deno.mkdir(dotSky(env), { recursive: true, mode: 0o700 });
  const lock = await Deno.open(join(dotSky(env), "config.lock"), { write: true, create: true, mode: 0o600 });
  using _closing = lock;
  await lock.lock(true);
  const old = exists(path) ? await Deno.readTextFile(path) : "";
  const temporary = `${path}.${Deno.pid}.tmp`;
  await Deno.writeTextFile(temporary, withSection(old, section, path), { mode: 0o600 });
  await Deno.rename(temporary, path);
}

/** The text with another `api_server` section; comments and order of the rest stay wherever that is possible. */
function withSection(text: string, section: Record<string, unknown> | null, path: string): string {
  const wanted = { ...asMap(parse(text, { name: path, code: "invalid_config" })) };
  delete wanted["api_server"];
  const lines = text.split("\n");
  const from = lines.findIndex((line) => /^(["']?)api_server\1\s*:/.test(line));
  if (from >= 0) {
    const next = lines.findIndex((line, index) => index > from && /^[^\s#]/.test(line));
    lines.splice(from, (next < 0 ? lines.length : next) - from);
  }
  let rest = lines.join("\n").trimEnd();
  if (JSON.stringify(asMap(parse(rest, { name: path }))) !== JSON.stringify(wanted)) {
    rest = dump(wanted).trimEnd();
  }
  const parts = [rest === "{}" ? "" : rest, section === null ? "" : dump({ api_server: section }).trimEnd()];
  return parts.filter((part) => part !== "").map((part) => `${part}\n`).join("\n");
}

function asMap(value: unknown): Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value)
    ? value as Record<string, unknown>
    : {};
}
