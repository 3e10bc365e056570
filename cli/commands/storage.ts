/** `sky storage`: buckets that tasks made (cli.md §8.1). */
import { relativeTime, truncateEnd } from "../../core/format.ts";
import { plainTable } from "../../core/table.ts";
import type { Command } from "../command.ts";
import { ask } from "../follow.ts";
import { CONFIG, VERBOSE } from "../options.ts";
import { checkSelector, DELETION_OPTIONS, namesArgument, refuseDeletion } from "./deletion.ts";

const COMMAND_LENGTH = 25;

export const ls: Command = {
  name: "ls",
  summary: "List storage objects.",
  help: "List the storage objects that tasks have made.",
  examples: ["sky storage ls", "sky storage ls -v"],
  args: [],
  options: [...VERBOSE, ...CONFIG],
  run: async (io, input) => {
    const found = await ask(io, await io.sky(), "storageLs", {});
    const options = { verbose: input.flag("verbose"), now: io.now() };
    io.out.line(found.length === 0 ? "No existing storage." : storageTable(found, options));
    return 0;
  },
};

export const remove: Command = {
  name: "delete",
  summary: "Delete storage objects.",
  help: "Delete storage objects by name or glob, or all of them.",
  examples: ["sky storage delete my-bucket", "sky storage delete -y 'tmp-*'", "sky storage delete -a"],
  args: namesArgument("storage"),
  options: DELETION_OPTIONS,
  run: async (io, input) => {
    checkSelector(input);
    const found = await ask(io, await io.sky(), "storageLs", {});
    const known = found.map((one) => String(one["name"]));
    return refuseDeletion(io, input, { known, nouns: { one: "Storage", many: "storage(s)" } });
  },
};

/** Records as in wire.md §7.6. `now` in unix milliseconds. */
export function storageTable(
  records: readonly Readonly<Record<string, unknown>>[],
  { verbose, now }: { verbose: boolean; now: number },
): string {
  const rows = records.map((one) => {
    const command = String(one["last_use"] ?? "").replace(/\s*\n\s*/g, " ");
    const stores = Array.isArray(one["store"]) ? one["store"] : [];
    return [
      String(one["name"]),
      relativeTime(Number(one["launched_at"]) * 1000, now),
      stores.join(", ") || "-",
      (verbose ? command : truncateEnd(command, COMMAND_LENGTH)) || "-",
      String(one["status"] ?? "-"),
    ];
  });
  return plainTable(["NAME", "UPDATED", "STORE", "COMMAND", "STATUS"], rows);
}
