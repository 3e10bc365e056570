/**
 * `deno task bench:skypilot`: our client and server beside SkyPilot's own of the newest release, the same work in turns
 * in one run (issue 4 §5). Prints a table of ratios, writes dist/bench_skypilot.json. Wants dist/sky (or SKY_BINARY),
 * python3, PyPI and a quiet machine; `--quick` measures once, to see that it runs. How each figure is taken:
 * skypilot_clients.ts and skypilot_servers.ts.
 */
import { dirname, fromFileUrl, join, resolve } from "@std/path";
import { OFFICIAL_VERSION, officialBin } from "../../tests/support/official_server.ts";
import { commandRows, firstCommandRows } from "./skypilot_clients.ts";
import { comparison, type Pair } from "./skypilot_rows.ts";
import { crashRows, followerRows, idleRows, inFlightRows, shortRequestRows } from "./skypilot_servers.ts";
import { Sides } from "./skypilot_sides.ts";

const root = resolve(dirname(fromFileUrl(import.meta.url)), "..", "..");
Deno.env.set("SKY_BINARY", Deno.env.get("SKY_BINARY") ?? join(root, "dist", "sky"));
const quick = Deno.args.includes("--quick");
const wanted = Deno.args.filter((arg) => !arg.startsWith("-"));

const bin = await officialBin();
if (bin === null) Deno.exit(1);

const pairs: Pair[] = [];
const parts: Readonly<Record<string, (sides: Sides) => Promise<Pair[]>>> = {
  commands: (sides) => commandRows(sides, { rounds: quick ? 1 : 7 }),
  idle: (sides) => idleRows(sides, { seconds: quick ? 5 : 30 }),
  short: (sides) => shortRequestRows(sides, { count: quick ? 20 : 200 }),
  followers: (sides) => followerRows(sides, { count: quick ? 10 : 100, seconds: quick ? 3 : 15 }),
  in_flight: (sides) => inFlightRows(sides, { count: quick ? 4 : 20 }),
  crash: (sides) => crashRows(sides, { count: quick ? 4 : 20 }),
};
for (const name of wanted) {
  if (name !== "first" && parts[name] === undefined) {
    throw new Error(`Unknown part '${name}': one of first, ${Object.keys(parts).join(", ")}`);
  }
}
const take = (name: string) => wanted.length === 0 || wanted.includes(name);

/** To stderr: the table alone is the output. */
async function progress(name: string): Promise<void> {
  await Deno.stderr.write(new TextEncoder().encode(`${new Date().toISOString().slice(11, 19)} ${name}\n`));
}

// Before there is a server: SkyPilot's starts by itself on one fixed port.
if (take("first")) await progress("first");
if (take("first")) pairs.push(...await firstCommandRows(bin, { rounds: quick ? 1 : 3 }));
for (const [name, part] of Object.entries(parts)) {
  if (!take(name)) continue;
  await progress(name);
  // Fresh servers for each part: what one leaves behind is not charged to the next.
  await using sides = await Sides.start(bin);
  pairs.push(...await part(sides));
}

const facts = {
  date: new Date().toISOString(),
  skypilot: OFFICIAL_VERSION,
  deno: Deno.version.deno,
  cpus: navigator.hardwareConcurrency,
  memoryGiB: Math.round(Deno.systemMemoryInfo().total / 2 ** 30),
  os: `${Deno.build.os} ${Deno.osRelease()}`,
  quick,
};
await Deno.mkdir(join(root, "dist"), { recursive: true });
await Deno.writeTextFile(
  join(root, "dist", "bench_skypilot.json"),
  JSON.stringify({ ...facts, pairs }, null, 2) + "\n",
);
await Deno.stdout.write(new TextEncoder().encode(comparison(pairs, `SkyPilot ${OFFICIAL_VERSION}`)));
