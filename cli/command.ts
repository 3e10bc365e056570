/** What a command is: one object, from which parser, help and completion are made. Types only. */
import type { Env } from "../core/paths.ts";
import type { SkyConfig } from "../core/config.ts";
import type { Sky } from "../sdk/client.ts";
import type { Terminal } from "./terminal.ts";

/** What TAB offers for a value. */
export type Completes = "cluster" | "request" | "file" | "directory" | "infra" | "storage" | "volume" | null;

export interface Option {
  /** Long name without dashes, e.g. `num-nodes`. */
  readonly name: string;
  /** One letter, e.g. `c`. */
  readonly short?: string;
  /**
   * flag: true when given. pair: `--x/--no-x`, three states. text, int, choice: take a value. optional: takes the
   * next token if it does not start with `-` (cli.md §1.2), else null.
   */
  readonly kind: "flag" | "pair" | "text" | "int" | "choice" | "optional";
  readonly choices?: readonly string[];
  readonly caseInsensitive?: boolean;
  /** May be given several times; the value is then an array. */
  readonly repeat?: boolean;
  readonly metavar?: string;
  readonly help: string;
  readonly hidden?: boolean;
  /** An odd negative spelling of a pair, e.g. `-no-d`. */
  readonly negative?: string;
  /** Other long names of the same option. */
  readonly aliases?: readonly string[];
  readonly complete?: Completes;
  /** The value (kind text) also overrides this config key, e.g. `active_workspace`; run.ts sees to it. */
  readonly overrides?: string;
}

export interface Argument {
  /** As in usage lines, e.g. `CLUSTER`. */
  readonly name: string;
  readonly required: boolean;
  readonly many: boolean;
  readonly complete?: Completes;
}

/** Parsed words of one command. Getters throw a programming error for names that the command does not declare. */
export interface Input {
  /** Positional words in order, `--` removed. */
  readonly args: readonly string[];
  /** Does the command declare this option? */
  has(name: string): boolean;
  flag(name: string): boolean;
  /** Undefined when neither form was given. */
  pair(name: string): boolean | undefined;
  text(name: string): string | undefined;
  int(name: string): number | undefined;
  texts(name: string): readonly string[];
  /** For kind optional: undefined when not given, null when given bare. */
  optional(name: string): string | null | undefined;
  /** The command line for records, e.g. `sky launch -c c1 task.yaml`, values of --secret redacted. */
  readonly commandLine: string;
  /** `Usage: …` line and path for usage errors, e.g. `sky launch`. */
  readonly path: string;
}

/** The world of a command: everything it may touch. */
export interface Io {
  readonly out: Terminal;
  readonly env: Env;
  readonly cwd: string;
  now(): number;
  /** The user's merged config (user file, project file, --config). */
  config(): SkyConfig;
  /** Connect, starting the local server when needed (`start: false`: undefined when none is there). */
  sky(): Promise<Sky>;
  skyIfRunning(): Promise<Sky | undefined>;
  /** Aborted by Ctrl+C; `follow.ts` turns it into the block of cli.md §1.10. */
  readonly signal: AbortSignal;
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Longer text of the help page. */
  readonly help: string;
  /** Whole command lines; shown in help and run by a test that they parse. */
  readonly examples: readonly string[];
  readonly args: readonly Argument[];
  readonly options: readonly Option[];
  readonly hidden?: boolean;
  /** Returns the exit code (cli.md §1.3). Throws SkyError for errors. */
  run(io: Io, input: Input): Promise<number>;
}

export interface Group {
  readonly name: string;
  readonly summary: string;
  readonly commands: readonly (Command | Group)[];
  readonly hidden?: boolean;
}

export function isGroup(entry: Command | Group): entry is Group {
  return "commands" in entry;
}
