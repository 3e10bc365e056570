/** Timing and memory, read the honest way: whole processes, interleaved, medians. */
import { TestSky } from "../../tests/support/sky.ts";

export interface Sample {
  readonly name: string;
  readonly median: number;
  readonly min: number;
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}

export async function wall(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

/** Run every case in turn, `rounds` times, so that a machine that slows down slows all of them. Milliseconds. */
export async function interleaved(
  cases: readonly { name: string; run: () => Promise<number> }[],
  rounds: number,
): Promise<Map<string, Sample>> {
  const times = new Map<string, number[]>(cases.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const { name, run } of cases) {
      const ms = await run();
      if (round > 0) times.get(name)!.push(ms); // the first round warms the page cache
    }
  }
  return new Map([...times].map(([name, list]) => [
    name,
    { name, median: quantile(list, 0.5), min: Math.min(...list) },
  ]));
}

/** Resident memory of a process, MiB. */
export function residentMiB(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? NaN) / 1024;
}

/** Run a program to its end with output thrown away; milliseconds. */
export async function timeCommand(
  program: string,
  args: string[],
  env: Record<string, string>,
): Promise<number> {
  return await wall(async () => {
    const { success } = await new Deno.Command(program, {
      args,
      env,
      clearEnv: true,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    if (!success) throw new Error(`Cannot measure '${args.join(" ")}': it failed`);
  });
}

/** From the start of a program until `text` is on its stdout, milliseconds. Waits for its end, too. */
export async function firstOutput(
  program: string,
  args: string[],
  { env, text }: { env: Record<string, string>; text: string },
): Promise<number> {
  const began = performance.now();
  let took: number | null = null;
  let seen = "";
  const child = new Deno.Command(program, {
    args,
    env,
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
    seen += piece;
    if (took === null && seen.includes(text)) took = performance.now() - began;
  }
  const { success } = await child.status;
  if (took === null || !success) throw new Error(`Cannot measure '${args.join(" ")}': it failed\n${seen}`);
  return took;
}

export async function freshSky(env: Record<string, string> = {}): Promise<TestSky> {
  return await TestSky.make(env);
}
