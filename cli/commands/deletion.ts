/** What `storage delete` and `volumes delete` share (cli.md §8): which ones are meant, and what is said of the others. */
import { SkyError } from "../../core/errors.ts";
import { matchNames } from "../../core/names.ts";
import type { Argument, Input, Io, Option } from "../command.ts";
import { ASYNC, CONFIG, YES } from "../options.ts";
import { usage } from "../parse.ts";

export const DELETION_OPTIONS: readonly Option[] = [
  { name: "all", short: "a", kind: "flag", help: "Delete all of them." },
  ...YES,
  ...ASYNC,
  ...CONFIG,
];

export function namesArgument(complete: "storage" | "volume"): readonly Argument[] {
  return [{ name: "NAMES", required: false, many: true, complete }];
}

export interface Nouns {
  /** `Storage`, as in `Storage foo not found.` */
  readonly one: string;
  /** `storage(s)`, as in `No storage(s) to delete.` */
  readonly many: string;
}

/** Throws usage unless there are names or --all, not both. */
export function checkSelector(input: Input): void {
  if (input.flag("all") !== (input.args.length > 0)) return;
  throw usage("Either --all or a name must be specified.");
}

/**
 * Tells what is not there. What is there cannot be deleted by this client yet: throws not_supported. Our own server
 * keeps neither storage objects nor volumes, so only official servers have any.
 */
export function refuseDeletion(
  io: Io,
  input: Input,
  { known, nouns }: { known: string[]; nouns: Nouns },
): number {
  const { matched, missing } = input.flag("all")
    ? { matched: known, missing: [] }
    : matchNames(input.args, known);
  for (const name of missing) io.out.line(`${nouns.one} ${name} not found.`);
  if (matched.length === 0) {
    io.out.line(`No ${nouns.many} to delete.`);
    return 0;
  }
  const quoted = matched.map((name) => `'${name}'`).join(", ");
  throw new SkyError(
    "not_supported",
    `Cannot delete ${nouns.one.toLowerCase()} ${quoted}: this version of sky cannot delete ${nouns.many}`,
  );
}
