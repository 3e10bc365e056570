/**
 * The files of a job phase on its node: names, and the texts to put there. Owns the layout of
 * `~/sky_logs/<logDir>/.job/<phase>`, for every transport; node/run_job.ts is the shell that uses it. Pure.
 *
 * A job directory holds: `main` (head and user's script), `env` (exports; deleted once read), `log` (link to the
 * output), `exit.tmp` (bytes kept for the exit code), `by-<token>` (whose attempt it is), and from the wrapper
 * `pid` (identity file) and at the end `exit`. One that was taken so that nothing starts holds only `killed`.
 */
import { SkyError } from "../../core/errors.ts";
import type { JobPhase, JobStart } from "../cloud.ts";
import { SCRIPT_HEAD } from "./node/run_job.ts";

export interface JobPaths {
  readonly home: string;
  readonly phase: JobPhase;
  /** `<home>/sky_logs/<logDir>` */
  readonly logs: string;
  /** `<logs>/.job`, where all phases and attempts are. */
  readonly root: string;
  /** `<root>/<phase>`: exists once the phase is claimed. */
  readonly job: string;
}

/** Throws invalid_argument for a name that would leave `~/sky_logs`. */
export function jobPaths(home: string, logDir: string, phase: JobPhase): JobPaths {
  checkBelow(logDir);
  const logs = `${home}/sky_logs/${logDir}`;
  return { home, phase, logs, root: `${logs}/.job`, job: `${logs}/.job/${phase}` };
}

/** Where an attempt lays out its files before it claims. `token` is unique to it. */
export function stagePath(paths: JobPaths, token: string): string {
  return `${paths.root}/.${paths.phase}-${token}`;
}

export function isStageOf(phase: JobPhase, name: string): boolean {
  return name.startsWith(`.${phase}-`);
}

/** What marks all processes of a phase in their environment. The value is its job directory. */
export const JOB_KEY = "SKY_JOB_KEY";

/** Files of a staging directory and their content, all mode 0600. The `log` link is the transport's to make. */
export function jobFiles(start: JobStart, token: string): Record<string, string> {
  checkBelow(start.output);
  return {
    main: `${SCRIPT_HEAD}${start.script}\n`,
    env: exportsOf(start.env),
    "exit.tmp": "    ",
    [`by-${token}`]: "",
  };
}

/** Target of the `log` link, relative to the job directory and to the staging directory alike. */
export function logLink(output: string): string {
  return `../../${output}`;
}

function checkBelow(path: string): void {
  const parts = path.split("/");
  if (path !== "" && !path.includes("\0") && parts.every((part) => !["", ".", ".."].includes(part))) return;
  throw new SkyError("invalid_argument", `Cannot use '${path}' as a path of a job's logs`);
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** `export K='V'` lines for a POSIX shell, any value. Throws invalid_argument for what no shell can export. */
export function exportsOf(env: Readonly<Record<string, string>>): string {
  return Object.entries(env).map(([name, value]) => {
    if (!NAME.test(name)) {
      throw new SkyError("invalid_argument", `Cannot export the environment variable '${name}': not a name`);
    }
    if (value.includes("\0")) {
      throw new SkyError("invalid_argument", `Cannot export the environment variable '${name}': NUL in it`);
    }
    return `export ${name}=${quote(value)}\n`;
  }).join("");
}

/** One shell word, whatever is in it. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The exit code an `exit` file tells; null for anything else. */
export function parseExit(text: string): number | null {
  return /^\d{1,3}\s*$/.test(text) ? Number(text) : null;
}
