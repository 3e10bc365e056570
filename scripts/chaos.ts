/** `deno task chaos --seed S --cycles N`: the chaos run of tests/chaos, as long as you like. */
import { chaos } from "../tests/chaos/chaos.ts";

function option(name: string, otherwise: number): number {
  const at = Deno.args.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(Deno.args[at + 1]);
}

const seed = option("seed", Math.floor(Math.random() * 2 ** 31));
const cycles = option("cycles", 50);
const print = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
print(`seed ${seed}, ${cycles} cycles`);
const result = await chaos({ seed, cycles, log: print });
print(
  `seed ${seed}: ${result.kills} kills, ${result.sent} requests sent, ${result.acknowledged} acknowledged, ${result.jobsProven} jobs proven, ${result.logBytes} log bytes compared, ${result.violations.length} violations`,
);
Deno.exit(result.violations.length === 0 ? 0 : 1);
