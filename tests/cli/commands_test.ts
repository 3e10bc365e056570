import { assert, assertEquals, assertRejects } from "@std/assert";
import { assertSnapshot } from "@std/testing/snapshot";
import type { Command } from "../../cli/command.ts";
import { commands, type Entry, type EntryGroup, isEntryGroup } from "../../cli/commands/mod.ts";
import { splitWords } from "../../cli/complete.ts";
import { parse } from "../../cli/parse.ts";
import { SkyError } from "../../core/errors.ts";
import { sky } from "./fake_sky.ts";

interface Named {
  readonly path: readonly string[];
  readonly entry: Entry;
}

function all(entries: readonly (Entry | EntryGroup)[], above: readonly string[] = []): Named[] {
  return entries.flatMap((entry) => {
    const path = [...above, entry.name];
    return isEntryGroup(entry) ? all(entry.entries, path) : [{ path, entry }];
  });
}

const LIST = all(commands);
const loaded: [Named, Command][] = await Promise.all(
  LIST.map(async (one): Promise<[Named, Command]> => [one, await one.entry.load()]),
);

Deno.test("commands are listed in the order of the reference", () => {
  const order =
    ("launch exec status cost-report queue logs cancel stop autostop start down check gpus storage volumes " +
      "jobs dashboard serve api workspace ssh debug-dump").split(" ");
  const visible = commands.filter((entry) => entry.hidden !== true).map((entry) => entry.name);
  assertEquals(visible, order.filter((name) => visible.includes(name)));
});

Deno.test("every command has help, and the list repeats its name and summary truly", () => {
  for (const [{ path, entry }, command] of loaded) {
    const where = path.join(" ");
    assert(command.help.length > 20, where);
    assert(command.examples.length > 0 || entry.hidden === true, `${where} has no examples`);
    if (entry.hidden === true) continue;
    assertEquals([entry.name, entry.summary], [command.name, command.summary], where);
  }
});

Deno.test("every example parses as a command line of its command", () => {
  for (const [{ path }, command] of loaded) {
    for (const example of command.examples) {
      const words = splitWords(example);
      const own = ["sky", ...path];
      const end = words.findIndex((word) => ["&&", "|", ";", "#"].includes(word));
      if (words.slice(0, own.length).join(" ") !== own.join(" ")) continue;
      const rest = words.slice(own.length, end < 0 ? undefined : end);
      assertEquals(parse(command, rest, { path: own.join(" ") }).kind, "input", example);
    }
  }
});

Deno.test("options of a command have distinct spellings and a help text", () => {
  for (const [{ path }, command] of loaded) {
    const where = path.join(" ");
    const spellings = command.options.flatMap((option) => [
      `--${option.name}`,
      ...(option.aliases ?? []).map((name) => `--${name}`),
      ...(option.short === undefined ? [] : [`-${option.short}`]),
    ]);
    assertEquals(new Set(spellings).size, spellings.length, where);
    for (const option of command.options) assert(option.help !== "", `${where} --${option.name}`);
    for (const argument of command.args.slice(0, -1)) {
      assert(!argument.many, `${where}: only the last may be many`);
    }
  }
});

Deno.test("--help of every command is a page that fits 80 columns", async () => {
  for (const { path } of LIST) {
    const ran = await sky([...path, "--help"]);
    assertEquals([ran.code, ran.err], [0, ""]);
    const lines = ran.out.split("\n");
    const examples = lines.indexOf("Examples:");
    for (const line of lines.slice(1, examples < 0 ? undefined : examples)) {
      assert(line.length <= 80, `${path}: ${line}`);
    }
  }
});

Deno.test("an unknown option never passes", async () => {
  for (const [, command] of loaded) {
    await assertRejects(
      () => Promise.resolve().then(() => parse(command, ["--no-such-thing-at-all"], { path: "sky" })),
      SkyError,
      "No such option: --no-such-thing-at-all",
    );
  }
});

Deno.test("help pages read as recorded", async (t) => {
  for (const argv of [[], ["launch"], ["exec"], ["logs"], ["api"], ["api", "status"], ["api", "start"]]) {
    const { out } = await sky([...argv, "-h"]);
    await assertSnapshot(t, out, `sky ${argv.join(" ")}`.trim());
  }
});
