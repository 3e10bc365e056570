/** What a person waits for, as multiples of a compiled hello-world (the floor). */
import { join } from "@std/path";
import { run as runProgram } from "../compile.ts";
import { pinnedBase } from "../denort.ts";
import { firstOutput, freshSky, interleaved, quantile, timeCommand } from "./measure.ts";
import type { Row } from "./table.ts";

async function floorProgram(folder: string): Promise<string> {
  await Deno.writeTextFile(join(folder, "hello.js"), `console.log("hello");\n`);
  await Deno.writeTextFile(join(folder, "deno.json"), `{"nodeModulesDir":"none"}`);
  const out = join(folder, "hello");
  const env: Record<string, string> = Deno.env.get("SKY_DENORT") === "npm"
    ? { DENORT_BIN: await pinnedBase(Deno.build.target, folder) }
    : {};
  const args = ["compile", "-q", "-A", "--no-check", "--no-code-cache", "-o", out, "hello.js"];
  await runProgram(Deno.execPath(), args, { cwd: folder, env });
  return out;
}

export async function clientRows(binary: string): Promise<Row[]> {
  const folder = await Deno.makeTempDir({ prefix: "sky-bench-" });
  try {
    const floor = await floorProgram(folder);
    await using warm = await freshSky();
    await warm.ok(["launch", "-c", "warm", "--cpus", "0.5", "-y", "-d", "true"]);
    const command = (args: string[]) => () => timeCommand(binary, args, warm.env);
    let n = 0;
    const samples = await interleaved([
      { name: "floor", run: () => timeCommand(floor, [], {}) },
      { name: "version", run: command(["--version"]) },
      { name: "status", run: command(["status"]) },
      { name: "exec", run: command(["exec", "warm", "true"]) },
      {
        name: "launch",
        run: () => command(["launch", "-c", `n${n++}`, "--cpus", "0.1", "-y", "-d", "true"])(),
      },
    ], 15);
    const base = samples.get("floor")!.median;
    const ratio = (name: string, what: string, target: number): Row => ({
      what,
      figure: samples.get(name)!.median / base,
      unit: "× floor",
      target,
      note: `${samples.get(name)!.median.toFixed(0)} ms [${samples.get(name)!.min.toFixed(0)}]`,
    });
    const first = await firstCommand(binary);
    const output = await launchToOutput(binary, warm.env);
    return [
      {
        what: "floor: compiled hello-world",
        figure: 1,
        unit: "× floor",
        target: null,
        note: `${base.toFixed(0)} ms`,
      },
      ratio("version", "sky --version", 1.25),
      ratio("status", "sky status, warm server", 1.5),
      {
        what: "first command ever, with server start",
        figure: first / base,
        unit: "× floor",
        target: 6,
        note: `${first.toFixed(0)} ms`,
      },
      ratio("launch", "sky launch -y -d, new local cluster", 10),
      ratio("exec", "sky exec", 5),
      { what: "Enter to first job output", figure: output, unit: "ms", target: 500, note: "" },
    ];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function firstCommand(binary: string): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 7; i++) {
    await using sky = await freshSky();
    times.push(await timeCommand(binary, ["status"], sky.env));
  }
  return quantile(times, 0.5);
}

/** From the start of `sky launch` of a new cluster until the job's line is on stdout. Milliseconds. */
async function launchToOutput(binary: string, env: Record<string, string>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 7; i++) {
    const args = ["launch", "-c", `o${i}`, "--cpus", "0.1", "-y", "echo the-output"];
    times.push(await firstOutput(binary, args, { env, text: ") the-output" }));
  }
  return quantile(times, 0.5);
}
