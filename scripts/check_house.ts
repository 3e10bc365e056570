/**
 * The house rules, executed: who may import whom, who owns which dependency, how long a file may be.
 * `deno task house` checks; `deno task house --graph` prints the rooms and their arrows.
 */
import { dirname, fromFileUrl, join, relative, resolve } from "@std/path";

/** Room → rooms it may import. `main.ts` and scripts stand above all; tests may import anything. */
const LADDER: Readonly<Record<string, readonly string[]>> = {
  core: [],
  api: ["core"],
  sdk: ["api", "core"],
  cli: ["sdk", "api", "core"],
  state: ["core"],
  requests: ["state", "core"],
  clouds: ["core"],
  clusters: ["clouds", "state", "core"],
  server: ["requests", "clusters", "clouds", "state", "api", "core"],
};

/** Dependency → where it may be imported (a room, or one file). */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  "hono": ["server"],
  "@libsql/client": ["state"],
  "libsql": ["state"],
  "valibot": ["core", "api"],
  "yaml": ["core"],
  "yauzl": ["server"],
  "node:child_process": ["clouds/transport", "sdk/service.ts"],
  "Deno.Command": ["clouds/transport", "sdk/service.ts"],
};

const NAMES = /(^|\/)(utils?|helpers?|commons?|types|services?|managers?)(\.ts$|\/)/;
const NAME_EXCEPTIONS = ["sdk/service.ts", "types/std.d.ts", "types/"];
const SOFT = 300;
const HARD = 400;

const root = resolve(dirname(fromFileUrl(import.meta.url)), "..");
const faults: string[] = [];
const graph = new Map<string, Map<string, number>>();

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* sources(path);
    else if (entry.name.endsWith(".ts")) yield path;
  }
}

function roomOf(path: string): string | null {
  const first = path.split("/")[0]!;
  return first in LADDER ? first : null;
}

function checkImport(file: string, room: string, specifier: string): void {
  if (specifier.startsWith(".")) {
    const target = roomOf(relative(root, resolve(root, dirname(file), specifier)));
    if (target === null || target === room) return;
    const arrows = graph.get(room) ?? new Map<string, number>();
    arrows.set(target, (arrows.get(target) ?? 0) + 1);
    graph.set(room, arrows);
    if (!LADDER[room]!.includes(target)) {
      faults.push(`${file}: '${room}' must not import '${target}' (${specifier})`);
    }
    return;
  }
  checkOwner(file, specifier);
}

function checkOwner(file: string, dependency: string): void {
  const owner = Object.keys(OWNERS).find((name) => dependency === name || dependency.startsWith(`${name}/`));
  if (owner === undefined) return;
  const allowed = OWNERS[owner]!;
  if (allowed.some((place) => file === place || file.startsWith(`${place}/`))) return;
  faults.push(`${file}: '${owner}' belongs to ${allowed.join(", ")}`);
}

for (const room of Object.keys(LADDER)) {
  for await (const path of sources(join(root, room))) {
    const file = relative(root, path);
    const text = await Deno.readTextFile(path);
    for (const match of text.matchAll(/(?:^|\n)\s*(?:import|export)\b[^;]*?\bfrom\s*"([^"]+)"/g)) {
      checkImport(file, room, match[1]!);
    }
    for (const match of text.matchAll(/\bimport\(\s*"([^"]+)"\s*\)/g)) checkImport(file, room, match[1]!);
    if (/\bnew Deno\.Command\(/.test(text)) checkOwner(file, "Deno.Command");
    if (NAMES.test(file) && !NAME_EXCEPTIONS.some((name) => file.startsWith(name))) {
      faults.push(`${file}: a name that says nothing`);
    }
    const lines = text.split("\n").length - 1;
    const reason = /^\/\*\*[\s\S]*?\bLength: /.test(text);
    if (lines > HARD) faults.push(`${file}: ${lines} lines (at most ${HARD})`);
    else if (lines > SOFT && !reason) {
      faults.push(`${file}: ${lines} lines without a 'Length:' reason in its header`);
    }
    if (!text.startsWith("/**")) faults.push(`${file}: no header saying what it owns`);
  }
}

if (Deno.args.includes("--graph")) {
  for (const [room, arrows] of graph) {
    const to = [...arrows].map(([name, count]) => `${name} (${count})`).join("  ");
    await Deno.stdout.write(new TextEncoder().encode(`${room.padEnd(9)} → ${to}\n`));
  }
}
const write = (text: string) => Deno.stdout.write(new TextEncoder().encode(text));
for (const fault of faults) await write(`house: ${fault}\n`);
await write(faults.length === 0 ? "house: in order\n" : `house: ${faults.length} faults\n`);
Deno.exit(faults.length === 0 ? 0 : 1);
