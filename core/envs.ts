/**
 * Environment variables and secrets of tasks (domain.md §1.4, §1.5, cli.md §2.3): names, flags, dotenv files, values
 * that must be there, textual substitution, docker logins. Pure: reading files is the caller's.
 */
import { SkyError } from "./errors.ts";
import { pyRepr } from "./format.ts";
import type { Env } from "./paths.ts";
import { ENV_NAME } from "./schema.ts";
import type { Task } from "./task.ts";

export type Vars = Readonly<Record<string, string>>;

/** Throws invalid_argument for a name that no shell could hold. */
export function checkEnvNames(vars: Vars): void {
  for (const name of Object.keys(vars)) {
    if (!ENV_NAME.test(name)) throw new SkyError("invalid_argument", `Invalid env key: ${name}`);
  }
}

/**
 * `--env` and `--secret` values: `KEY=VALUE`, or `KEY` for the caller's own value. A later repeat wins. Throws usage
 * for a variable that is not set, invalid_argument for a bad name.
 */
export function parseEnvFlags(flags: readonly string[], env: Env): Record<string, string> {
  const pairs = flags.map((flag): [string, string] => {
    const at = flag.indexOf("=");
    if (at >= 0) return [flag.slice(0, at), flag.slice(at + 1)];
    const value = env(flag);
    if (value === undefined) throw new SkyError("usage", `${flag} is not set in local environment.`);
    return [flag, value];
  });
  const vars = Object.fromEntries(pairs);
  checkEnvNames(vars);
  return vars;
}

/** Pairs from a program. Throws invalid_argument for a repeated or a bad name. */
export function envPairs(pairs: readonly (readonly [string, string])[]): Record<string, string> {
  const vars = Object.fromEntries(pairs);
  if (Object.keys(vars).length < pairs.length) {
    throw new SkyError("invalid_argument", "Duplicate env keys provided.");
  }
  checkEnvNames(vars);
  return vars;
}

const DOTENV_LINE =
  /^[ \t]*(?:export[ \t]+)?([^\s=#'"]+)[ \t]*(?:=[ \t]*(?:'((?:\\'|[^'])*)'|"((?:\\"|[^"])*)"|([^\r\n]*)))?[^\r\n]*$/gm;

/**
 * A dotenv file: `KEY=value`, `export KEY=value`, quotes, comments, `${NAME}` and `${NAME:-default}`. Names without a
 * value are left out.
 */
export function parseDotenv(text: string, env: Env): Record<string, string> {
  const vars = new Map<string, string>();
  for (const [, name = "", single, double, plain] of text.matchAll(DOTENV_LINE)) {
    const value = single?.replace(/\\([\\'])/g, "$1") ??
      (double === undefined ? undefined : unescaped(double)) ??
      plain?.replace(/(?:^|\s+)#.*$/, "").trim();
    if (value === undefined) continue;
    const expanded = value.replace(
      /\$\{([^}:]*)(?::-([^}]*))?\}/g,
      (_, wanted: string, fallback = "") => vars.get(wanted) ?? env(wanted) ?? fallback,
    );
    vars.set(name, expanded);
  }
  return Object.fromEntries(vars);
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  b: "\b",
  f: "\f",
  v: "\v",
  a: "\x07",
};

function unescaped(text: string): string {
  return text.replace(/\\([\\'"abfnrtv])/g, (_, char: string) => ESCAPES[char] ?? char);
}

/** What a caller may add to the variables of a task, from its command line or its program. */
export interface VarInputs {
  /** `--env`: over everything else. */
  readonly envs?: Vars;
  /** `--env-file`: below `envs`; also fills in declared secrets, which then stay secrets. */
  readonly envFile?: Vars;
  /** `--secret`. */
  readonly secrets?: Vars;
  /** `--secret-file`: below `secrets`. */
  readonly secretFile?: Vars;
}

type Declared = Readonly<Record<string, string | null>>;

/** Merges declared and given variables. Throws invalid_argument for a bad name or a value that is still missing. */
export function mergeVars(
  declared: { envs: Declared; secrets: Declared },
  inputs: VarInputs,
): { envs: Record<string, string>; secrets: Record<string, string> } {
  const { envs = {}, envFile = {}, secrets = {}, secretFile = {} } = inputs;
  for (const vars of [envFile, envs, secretFile, secrets]) checkEnvNames(vars);
  const isSecret = ([name]: [string, unknown]) => Object.hasOwn(declared.secrets, name);
  const fromFile = Object.entries(envFile);
  return {
    envs: filled({
      ...declared.envs,
      ...Object.fromEntries(fromFile.filter((pair) => !isSecret(pair))),
      ...envs,
    }, { what: "Environment", flag: "--env" }),
    secrets: filled({
      ...declared.secrets,
      ...Object.fromEntries(fromFile.filter(isSecret)),
      ...secretFile,
      ...secrets,
    }, { what: "Secret", flag: "--secret" }),
  };
}

function filled(vars: Declared, words: { what: string; flag: string }): Record<string, string> {
  return Object.fromEntries(
    Object.entries(vars).map(([name, value]): [string, string] => {
      if (value !== null) return [name, value];
      throw new SkyError(
        "invalid_argument",
        `${words.what} variable ${pyRepr(name)} is None. Please set a value for it in task YAML or with ` +
          `${words.flag} flag. To set it to be empty, use an empty string (${name}: "" in task YAML or ` +
          `${words.flag} ${name}="" in CLI).`,
      );
    }),
  );
}

const VARIABLE = /\$\{?([a-zA-Z_][a-zA-Z0-9_]*)\}?/g;

/** Characters that variables may put into a section: a small text can name a long value many thousand times. */
const MAX_SUBSTITUTED = 4 * 1024 * 1024;

/**
 * Replaces `$NAME` and `${NAME}` in every text below `value`, keys included; unknown names stay. Throws
 * invalid_argument for more than 4 MB of values.
 */
export function substitute<T>(value: T, vars: Vars): T {
  let size = 0;
  const named = (match: string, name: string): string => {
    if (!Object.hasOwn(vars, name)) return match;
    const text = vars[name] ?? match;
    size += text.length;
    if (size > MAX_SUBSTITUTED) {
      throw new SkyError(
        "invalid_argument",
        "Environment variables expand to more than 4 MB in one section.",
      );
    }
    return text;
  };
  const filled = (below: unknown): unknown => {
    if (typeof below === "string") return below.includes("$") ? below.replace(VARIABLE, named) : below;
    if (Array.isArray(below)) return below.map(filled);
    if (below === null || typeof below !== "object") return below;
    return Object.fromEntries(Object.entries(below).map(([key, item]) => [filled(key), filled(item)]));
  };
  return filled(value) as T;
}

const DOCKER_NAMES = [
  "SKYPILOT_DOCKER_USERNAME",
  "SKYPILOT_DOCKER_PASSWORD",
  "SKYPILOT_DOCKER_SERVER",
] as const;
export const DOCKER_PASSWORD = DOCKER_NAMES[1];

export interface DockerLogin {
  readonly username: string;
  readonly password: string;
  readonly server: string;
}

/**
 * The registry login of a task, null if it has none. Throws invalid_argument unless its three variables stand together,
 * all in `envs` or all in `secrets` (§1.3.5).
 */
export function dockerLogin(task: Pick<Task, "envs" | "secrets">): DockerLogin | null {
  const given = (vars: Vars) => DOCKER_NAMES.filter((name) => Object.hasOwn(vars, name)).length;
  const [inEnvs, inSecrets] = [given(task.envs), given(task.secrets)];
  if (inEnvs + inSecrets === 0) return null;
  const vars = inEnvs === DOCKER_NAMES.length ? task.envs : task.secrets;
  if (given(vars) < DOCKER_NAMES.length || (inEnvs > 0 && inSecrets > 0)) {
    throw new SkyError(
      "invalid_argument",
      `Docker login variables must be specified together in either envs or secrets: ${pyRepr(DOCKER_NAMES)}.`,
    );
  }
  const [username = "", password = "", server = ""] = DOCKER_NAMES.map((name) => vars[name]);
  return { username, password, server };
}

/** A docker image with its registry's name in front, which the login's server stands for when it is missing. */
export function imageInRegistry(image: string, login: DockerLogin | null): string {
  if (login === null || login.server === "") return image;
  const name = image.replace(/^docker:/, "");
  return name.startsWith(`${login.server}/`) ? image : `docker:${login.server}/${name}`;
}
