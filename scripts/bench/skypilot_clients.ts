/** What a person waits for: the same command of both clients in turns, medians of whole processes. */
import { join } from "@std/path";
import { isFree, officialEnv } from "../../tests/support/official_server.ts";
import { signal, until } from "../../tests/support/sky.ts";
import { freshSky, interleaved, quantile, timeCommand } from "./measure.ts";
import type { Pair } from "./skypilot_rows.ts";
import type { Sides } from "./skypilot_sides.ts";

/** Its client only ever starts a server of its own here. */
const DEFAULT_PORT = 46580;

export async function commandRows(sides: Sides, { rounds }: { rounds: number }): Promise<Pair[]> {
  const commands = [["--version"], ["api", "info"], ["status"], ["api", "status"]];
  const cases = commands.flatMap((args) =>
    sides.both.map((side) => ({ name: `${side.name} ${args.join(" ")}`, run: () => side.command(args) }))
  );
  const samples = await interleaved(cases, rounds);
  return commands.map((args) => {
    const [ours, theirs] = ["ours", "theirs"].map((name) => samples.get(`${name} ${args.join(" ")}`)!);
    return {
      what: `sky ${args.join(" ")}${args[0] === "status" ? ", warm server" : ""}`,
      ours: ours!.median,
      theirs: theirs!.median,
      unit: "ms",
      note: `best ${ours!.min.toFixed(0)} and ${theirs!.min.toFixed(0)} ms`,
    };
  });
}

/** `sky status` where nothing runs: the client starts its server. */
export async function firstCommandRows(bin: string, { rounds }: { rounds: number }): Promise<Pair[]> {
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await using sky = await freshSky();
    ours.push(await timeCommand(sky.program[0]!, ["status"], sky.env));
    theirs.push(await theirFirst(bin));
  }
  return [{
    what: "first command, with the start of the server",
    ours: quantile(ours, 0.5),
    theirs: quantile(theirs, 0.5),
    unit: "ms",
    note: "sky status",
  }];
}

async function theirFirst(bin: string): Promise<number> {
  if (!isFree(DEFAULT_PORT)) {
    throw new Error(
      `Cannot measure the first command: port ${DEFAULT_PORT} belongs to a server that runs already`,
    );
  }
  const home = await Deno.makeTempDir({ prefix: "official-first-" });
  try {
    return await timeCommand(join(bin, "sky"), ["status"], officialEnv(home, bin));
  } finally {
    await until(async () => {
      const pids = await processesOf(home);
      for (const pid of pids) signal(pid, "SIGKILL");
      return pids.length === 0;
    }, { what: "its processes to end" });
    await Deno.remove(home, { recursive: true });
  }
}

async function processesOf(home: string): Promise<number[]> {
  const pids: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const environ = await Deno.readTextFile(`/proc/${name}/environ`).catch((error: unknown) => {
      if (error instanceof Error) return ""; // gone, or somebody else's
      throw error;
    });
    if (environ.split("\0").includes(`HOME=${home}`)) pids.push(Number(name));
  }
  return pids;
}
