/** Help screens in click's layout (cli.md §1.1) with an Examples section. Pure: makes text from command objects. */
import type { Command, Option } from "./command.ts";
import type { Entry, EntryGroup } from "./commands/mod.ts";
import { argumentMetavar, negativeOf, withHelp } from "./parse.ts";

const WIDEST = 80;
const NARROWEST = 50;
/** A first column wider than this gets its text on the next line. */
const COLUMN = 30;

/** `Usage: sky launch [OPTIONS] [ENTRYPOINT]...` */
export function usageLine(path: string, command: Pick<Command, "args">): string {
  return ["Usage:", path, "[OPTIONS]", ...command.args.map(argumentMetavar)].join(" ");
}

export function groupUsageLine(path: string): string {
  return `Usage: ${path} [OPTIONS] COMMAND [ARGS]...`;
}

/** The whole help page of a command, without a final newline. */
export function commandHelp(command: Command, context: { path: string; columns: number }): string {
  const width = textWidth(context.columns);
  return [
    usageLine(context.path, command),
    ...paragraphs(command.help, width),
    "",
    "Options:",
    ...optionRows(withHelp(command.options), width),
    ...exampleLines(command.examples),
  ].join("\n");
}

export interface GroupPage {
  readonly path: string;
  readonly text: string;
  readonly options: readonly Option[];
  readonly entries: readonly (Entry | EntryGroup)[];
  readonly examples?: readonly string[];
  readonly columns: number;
}

/** The page of `sky` itself or of a group: commands in definition order, hidden ones left out. */
export function groupHelp(page: GroupPage): string {
  const width = textWidth(page.columns);
  const rows = page.entries.filter((entry) => entry.hidden !== true)
    .map((entry): [string, string] => [entry.name, entry.summary]);
  return [
    groupUsageLine(page.path),
    ...paragraphs(page.text, width),
    "",
    "Options:",
    ...optionRows(withHelp(page.options), width),
    "",
    "Commands:",
    ...twoColumns(rows, width),
    ...exampleLines(page.examples ?? []),
  ].join("\n");
}

function textWidth(columns: number): number {
  return Math.max(NARROWEST, Math.min(WIDEST, columns) - 2);
}

function exampleLines(examples: readonly string[]): string[] {
  return examples.length === 0 ? [] : ["", "Examples:", ...examples.map((line) => `  ${line}`)];
}

function paragraphs(text: string, width: number): string[] {
  return text.trim().split(/\n\s*\n/).flatMap((paragraph) => [
    "",
    ...wrap(paragraph, width - 2).map((line) => `  ${line}`),
  ]);
}

function optionRows(options: readonly Option[], width: number): string[] {
  const rows = options.filter((option) => option.hidden !== true)
    .map((option): [string, string] => [optionSpelling(option), option.help]);
  return twoColumns(rows, width);
}

/** `-c, --cluster TEXT`, `--use-spot / --no-use-spot`, `--hook [EVENT]`. */
export function optionSpelling(option: Option): string {
  const names = [
    ...(option.short === undefined ? [] : [`-${option.short}`]),
    ...[option.name, ...(option.aliases ?? [])].map((name) => `--${name}`),
  ].join(", ");
  if (option.kind === "flag") return names;
  if (option.kind === "pair") return `${names} / ${negativeOf(option)}`;
  const metavar = option.metavar ?? defaultMetavar(option);
  return `${names} ${option.kind === "optional" ? `[${metavar}]` : metavar}`;
}

function defaultMetavar(option: Option): string {
  if (option.kind === "int") return "INTEGER";
  return option.kind === "choice" ? `[${(option.choices ?? []).join("|")}]` : "TEXT";
}

function twoColumns(rows: readonly (readonly [string, string])[], width: number): string[] {
  const first = Math.min(COLUMN, Math.max(0, ...rows.map(([name]) => name.length))) + 2;
  return rows.flatMap(([name, text]) => {
    const lines = wrap(text, Math.max(10, width - first - 2));
    const indent = " ".repeat(first + 2);
    if (lines.length === 0) return [`  ${name}`];
    if (name.length <= first - 2) {
      return [`  ${name.padEnd(first)}${lines[0]}`, ...lines.slice(1).map((line) => indent + line)];
    }
    return [`  ${name}`, ...lines.map((line) => indent + line)];
  });
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).filter((one) => one !== "")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return line === "" ? lines : [...lines, line];
}
