/**
 * Machines for tests: a driver of fleet/fleet.sh and fleet/slurm.sh. Each fleet has its own network, names and
 * folder, so that several run side by side. Disposing it ends every process and takes away all it made. Root only,
 * with the packages that `.ci/run` installs; scripts/test.ts runs what needs it in a sandbox.
 */
import { dirname, fromFileUrl, join } from "@std/path";

const scripts = join(dirname(fromFileUrl(import.meta.url)), "fleet");
/** Which numbers are taken; a number is a fleet's network. */
const NUMBERS = "/run/sky-fleets";

export interface FleetOptions {
  /** User dev has the same home on all nodes. Always so with Slurm. */
  readonly shared?: boolean;
  /** Start Slurm: node 1 is the login node, the others compute. */
  readonly slurm?: boolean;
}

export interface ToolOutput {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Nodes are numbered from 1. */
export class Fleet implements AsyncDisposable {
  readonly folder: string;
  readonly size: number;
  /** The private key that lets root and dev in. */
  readonly identity: string;
  readonly #number: number;

  private constructor(folder: string, size: number, number: number) {
    this.folder = folder;
    this.size = size;
    this.identity = join(folder, "id");
    this.#number = number;
  }

  static async up(size: number, { shared = false, slurm = false }: FleetOptions = {}): Promise<Fleet> {
    const folder = await Deno.makeTempDir({ prefix: "sky-fleet-" });
    const fleet = new Fleet(folder, size, await takeNumber());
    try {
      await fleet.tool("up", String(size), ...(shared || slurm ? ["shared"] : []));
      if (slurm) await fleet.#script("slurm.sh", ["up"]);
      return fleet;
    } catch (error) {
      await fleet[Symbol.asyncDispose]();
      throw error;
    }
  }

  ip(node: number): string {
    return `10.77.${this.#number}.${node}`;
  }

  /** One verb of fleet.sh; throws with what it said when it fails. */
  async tool(verb: string, ...args: string[]): Promise<string> {
    return (await this.#script("fleet.sh", [verb, ...args])).stdout;
  }

  cut(node: number): Promise<string> {
    return this.tool("cut", `${node}`);
  }
  heal(node: number): Promise<string> {
    return this.tool("heal", `${node}`);
  }
  /** No word between the node and this machine, in silence; nodes still reach each other. */
  part(node: number): Promise<string> {
    return this.tool("part", `${node}`);
  }
  join(node: number): Promise<string> {
    return this.tool("join", `${node}`);
  }
  freeze(node: number): Promise<string> {
    return this.tool("freeze", `${node}`);
  }
  thaw(node: number): Promise<string> {
    return this.tool("thaw", `${node}`);
  }
  powerOff(node: number): Promise<string> {
    return this.tool("poweroff", `${node}`);
  }
  powerOn(node: number): Promise<string> {
    return this.tool("poweron", `${node}`);
  }
  killSshd(node: number): Promise<string> {
    return this.tool("killsshd", `${node}`);
  }
  startSshd(node: number): Promise<string> {
    return this.tool("startsshd", `${node}`);
  }
  /** Of what the node sends to this machine, so much never arrives; 0 ends it. */
  lose(node: number, percent: number): Promise<string> {
    return percent === 0 ? this.tool("steady", `${node}`) : this.tool("lose", `${node}`, `${percent}`);
  }
  /** How fast what it is sent arrives, e.g. `16mbit`; null for as fast as can be. */
  slow(node: number, rate: string | null): Promise<string> {
    return rate === null ? this.tool("fast", `${node}`) : this.tool("slow", `${node}`, rate);
  }
  /** Size of the node's /home and /root, or of what all share, e.g. `1m`. */
  disk(node: number | "shared", size: string): Promise<string> {
    return this.tool("disk", `${node}`, size);
  }
  hide(node: number, ...programs: string[]): Promise<string> {
    return this.tool("hide", `${node}`, ...programs);
  }
  killSlurmd(node: number): Promise<unknown> {
    return this.#script("slurm.sh", ["killd", `${node}`]);
  }
  startSlurmd(node: number): Promise<unknown> {
    return this.#script("slurm.sh", ["startd", `${node}`]);
  }
  /** A command of Slurm's administrator. */
  async admin(...argv: string[]): Promise<string> {
    return (await this.#script("slurm.sh", ["admin", ...argv])).stdout;
  }

  /** Run a program as root in a node. Its exit code is a result. */
  async inside(node: number, argv: readonly string[], stdin = ""): Promise<ToolOutput> {
    return await this.#run("fleet.sh", ["inside", `${node}`, ...argv], stdin);
  }

  /** What a shell text prints there; throws when it fails. */
  async sh(node: number, script: string, ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.inside(node, ["sh", "-c", script, "sh", ...args]);
    if (code !== 0) throw new Error(`n${node}: ${script}: exit ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** The argv of what runs in a node and is not the node's own (its init, sshd's listener, Slurm's daemons). */
  async processes(node: number): Promise<string[]> {
    const lines = (await this.tool("pids", `${node}`)).split("\n");
    return lines.map((line) => line.trim().replace(/^\d+ +\S+ +/, "")).filter((args) =>
      args !== "" && !OWN.test(args)
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#script("fleet.sh", ["down"]);
    await Deno.remove(this.folder, { recursive: true }).catch(() => {}); // `down` has done so, unless `up` failed
    await Deno.remove(join(NUMBERS, String(this.#number)));
  }

  async #script(name: string, args: readonly string[]): Promise<ToolOutput> {
    const output = await this.#run(name, args, "");
    if (output.code !== 0) {
      throw new Error(`${name} ${args.join(" ")}: exit ${output.code}\n${output.stdout}${output.stderr}`);
    }
    return output;
  }

  async #run(name: string, args: readonly string[], stdin: string): Promise<ToolOutput> {
    // By files: a daemon that a script starts may keep its output open for ever.
    const out = await Deno.makeTempFile({ prefix: "sky-fleet-out-" });
    try {
      const child = new Deno.Command("sh", {
        args: [
          "-c",
          'out=$1; shift; exec "$@" > "$out" 2> "$out.err"',
          "sh",
          out,
          join(scripts, name),
          ...args,
        ],
        env: {
          FLEET_DIR: this.folder,
          FLEET_PREFIX: `sf${this.#number}`,
          FLEET_NET: `10.77.${this.#number}`,
          FLEET_GROUP: Deno.env.get("FLEET_GROUP") ?? "sky-fleet",
          PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        },
        clearEnv: true,
        stdin: "piped",
        stdout: "null",
        stderr: "null",
      }).spawn();
      const writer = child.stdin.getWriter();
      // It may end without reading: then there is nothing to tell it.
      await writer.write(new TextEncoder().encode(stdin)).catch(() => {});
      await writer.close().catch(() => {});
      const { code } = await child.status;
      return { code, stdout: await Deno.readTextFile(out), stderr: await Deno.readTextFile(`${out}.err`) };
    } finally {
      await Deno.remove(out);
      await Deno.remove(`${out}.err`).catch(() => {}); // not there when the shell could not begin
    }
  }
}

const OWN =
  /^(tini -s -- sleep infinity|sleep infinity|sshd: .*\[listener\]|munged|slurmd|slurmctld|: slurmscriptd|ps -eo )/;

/** A number from 1 to 250 that no other fleet on this machine has. */
async function takeNumber(): Promise<number> {
  await Deno.mkdir(NUMBERS, { recursive: true });
  for (let number = 1; number <= 250; number++) {
    try {
      await Deno.mkdir(join(NUMBERS, String(number)));
      return number;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
  throw new Error(`No number is free for a fleet: remove ${NUMBERS} if no tests run`);
}
