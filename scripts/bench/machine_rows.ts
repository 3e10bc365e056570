/**
 * A program for the inside of the sandbox: measures $SKY_BINARY on hosts and on Slurm, from Enter, and prints the rows
 * as JSON. The server is warm; the first launch also connects and looks what the machines have, and is told apart.
 */
import { Field, type Kind } from "../../tests/fleet/field.ts";
import { firstOutput, quantile, timeCommand } from "./measure.ts";
import type { Row } from "./table.ts";

const ROUNDS = 7;

interface Case {
  readonly kind: Kind;
  readonly nodes: number;
  /** Milliseconds; null: nothing was promised. */
  readonly launch: number | null;
  readonly exec: number | null;
}

const cases: readonly Case[] = [
  { kind: "ssh", nodes: 1, launch: 1500, exec: 600 },
  { kind: "ssh", nodes: 8, launch: 3000, exec: null },
  { kind: "slurm", nodes: 2, launch: null, exec: null },
];

async function measure({ kind, nodes, launch, exec }: Case): Promise<Row[]> {
  await using field = await Field.open(kind, { nodes });
  const { sky } = field;
  const [binary] = sky.program;
  await sky.ok(["api", "start"]);
  const make = (cluster: string) =>
    firstOutput(binary!, [
      ..."launch -y --cpus 1 --memory 1 --infra".split(" "),
      field.wide,
      "-c",
      cluster,
      "--num-nodes",
      String(nodes),
      "echo the-output",
    ], { env: sky.env, text: ") the-output" });
  const first = await make("first");
  await sky.ok(["down", "-y", "first"]);
  const launches: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    launches.push(await make(`c${round}`));
    if (round < ROUNDS - 1) await sky.ok(["down", "-y", `c${round}`]);
  }
  const execs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const args = ["exec", `c${ROUNDS - 1}`, "--num-nodes", String(nodes), "true"];
    execs.push(await timeCommand(binary!, args, sky.env));
  }
  const where = `${kind === "ssh" ? "SSH pool" : "Slurm"}, ${nodes} node${nodes === 1 ? "" : "s"}`;
  const row = (what: string, times: readonly number[], target: number | null, note: string): Row => ({
    what: `${where}: ${what}`,
    figure: quantile(times, 0.5),
    unit: "ms",
    target,
    note: `[${Math.min(...times).toFixed(0)}]${note}`,
  });
  return [
    row("launch, Enter to first job output", launches, launch, `, the very first ${first.toFixed(0)} ms`),
    row("exec, to its end", execs, exec, ""),
  ];
}

const rows: Row[] = [];
for (const one of cases) rows.push(...await measure(one));
await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(rows)));
