/**
 * What TAB offers: click's `_SKY_COMPLETE` protocol for bash, zsh and fish (cli.md §9.6). Names come in one hop from
 * a server that runs already; none is ever started for it, and any failure just offers nothing. The scripts that
 * call this are completion_files.ts's.
 */
import type { CompletionKind } from "../sdk/client.ts";
import type { Completes, Option } from "./command.ts";
import { commands, type Entry, type EntryGroup, isEntryGroup } from "./commands/mod.ts";
import { negativeOf, withHelp } from "./parse.ts";
import type { World } from "./run.ts";

interface Offer {
  readonly type: "plain" | "file" | "dir";
  readonly value: string;
  readonly help?: string;
}

const PATIENCE_MS = 2000;
/** Our word → the server's (wire.md §4.7). */
const SERVER_KINDS: Readonly<Record<"cluster" | "request" | "storage" | "volume", CompletionKind>> = {
  cluster: "cluster_name",
  request: "api_request",
  storage: "storage_name",
  volume: "volume_name",
};

/** Answer one call of the protocol: print the shell's script, or the offers for the words typed so far. */
export async function complete(world: World, rootOptions: readonly Option[]): Promise<number> {
  const [shell = "", action = ""] = (world.env("_SKY_COMPLETE") ?? "").split("_");
  if (action === "source") {
    const { completionScript } = await import("./completion_files.ts");
    const script = completionScript(shell);
    if (script === undefined) return 1;
    world.out.write(script);
    return 0;
  }
  if (action !== "complete") return 1;
  const { args, incomplete } = typedWords(shell, world);
  for (const offer of await offersFor(args, incomplete, { world, rootOptions })) {
    world.out.line(encodeOffer(shell, offer));
  }
  return 0;
}

function encodeOffer(shell: string, offer: Offer): string {
  if (shell === "zsh") return `${offer.type}\n${offer.value.replaceAll(":", "\\:")}\n${offer.help ?? "_"}`;
  if (shell === "fish" && offer.help !== undefined) return `${offer.type},${offer.value}\t${offer.help}`;
  return `${offer.type},${offer.value}`;
}

function typedWords(shell: string, world: World): { args: string[]; incomplete: string } {
  const words = splitWords(world.env("COMP_WORDS") ?? "");
  const current = world.env("COMP_CWORD") ?? "";
  if (shell === "fish") {
    const args = words.slice(1);
    if (current !== "" && args.at(-1) === current) args.pop();
    return { args, incomplete: current };
  }
  const index = Number(current);
  return { args: words.slice(1, index), incomplete: words[index] ?? "" };
}

/** Shell words of an unfinished line: an open quote reaches to its end. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  for (const match of text.matchAll(/(?:[^\s"'\\]|\\[\s\S]|"(?:[^"\\]|\\[\s\S])*(?:"|$)|'[^']*(?:'|$))+/g)) {
    words.push(match[0].replace(/\\([\s\S])|["']/g, (_, escaped: string | undefined) => escaped ?? ""));
  }
  return words;
}

interface Asking {
  readonly world: World;
  readonly rootOptions: readonly Option[];
}

async function offersFor(args: readonly string[], incomplete: string, asking: Asking): Promise<Offer[]> {
  let entries: readonly (Entry | EntryGroup)[] = asking.world.commands ?? commands;
  let options = asking.rootOptions;
  for (const [index, word] of args.entries()) {
    if (word.startsWith("-")) continue;
    const entry = entries.find((one) => one.name === word);
    if (entry === undefined) return [];
    if (!isEntryGroup(entry)) {
      const command = await entry.load();
      return await offersInCommand(command, args.slice(index + 1), { incomplete, world: asking.world });
    }
    entries = entry.entries;
    options = [];
  }
  if (incomplete.startsWith("-")) return optionOffers(options, [], incomplete);
  return entries.filter((entry) => entry.hidden !== true && entry.name.startsWith(incomplete))
    .map((entry): Offer => ({ type: "plain", value: entry.name, help: entry.summary }));
}

interface Cursor {
  readonly incomplete: string;
  readonly world: World;
}

async function offersInCommand(
  command: {
    readonly options: readonly Option[];
    readonly args: readonly { complete?: Completes; many: boolean }[];
  },
  words: readonly string[],
  { incomplete, world }: Cursor,
): Promise<Offer[]> {
  let positionals = 0;
  let waiting: Option | undefined;
  let onlyArguments = false;
  for (const word of words) {
    if (waiting !== undefined) waiting = undefined;
    else if (word === "--") onlyArguments = true;
    else if (!onlyArguments && word.startsWith("-") && word.length > 1) {
      waiting = optionWaiting(command.options, word);
    } else positionals++;
  }
  if (waiting !== undefined) return await valueOffers(waiting, incomplete, world);
  const equals = incomplete.indexOf("=");
  if (!onlyArguments && incomplete.startsWith("--") && equals > 0) {
    const spelling = incomplete.slice(0, equals);
    const option = command.options.find((one) => namesOf(one).includes(spelling));
    if (option === undefined) return [];
    const offers = await valueOffers(option, incomplete.slice(equals + 1), world);
    return offers.map((offer) => ({ ...offer, value: `${spelling}=${offer.value}` }));
  }
  if (!onlyArguments && incomplete.startsWith("-")) return optionOffers(command.options, words, incomplete);
  const last = command.args.at(-1);
  const argument = command.args[positionals] ?? (last?.many === true ? last : undefined);
  return argument === undefined ? [] : await named(argument.complete ?? null, incomplete, world);
}

function namesOf(option: Option): string[] {
  return [
    ...[option.name, ...(option.aliases ?? [])].map((name) => `--${name}`),
    ...(option.short === undefined ? [] : [`-${option.short}`]),
  ];
}

/** The option whose value the next word will be. */
function optionWaiting(options: readonly Option[], word: string): Option | undefined {
  const valued = options.filter((one) =>
    one.kind !== "flag" && one.kind !== "pair" && one.kind !== "optional"
  );
  const spelling = word.startsWith("--") ? word : `-${word.at(-1)}`;
  return valued.find((one) => namesOf(one).includes(spelling));
}

function optionOffers(options: readonly Option[], given: readonly string[], incomplete: string): Offer[] {
  return withHelp(options)
    .filter((option) => option.hidden !== true)
    .filter((option) => option.repeat === true || !namesOf(option).some((name) => given.includes(name)))
    .flatMap((option) => {
      const names = [`--${option.name}`, ...(option.kind === "pair" ? [negativeOf(option)] : [])];
      return names.filter((name) => name.startsWith(incomplete))
        .map((value): Offer => ({ type: "plain", value, help: option.help }));
    });
}

async function valueOffers(option: Option, incomplete: string, world: World): Promise<Offer[]> {
  if (option.choices !== undefined) {
    return option.choices.filter((choice) => choice.startsWith(incomplete)).map((value) => ({
      type: "plain",
      value,
    }));
  }
  return await named(option.complete ?? null, incomplete, world);
}

async function named(kind: Completes, incomplete: string, world: World): Promise<Offer[]> {
  if (kind === null) return [];
  if (kind === "file") return [{ type: "file", value: incomplete }];
  if (kind === "directory") return [{ type: "dir", value: incomplete }];
  if (kind === "infra") return [];
  const names = await serverNames(SERVER_KINDS[kind], incomplete, world);
  return names.filter((name) => name.startsWith(incomplete)).map((value) => ({ type: "plain", value }));
}

async function serverNames(kind: CompletionKind, incomplete: string, world: World): Promise<string[]> {
  const { promise: late, resolve: giveUp } = Promise.withResolvers<string[]>();
  const timer = setTimeout(() => giveUp([]), PATIENCE_MS);
  try {
    return await Promise.race([askServer(kind, incomplete, world), late]);
  } catch {
    return []; // whatever went wrong: a TAB must not print an error into the line being typed
  } finally {
    clearTimeout(timer);
  }
}

async function askServer(kind: CompletionKind, incomplete: string, world: World): Promise<string[]> {
  const { env, cwd } = world;
  const connect = world.connectForCompletion ?? (await import("../sdk/connect.ts")).connectForCompletion;
  const sky = await connect({ env, cwd });
  using _closing = sky;
  return await sky?.complete(kind, incomplete) ?? [];
}
