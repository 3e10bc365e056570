/** What a person waits for: the same command of both clients in turns, medians of whole processes. */
import { join } from "@std/path";
import {
  isFree,
  officialEnv,
  processesFrom,
  QUEUE_PORT,
  soleServer,
} from "../../tests/support/official_server.ts";
import { finish, isAlive, signal, until } from "../../tests/support/sky.ts";
import { freshSky, interleaved, quantile, timeCommand, wall } from "./measure.ts";
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
  using _alone = await soleServer(bin);
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
  for (const port of [DEFAULT_PORT, QUEUE_PORT]) {
    await until(() => isFree(port), {
      what: `port ${port}, which SkyPilot's server must have, to be free: what listens there?`,
    });
  }
  const home = await Deno.makeTempDir({ prefix: "official-first-" });
  const args = ["status"];
  try {
    return await wall(async () => {
      const child = new Deno.Command(join(bin, "sky"), {
        args,
        env: officialEnv(home, bin),
        clearEnv: true,
        cwd: home,
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      // Its own limit for the start of its server is a minute.
      const { code, stdout, stderr } = await finish(child, args, 180_000);
      if (code !== 0) throw new Error(`Cannot measure SkyPilot's first command:\n${stdout}${stderr}`);
    });
  } finally {
    await until(async () => {
      const pids = (await processesFrom(home)).filter(isAlive);
      for (const pid of pids) signal(pid, "SIGKILL");
      return pids.length === 0;
    }, { what: "its processes to end", timeoutMs: 60_000 });
    await Deno.remove(home, { recursive: true });
  }
}
