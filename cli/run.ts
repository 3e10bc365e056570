/**
 * From argv to an exit code: find the command, parse its words, make its Io, and be the border of errors (exit
 * codes and shapes of cli.md §1.3). What commands do is theirs; exiting is main.ts's.
 */
import { closeMatches } from "../core/closest.ts";
import type { SkyConfig } from "../core/config.ts";
import { describe, isSkyError, type SkyError } from "../core/errors.ts";
import type { Env } from "../core/paths.ts";
import type { Sky } from "../sdk/client.ts";
import type { ConnectOptions } from "../sdk/connect.ts";
import type { Command, Input, Io, Option } from "./command.ts";
import { commands, type Entry, type EntryGroup, isEntryGroup } from "./commands/mod.ts";
import { commandHelp, groupHelp, groupUsageLine, usageLine } from "./help.ts";
import { orAborted } from "./interrupt.ts";
import { OUTPUT } from "./options.ts";
import { parse, usage } from "./parse.ts";
import type { Terminal } from "./terminal.ts";
import { commit, printVersionJson, VERSION_LINE } from "./version.ts";

/** What the program stands in. Tests bring their own terminal and server. */
export interface World {
  readonly out: Terminal;
  readonly env: Env;
  readonly cwd: string;
  /** Aborted by the first Ctrl+C. */
  readonly signal: AbortSignal;
  now(): number;
  /** The whole environment: every `SKYPILOT_*` variable travels with a request. */
  variables?(): Record<string, string>;
  /** Done in the time that a server takes to start; given its home. */
  readonly whileStarting?: (home: string) => Promise<void>;
  /** The default is sdk/connect.ts. */
  readonly connect?: (options: ConnectOptions) => Promise<Sky | undefined>;
  readonly connectForCompletion?: (options: { env: Env; cwd: string }) => Promise<Sky | undefined>;
  /** The default is sdk/config_paths.ts. */
  readonly openConfig?: (env: Env, cwd: string, overrides: readonly string[]) => Promise<() => SkyConfig>;
  /** The default is the whole list. */
  readonly commands?: readonly (Entry | EntryGroup)[];
}

/** Where usage errors point to. */
interface Place {
  path: string;
  usage: string;
}

const SHELLS = ["bash", "zsh", "fish", "auto"];
const ROOT_OPTIONS: readonly Option[] = [
  {
    name: "install-shell-completion",
    kind: "choice",
    choices: SHELLS,
    help: "Install shell completion for this shell.",
  },
  {
    name: "uninstall-shell-completion",
    kind: "choice",
    choices: SHELLS,
    help: "Uninstall shell completion for this shell.",
  },
  { name: "version", short: "v", kind: "flag", help: "Show the version and exit." },
  { name: "commit", short: "c", kind: "flag", help: "Show the commit and exit." },
  { ...OUTPUT[0]!, hidden: true },
];
const ROOT_TEXT =
  "Run jobs on any infra: this machine, clusters, clouds. A launch, its log and its end are kept by " +
  "an API server, so you may leave at any moment and come back.";
const ROOT_EXAMPLES = [
  "sky launch -c dev --cpus 2 'echo hello'",
  "sky status",
  "sky logs dev",
  "sky down dev",
];

/** Run one command line (without the program's name). Never throws; restores the terminal on every way out. */
export async function run(argv: readonly string[], world: World): Promise<number> {
  const place: Place = { path: "sky", usage: groupUsageLine("sky") };
  try {
    if ((world.env("_SKY_COMPLETE") ?? "") !== "") {
      const { complete } = await import("./complete.ts");
      return await complete(world, ROOT_OPTIONS);
    }
    return await dispatch(argv, world, place);
  } catch (error) {
    return await reportQuietly(error, world, place);
  } finally {
    world.out.restore();
  }
}

async function dispatch(argv: readonly string[], world: World, place: Place): Promise<number> {
  const { before, after } = splitAtCommand(argv, ROOT_OPTIONS);
  const root = parse({ args: [], options: ROOT_OPTIONS }, before, { path: "sky" });
  const entries = world.commands ?? commands;
  const columns = world.out.columns;
  const helpOfRoot = () =>
    world.out.line(groupHelp({
      path: "sky",
      text: ROOT_TEXT,
      options: ROOT_OPTIONS,
      entries,
      examples: ROOT_EXAMPLES,
      columns,
    }));
  if (root.kind === "help") return helpOfRoot(), 0;
  const early = await rootOption(root.input, world);
  if (early !== null) return early;
  if (after.length === 0) return helpOfRoot(), 0;
  return await enter(entries, after, { world, place });
}

/** Version, commit and completion act at once, whatever follows. */
async function rootOption(input: Input, world: World): Promise<number | null> {
  if (input.flag("version")) {
    if (input.text("output") === "json") printVersionJson(world.out);
    else world.out.line(VERSION_LINE);
    return 0;
  }
  if (input.flag("commit")) return world.out.line(`skypilot, commit ${commit()}`), 0;
  const install = input.text("install-shell-completion");
  const uninstall = input.text("uninstall-shell-completion");
  if (install === undefined && uninstall === undefined) return null;
  const completion = await import("./completion_files.ts");
  if (install !== undefined) return await completion.install(install, world);
  return await completion.uninstall(uninstall ?? "auto", world);
}

/** Options of a group end at its first plain word. */
function splitAtCommand(
  words: readonly string[],
  options: readonly Option[],
): { before: string[]; after: string[] } {
  let index = 0;
  while (index < words.length) {
    const word = words[index] ?? "";
    if (!word.startsWith("-") || word === "-") break;
    const valued = options.find((one) =>
      one.kind !== "flag" && (word === `--${one.name}` || word === `-${one.short}`)
    );
    index += valued === undefined ? 1 : 2;
  }
  return { before: words.slice(0, index), after: words.slice(index) };
}

async function enter(
  entries: readonly (Entry | EntryGroup)[],
  words: readonly string[],
  here: { world: World; place: Place },
): Promise<number> {
  const { world, place } = here;
  const [word = "", ...rest] = words;
  const entry = entries.find((one) => one.name === word);
  if (entry === undefined) {
    const [close] = closeMatches(word, entries.filter((one) => one.hidden !== true).map((one) => one.name));
    throw usage(`No such command '${word}'.` + (close === undefined ? "" : ` Did you mean '${close}'?`));
  }
  place.path = `${place.path} ${word}`;
  if (!isEntryGroup(entry)) return await execute(await entry.load(), rest, here);
  place.usage = groupUsageLine(place.path);
  const { before, after } = splitAtCommand(rest, []);
  const parsed = parse({ args: [], options: [] }, before, { path: place.path });
  if (parsed.kind === "input" && after.length > 0) return await enter(entry.entries, after, here);
  world.out.line(groupHelp({
    path: place.path,
    text: entry.summary,
    options: [],
    entries: entry.entries,
    examples: entry.examples ?? [],
    columns: world.out.columns,
  }));
  return 0;
}

async function execute(
  command: Command,
  words: readonly string[],
  { world, place }: { world: World; place: Place },
): Promise<number> {
  place.usage = usageLine(place.path, command);
  const parsed = parse(command, words, { path: place.path });
  if (parsed.kind === "help") {
    world.out.line(commandHelp(command, { path: place.path, columns: world.out.columns }));
    return 0;
  }
  const io = await makeIo(world, command, parsed.input);
  return await command.run(io, parsed.input);
}

async function makeIo(world: World, command: Command, input: Input): Promise<Io> {
  const { out, env, cwd, signal } = world;
  const overrides = configOverrides(command, input);
  const openConfig = world.openConfig ?? (await import("../sdk/config_paths.ts")).openConfig;
  const readConfig = await openConfig(env, cwd, overrides);
  let config: SkyConfig | undefined;
  const getConfig = () => config ??= readConfig();
  // A wrong --config is a usage error whatever the command does with it.
  if (overrides.length > 0) getConfig();

  const open = async (start: boolean) => {
    const connect = world.connect ?? (await import("../sdk/connect.ts")).connect;
    return await connect({
      env,
      cwd,
      command: input.commandLine,
      config: getConfig(),
      start,
      now: () => world.now(),
      ...(world.variables === undefined ? {} : { variables: world.variables() }),
      ...(world.whileStarting === undefined ? {} : { whileStarting: world.whileStarting }),
      // Told to people only: a program that reads our output wants what it asked for, and nothing on stderr.
      onStart: (message) => out.isTty && out.line(out.style.dim(message)),
      onStarted: () => out.isTty && out.line(`${out.style.green("✓ SkyPilot API server started.")} `),
      notice: (message) => out.spinner(message === null ? null : busyText(message)),
    });
  };
  let sky: Promise<Sky> | undefined;
  const started = async () => {
    const found = await open(true);
    if (found === undefined) throw new Error("connect() found no server and started none");
    return found;
  };
  return {
    out,
    env,
    cwd,
    signal,
    now: () => world.now(),
    config: getConfig,
    // Starting a server may take a while: Ctrl+C must not wait for it.
    sky: () => orAborted(sky ??= started(), signal),
    skyIfRunning: () => orAborted(sky ?? open(false), signal),
  };
}

function busyText(message: string): string {
  return `[yellow]API server is temporarily unavailable: ${message.replaceAll("[", "\\[")}. Retrying...[/]`;
}

function configOverrides(command: Command, input: Input): string[] {
  return command.options.flatMap((option) => {
    if (option.name === "config" && option.repeat === true) return [...input.texts("config")];
    const value = option.overrides === undefined ? undefined : input.text(option.name);
    return value === undefined ? [] : [`${option.overrides}=${value}`];
  });
}

/** The border itself must not fall over a closed pipe. */
async function reportQuietly(error: unknown, world: World, place: Place): Promise<number> {
  try {
    return await report(error, world, place);
  } catch (second) {
    if (second instanceof Deno.errors.BrokenPipe) return 1;
    throw second;
  }
}

async function report(error: unknown, world: World, place: Place): Promise<number> {
  const { out, env } = world;
  // `sky status | head`: the reader has what it wanted.
  if (error instanceof Deno.errors.BrokenPipe) return 0;
  out.restore();
  if (isSkyError(error, "usage")) {
    out.error(`${place.usage}\nTry '${place.path} -h' for help.\n\nError: ${error.message}`);
    return 2;
  }
  if (world.signal.aborted || isSkyError(error, "aborted")) {
    out.error(world.signal.aborted ? "\nAborted!" : "Aborted!");
    return 1;
  }
  const debug = ["1", "true"].includes((env("SKYPILOT_DEBUG") ?? "").toLowerCase());
  if (!isSkyError(error)) {
    const hint = debug ? "" : "\nThis is a bug in sky. SKYPILOT_DEBUG=1 shows where.";
    out.error((debug ? stackOf(error) : `RuntimeError: ${describe(error)}`) + hint);
    return 1;
  }
  const { qualifiedName } = await import("../api/errors.ts");
  if (debug) out.error(traces(error));
  const hint = error.hint === undefined ? "" : `\n${error.hint}`;
  out.error(`${qualifiedName(error)}: ${error.message}${hint}`);
  return 1;
}

function traces(error: SkyError): string {
  const remote = error.details["stacktrace"];
  const server = typeof remote === "string" ? `=== Traceback on SkyPilot API Server ===\n${remote}\n` : "";
  return server + stackOf(error);
}

function stackOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
