/**
 * `deno task bench`: every figure that was promised, as ratios taken in one run. Prints a table, writes
 * dist/bench.json. Wants dist/sky (deno task compile) and a quiet machine. `deno task bench machines` shows that part
 * alone; the parts are client, server, size, and machines (on sshd nodes and Slurm in a sandbox, root only).
 */
import { dirname, fromFileUrl, join, resolve } from "@std/path";
import { clientRows } from "./bench/client.ts";
import { serverRows } from "./bench/server.ts";
import { machinesRows } from "./bench/machines.ts";
import { markdown, type Row } from "./bench/table.ts";

const root = resolve(dirname(fromFileUrl(import.meta.url)), "..");
const binary = Deno.env.get("SKY_BINARY") ?? join(root, "dist", "sky");
Deno.env.set("SKY_BINARY", binary);

async function sizeRows(): Promise<Row[]> {
  const { size } = await Deno.stat(binary);
  const xz = await new Deno.Command("xz", { args: ["-6", "-T0", "-c", binary], stdout: "piped" }).output();
  return [
    { what: "binary", figure: size / 1e6, unit: "MB", target: 110, note: "" },
    { what: "binary as xz", figure: xz.stdout.length / 1e6, unit: "MB", target: 32, note: "xz -6" },
  ];
}

const parts: Readonly<Record<string, () => Promise<Row[]>>> = {
  client: () => clientRows(binary),
  server: serverRows,
  size: sizeRows,
  machines: machinesRows,
};
const wanted = Deno.args.length > 0 ? Deno.args : Object.keys(parts);
const rows: Row[] = [];
for (const name of wanted) {
  const part = parts[name];
  if (part === undefined) throw new Error(`Unknown part '${name}': one of ${Object.keys(parts).join(", ")}`);
  rows.push(...await part());
}
await Deno.mkdir(join(root, "dist"), { recursive: true });
await Deno.writeTextFile(join(root, "dist", "bench.json"), JSON.stringify(rows, null, 2) + "\n");
await Deno.stdout.write(new TextEncoder().encode(markdown(rows)));
