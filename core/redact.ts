/** Hides secrets wherever a task is shown again (domain.md §1.5). `envs` stay readable. Pure. */
import { DOCKER_PASSWORD } from "./envs.ts";
import { isSkyError } from "./errors.ts";
import type { Resources } from "./resources.ts";
import { isMap, type Plain } from "./plain.ts";
import type { Task } from "./task.ts";
import { dumpAll, HURRIED, parseDocuments, replaceValues } from "./yaml.ts";

export const REDACTED = "<redacted>";

/** The task as it may be shown or kept for history. */
export function redactTask(task: Task): Task {
  const candidates = task.resources.candidates.map((wish): Resources => ({
    ...wish,
    other: hideLogin(wish.other) as Plain,
  }));
  return {
    ...task,
    envs: hidePassword(task.envs) as Task["envs"],
    secrets: Object.fromEntries(Object.keys(task.secrets).map((name) => [name, REDACTED])),
    resources: { ...task.resources, candidates },
    userYaml: task.userYaml === null ? null : redactYaml(task.userYaml),
  };
}

/**
 * A task or DAG text with its secrets hidden; all else stays byte for byte where that is possible. Text that cannot be
 * understood is hidden whole: nobody can tell what is secret in it.
 */
export function redactYaml(text: string): string {
  try {
    const plain = values(text);
    const hidden = plain.map(hideDocument);
    if (JSON.stringify(plain) === JSON.stringify(hidden)) return text;
    if (plain.some((value) => isMap(value) && value["_user_specified_yaml"] !== undefined)) {
      return dumpAll(hidden);
    }
    const edited = replaceValues(text, (path) => isSecret(path) ? REDACTED : undefined, HURRIED);
    // Aliases, merge keys and lists can lead to places that editing does not see.
    return JSON.stringify(values(edited)) === JSON.stringify(hidden) ? edited : dumpAll(hidden);
  } catch (error) {
    if (!isSkyError(error, "invalid_task")) throw error;
    return REDACTED;
  }
}

/** Read within the server's limits: what it shows and keeps is never worth a longer wait of everybody else. */
function values(text: string): unknown[] {
  return parseDocuments(text, { limits: HURRIED }).map(({ value }) => value);
}

function isSecret([section = "", name = "", ...below]: readonly string[]): boolean {
  if (below.length === 0) {
    return (section === "secrets" && name !== "") || (section === "envs" && name === DOCKER_PASSWORD);
  }
  return section === "resources" && name === "_docker_login_config" && below.join() === "password";
}

function hideDocument(value: unknown): unknown {
  if (!isMap(value)) return value;
  const hide: Readonly<Record<string, (section: unknown) => unknown>> = {
    secrets: hideSecrets,
    envs: hidePassword,
    resources: hideResources,
    _user_specified_yaml: (text) => typeof text === "string" ? redactYaml(text) : text,
  };
  return Object.fromEntries(
    Object.entries(value).map((
      [key, section],
    ) => [key, Object.hasOwn(hide, key) ? hide[key]?.(section) : section]),
  );
}

/** References have no value to hide, and a list holds only references. */
function hideSecrets(section: unknown): unknown {
  if (typeof section === "string") return REDACTED;
  if (!isMap(section)) return section;
  return Object.fromEntries(
    Object.entries(section).map(([name, value]) => [name, value === null ? null : REDACTED]),
  );
}

function hidePassword(section: unknown): unknown {
  if (!isMap(section) || !Object.hasOwn(section, DOCKER_PASSWORD)) return section;
  return section[DOCKER_PASSWORD] === null ? section : { ...section, [DOCKER_PASSWORD]: REDACTED };
}

function hideResources(section: unknown): unknown {
  if (!isMap(section)) return section;
  const lists = ["any_of", "ordered"].flatMap((kind): [string, unknown][] => {
    const entries = section[kind];
    return Array.isArray(entries) ? [[kind, entries.map(hideLogin)]] : [];
  });
  return hideLogin({ ...section, ...Object.fromEntries(lists) });
}

function hideLogin(wish: unknown): unknown {
  if (!isMap(wish)) return wish;
  const login = wish["_docker_login_config"];
  return isMap(login) ? { ...wish, _docker_login_config: { ...login, password: REDACTED } } : wish;
}
