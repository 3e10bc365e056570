/** The two sides of the comparison, each with a client and a running server of its own, and what is read from both. */
import { join } from "@std/path";
import { officialEnv, OfficialServer } from "../../tests/support/official_server.ts";
import { TestSky } from "../../tests/support/sky.ts";
import { freshSky, timeCommand } from "./measure.ts";

/** The start of a request that goes on until it is let go. */
export interface Held {
  readonly id: string;
}

export interface Side {
  readonly name: "ours" | "theirs";
  readonly url: string;
  /** Run one command of this side's client; milliseconds. */
  command(args: string[]): Promise<number>;
  processes(): Promise<number[]>;
}

export class Sides implements AsyncDisposable {
  readonly sky: TestSky;
  readonly official: OfficialServer;
  readonly ours: Side;
  readonly theirs: Side;
  readonly #clientHome: string;

  private constructor(sky: TestSky, official: OfficialServer, { url, home }: { url: string; home: string }) {
    this.sky = sky;
    this.official = official;
    this.#clientHome = home;
    this.ours = {
      name: "ours",
      url,
      command: (args) => timeCommand(sky.program[0]!, args, sky.env),
      processes: () => serverProcesses(sky),
    };
    const env = { ...officialEnv(home, official.bin), SKYPILOT_API_SERVER_ENDPOINT: official.url };
    this.theirs = {
      name: "theirs",
      url: official.url,
      command: (args) => timeCommand(join(official.bin, "sky"), args, env),
      processes: () => official.processes(),
    };
  }

  /** Both servers started and idle. `env` is for our server. */
  static async start(bin: string, env: Record<string, string> = {}): Promise<Sides> {
    const official = await OfficialServer.start(bin);
    const sky = await freshSky(env);
    await sky.ok(["api", "start"]);
    const { url } = (await sky.registration())!;
    return new Sides(sky, official, { url, home: await Deno.makeTempDir({ prefix: "official-client-" }) });
  }

  get both(): readonly Side[] {
    return [this.ours, this.theirs];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sky[Symbol.asyncDispose]();
    await this.official[Symbol.asyncDispose]();
    await Deno.remove(this.#clientHome, { recursive: true });
  }
}

/** The server and what it started for itself: jobs, which are in sessions of their own, are not its cost. */
async function serverProcesses(sky: TestSky): Promise<number[]> {
  const { pid } = (await sky.registration())!;
  const sessionOf = async (pid: number) => {
    const text = await readProc(`/proc/${pid}/stat`);
    return text.slice(text.lastIndexOf(")") + 2).split(" ")[3];
  };
  const session = await sessionOf(pid);
  const found: number[] = [];
  for (const other of await sky.processes()) {
    if (await sessionOf(other) === session) found.push(other);
  }
  return found;
}

/** Memory of a process tree, MiB: what is shared among its processes counts once (PSS). */
export async function treeMiB(side: Side): Promise<number> {
  let total = 0;
  for (const pid of await side.processes()) {
    const text = await readProc(`/proc/${pid}/smaps_rollup`);
    total += Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0) / 1024;
  }
  return total;
}

/** Processor time of a process tree so far, seconds. */
export async function treeSeconds(side: Side): Promise<number> {
  let ticks = 0;
  for (const pid of await side.processes()) {
    const text = await readProc(`/proc/${pid}/stat`);
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return ticks / 100;
}

/** Empty for a process that has ended meanwhile. */
async function readProc(path: string): Promise<string> {
  return await Deno.readTextFile(path).catch((error: unknown) => {
    if (error instanceof Deno.errors.NotFound || String(error).includes("os error 3")) return "";
    throw error;
  });
}
