/**
 * Words → Input by click's rules (cli.md §1.2): its texts and its order of errors are the contract, which is why
 * this is no library call. What the words mean is the commands'. Pure.
 */
import { closeMatches } from "../core/closest.ts";
import { SkyError } from "../core/errors.ts";
import type { Argument, Command, Input, Option } from "./command.ts";

type Value = string | number | boolean | null | readonly string[];

export type Parsed = { readonly kind: "help" } | { readonly kind: "input"; readonly input: Input };

const HELP: Option = { name: "help", short: "h", kind: "flag", help: "Show this message and exit." };

/** The options of a command as parser and help see them. */
export function withHelp(options: readonly Option[]): readonly Option[] {
  return [...options, HELP];
}

/** Parse the words after the command's own. Throws SkyError("usage") with click's texts. */
export function parse(
  command: Pick<Command, "args" | "options">,
  words: readonly string[],
  context: { path: string },
): Parsed {
  const given = readWords(withHelp(command.options), words);
  if (given.some((one) => one.option === HELP)) return { kind: "help" };
  const values = new Map<string, Value>();
  for (const { option, raw } of given) {
    if (option === undefined) continue;
    const value = convert(option, raw);
    if (option.repeat === true) {
      const before = values.get(option.name);
      values.set(option.name, [...(Array.isArray(before) ? before : []), String(value)]);
    } else values.set(option.name, value);
  }
  const args = given.filter((one) => one.option === undefined).map((one) => String(one.raw));
  checkArguments(command.args, args);
  return {
    kind: "input",
    input: makeInput(command.options, { values, args, path: context.path, words }),
  };
}

interface Given {
  /** Undefined for a positional word. */
  readonly option: Option | undefined;
  readonly raw: string | boolean | null;
}

/** Every spelling with dashes → option and, for flags, the value it stands for. */
function spellings(options: readonly Option[]): Map<string, { option: Option; value?: boolean }> {
  const table = new Map<string, { option: Option; value?: boolean }>();
  for (const option of options) {
    const value = option.kind === "flag" || option.kind === "pair" ? { value: true } : {};
    for (const name of [option.name, ...(option.aliases ?? [])]) table.set(`--${name}`, { option, ...value });
    if (option.short !== undefined) table.set(`-${option.short}`, { option, ...value });
    if (option.kind === "pair") table.set(negativeOf(option), { option, value: false });
  }
  return table;
}

export function negativeOf(option: Option): string {
  return option.negative ?? `--no-${option.name}`;
}

function readWords(options: readonly Option[], words: readonly string[]): Given[] {
  const table = spellings(options);
  const rest = [...words];
  const given: Given[] = [];

  /** The value of an option that takes one: glued on, or the next word. */
  const take = (spelling: string, option: Option, glued: string | undefined): string | null => {
    if (glued !== undefined) return glued;
    const next = rest[0];
    if (option.kind === "optional" && (next === undefined || (next.startsWith("-") && next !== "-"))) {
      return null;
    }
    if (next === undefined) throw usage(`Option '${spelling}' requires an argument.`);
    rest.shift();
    return next;
  };

  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--") {
      given.push(...rest.splice(0).map((raw) => ({ option: undefined, raw })));
    } else if (!word.startsWith("-") || word === "-") {
      given.push({ option: undefined, raw: word });
    } else {
      const equals = word.indexOf("=");
      const spelling = equals < 0 ? word : word.slice(0, equals);
      const glued = equals < 0 ? undefined : word.slice(equals + 1);
      // A two-character word is a short flag and never "long": `-n=x` is -n with the value `=x`, as click has it.
      const long = spelling.length > 2 ? table.get(spelling) : undefined;
      if (long !== undefined) {
        if (long.value === undefined) {
          given.push({ option: long.option, raw: take(spelling, long.option, glued) });
        } else if (glued !== undefined) throw usage(`Option '${spelling}' does not take a value.`);
        else given.push({ option: long.option, raw: long.value });
      } else if (word.startsWith("--")) throw usage(noSuchOption(spelling, [...table.keys()]));
      else readCluster(word);
    }
  }
  return given;

  /** `-yd`, `-n4`, `-yn 4`. */
  function readCluster(word: string): void {
    const letters = [...word.slice(1)];
    for (let index = 0; index < letters.length; index++) {
      const spelling = `-${letters[index]}`;
      const short = table.get(spelling);
      if (short === undefined) throw usage(`No such option: ${spelling}`);
      if (short.value !== undefined) {
        given.push({ option: short.option, raw: short.value });
        continue;
      }
      const glued = letters.slice(index + 1).join("");
      given.push({
        option: short.option,
        raw: take(spelling, short.option, glued === "" ? undefined : glued),
      });
      return;
    }
  }
}

function noSuchOption(spelling: string, known: readonly string[]): string {
  const close = closeMatches(spelling, known.filter((one) => one.length > 2), { count: 3 }).toSorted();
  const [first] = close;
  if (first === undefined) return `No such option: ${spelling}`;
  if (close.length === 1) return `No such option: ${spelling} Did you mean ${first}?`;
  return `No such option: ${spelling} (Possible options: ${close.join(", ")})`;
}

function convert(option: Option, raw: string | boolean | null): Value {
  if (typeof raw !== "string") return raw;
  const invalid = (reason: string) => usage(`Invalid value for ${nameInErrors(option)}: ${reason}`);
  if (option.kind === "int") {
    const text = raw.trim();
    const value = Number(text);
    if (/^[+-]?\d+$/.test(text) && Number.isSafeInteger(value)) return value;
    throw invalid(`'${raw}' is not a valid integer.`);
  }
  if (option.kind === "choice") {
    const same = (choice: string) =>
      option.caseInsensitive === true ? choice.toLowerCase() === raw.toLowerCase() : choice === raw;
    const choices = option.choices ?? [];
    const choice = choices.find(same);
    if (choice !== undefined) return choice;
    throw invalid(`'${raw}' is not one of ${choices.map((one) => `'${one}'`).join(", ")}.`);
  }
  return raw;
}

/** `'--cluster' / '-c'`. */
function nameInErrors(option: Option): string {
  const names = [`--${option.name}`, ...(option.short === undefined ? [] : [`-${option.short}`])];
  return names.map((name) => `'${name}'`).join(" / ");
}

/** `CLUSTER`, `[CLUSTER]`, `JOBS...`, `[JOBS]...` as in usage lines. */
export function argumentMetavar(argument: Argument): string {
  return (argument.required ? argument.name : `[${argument.name}]`) + (argument.many ? "..." : "");
}

function checkArguments(declared: readonly Argument[], args: readonly string[]): void {
  for (const [index, argument] of declared.entries()) {
    if (argument.required && args.length <= index) {
      throw usage(`Missing argument '${argumentMetavar(argument)}'.`);
    }
  }
  if (declared.some((argument) => argument.many)) return;
  const extra = args.slice(declared.length);
  if (extra.length === 0) return;
  throw usage(`Got unexpected extra argument${extra.length > 1 ? "s" : ""} (${extra.join(" ")})`);
}

export function usage(message: string): SkyError {
  return new SkyError("usage", message);
}

interface Ingredients {
  readonly values: ReadonlyMap<string, Value>;
  readonly args: readonly string[];
  readonly path: string;
  readonly words: readonly string[];
}

function makeInput(options: readonly Option[], made: Ingredients): Input {
  const kinds = new Map(options.map((option) => [option.name, option]));
  const read = (name: string, ...allowed: Option["kind"][]): Value | undefined => {
    const option = kinds.get(name);
    if (option === undefined || !allowed.includes(option.kind)) {
      throw new Error(`${made.path}: option --${name} is not declared as ${allowed.join(" or ")}`);
    }
    return made.values.get(name);
  };
  const textual = ["text", "choice"] as const;
  return {
    args: made.args,
    path: made.path,
    commandLine: recorded(options, made),
    has: (name) => kinds.has(name),
    flag: (name) => read(name, "flag") === true,
    pair: (name) => {
      const value = read(name, "pair");
      return typeof value === "boolean" ? value : undefined;
    },
    text: (name) => {
      const value = read(name, ...textual);
      return typeof value === "string" ? value : undefined;
    },
    int: (name) => {
      const value = read(name, "int");
      return typeof value === "number" ? value : undefined;
    },
    texts: (name) => {
      const value = read(name, ...textual, "int");
      return Array.isArray(value) ? value : [];
    },
    optional: (name) => {
      const value = read(name, "optional");
      return typeof value === "string" || value === null ? value : undefined;
    },
  };
}

const SECRET_VALUES = ["secret", "token"];

/** The command line for records: shell-quoted, values of secrets replaced. */
function recorded(options: readonly Option[], made: Ingredients): string {
  const secrets = options.filter((option) => SECRET_VALUES.includes(option.name) && option.kind === "text");
  const names = new Set(
    secrets.flatMap((one) => [one.name, ...(one.aliases ?? [])].map((name) => `--${name}`)),
  );
  const shorts = new Set(secrets.flatMap((one) => one.short === undefined ? [] : [`-${one.short}`]));
  const out: string[] = [];
  let before = "";
  for (const [index, word] of made.words.entries()) {
    if (before === "--") {
      out.push(...made.words.slice(index).map(shellQuote));
      break;
    }
    const equals = word.indexOf("=");
    if (names.has(before) || shorts.has(before)) out.push(redacted(before, word));
    else if (equals > 0 && names.has(word.slice(0, equals))) {
      const name = word.slice(0, equals);
      out.push(`${name}=${redacted(name, word.slice(equals + 1))}`);
    } else if (word.length > 2 && shorts.has(word.slice(0, 2))) {
      out.push(word.slice(0, 2) + redacted(word.slice(0, 2), word.slice(2)));
    } else out.push(shellQuote(word));
    before = word;
  }
  return [made.path, ...out].join(" ");
}

/** `KEY=VALUE` keeps its key; a bare --secret KEY names a variable and is no secret itself; a token is one. */
function redacted(spelling: string, value: string): string {
  const equals = value.indexOf("=");
  if (spelling === "--secret") return equals < 0 ? shellQuote(value) : `${value.slice(0, equals)}=<redacted>`;
  return "<redacted>";
}

/** As a POSIX shell reads it back. */
export function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}
