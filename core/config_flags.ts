/** `--config key.path=value[,…]` (cli.md §1.12). Whether a value is a file's path is the caller's question. Pure. */
import { mergeConfig, type SkyConfig } from "./config.ts";
import { checkConfig } from "./config_schema.ts";
import { isSkyError, SkyError } from "./errors.ts";
import { pyRepr } from "./format.ts";
import { parse } from "./yaml.ts";

/** The config that the flags describe, values parsed as YAML, later ones winning. Throws usage. */
export function parseConfigFlags(flags: readonly string[]): SkyConfig {
  try {
    const pairs = flags.flatMap(topLevelParts).map(pairConfig);
    return checkConfig(pairs.reduce((config, pair) => mergeConfig(config, pair), {}), "CLI");
  } catch (error) {
    if (!isSkyError(error)) throw error;
    const tuple = flags.length === 1 ? `(${pyRepr(flags[0])},)` : `(${flags.map(pyRepr).join(", ")})`;
    throw new SkyError(
      "usage",
      `Invalid value for '--config': Invalid config override: ${tuple}. Check if config file exists or if the ` +
        `dotlist is formatted as: key1=value1,key2=value2.\nDetails: ${error.message}`,
      { cause: error },
    );
  }
}

/** Parts between commas, but not those inside brackets or quotes. */
function topLevelParts(flag: string): string[] {
  const parts: string[] = [""];
  let depth = 0;
  let quote = "";
  for (const char of flag) {
    if (quote !== "") quote = char === quote ? "" : quote;
    else if (char === "'" || char === '"') quote = char;
    else if (char === "[" || char === "{") depth++;
    else if (char === "]" || char === "}") depth--;
    if (char === "," && depth <= 0 && quote === "") parts.push("");
    else parts.push(`${parts.pop() ?? ""}${char}`);
  }
  return parts;
}

function pairConfig(part: string): SkyConfig {
  const at = part.indexOf("=");
  const keys = part.slice(0, Math.max(0, at)).trim().split(".");
  if (at < 0 || keys.includes("") || keys.length > 100) {
    throw new SkyError("usage", `Invalid config override: ${part}. Please use the format: key=value`);
  }
  const value = parse(part.slice(at + 1).trim(), { name: "--config", code: "invalid_config" });
  return keys.reduceRight<unknown>((inner, key) => Object.fromEntries([[key, inner]]), value) as SkyConfig;
}
