/**
 * A real Slurm on this machine for tests: a driver of slurm.sh. Login node and compute nodes share the file system
 * but not the processes: Slurm's have a pid namespace of their own, which ends with everything in it when this is
 * disposed of. Each has its own folder and ports. Root only, with Slurm's packages.
 */
import { dirname, fromFileUrl, join } from "@std/path";
import type { Env } from "../../core/paths.ts";

const script = join(dirname(fromFileUrl(import.meta.url)), "slurm.sh");

/** Why there can be no Slurm here; null if there can. */
export function whyNoSlurm(): string | null {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "Slurm's daemons need root on Linux";
  const missing = ["slurmctld", "slurmd", "sbatch", "munged"].filter((program) =>
    !["/usr/sbin", "/usr/bin"].some((folder) => exists(join(folder, program)))
  );
  return missing.length === 0 ? null : `not installed: ${missing.join(", ")}`;
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false; // Missing or unreadable: not to be used.
  }
}

export interface SlurmOptions {
  readonly nodes?: number;
  /** Lines for slurm.conf. */
  readonly extra?: string;
}

export class TestSlurm implements AsyncDisposable {
  readonly folder: string;
  readonly #namespace: Deno.ChildProcess;

  private constructor(folder: string, namespace: Deno.ChildProcess) {
    this.folder = folder;
    this.#namespace = namespace;
  }

  static async start({ nodes = 2, extra = "" }: SlurmOptions = {}): Promise<TestSlurm> {
    const folder = await Deno.makeTempDir({ prefix: "sky-slurm-" });
    await Deno.writeTextFile(join(folder, "extra.conf"), `${extra}\n`);
    const port = await freePorts(nodes + 1);
    const namespace = new Deno.Command("unshare", {
      args: [
        ..."-m -p -f --kill-child --mount-proc bash".split(" "),
        script,
        folder,
        String(port),
        String(nodes),
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const slurm = new TestSlurm(folder, namespace);
    const said = await firstLine(namespace.stdout);
    if (said === "ready") return slurm;
    await slurm[Symbol.asyncDispose]();
    throw new Error(`Slurm did not start: ${said}`);
  }

  /** Of a login node: HOME is `home`, Slurm's programs find this cluster. */
  env(home: string): Env {
    return (name) => name === "HOME" ? home : name === "SLURM_CONF" ? this.#config : Deno.env.get(name);
  }

  /** Run one of Slurm's programs; throws with what it said when it fails. */
  async run(program: string, ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args,
      env: { SLURM_CONF: this.#config },
      stdin: "null",
    }).output();
    const text = new TextDecoder().decode(stdout);
    if (code === 0) return text;
    throw new Error(`${program} ${args.join(" ")}: ${text}${new TextDecoder().decode(stderr)}`);
  }

  /** Run shell text among the processes of the nodes. */
  async inside(text: string): Promise<string> {
    const inner = await new Deno.Command("pgrep", { args: ["-P", String(this.#namespace.pid)] }).output();
    const pid = new TextDecoder().decode(inner.stdout).trim().split("\n")[0]!;
    const { stdout } = await new Deno.Command("nsenter", {
      args: ["-t", pid, "-m", "-p", "-r", "-w", "sh", "-c", text],
      env: { SLURM_CONF: this.#config },
      stdin: "null",
    }).output();
    return new TextDecoder().decode(stdout);
  }

  get #config(): string {
    return join(this.folder, "slurm.conf");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#namespace.stdin.abort().catch(() => {});
    try {
      this.#namespace.kill("SIGKILL");
    } catch {
      // It ended by itself.
    }
    await this.#namespace.status;
    await this.#namespace.stdout.cancel().catch(() => {});
    await Deno.remove(this.folder, { recursive: true });
  }
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    while (!text.includes("\n")) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
    }
    return text.split("\n")[0]!;
  } finally {
    reader.releaseLock();
  }
}

/** The first of `count` ports in a row that nobody listens on. Below those the kernel gives out. */
async function freePorts(count: number): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const first = 12_000 + Math.floor(Math.random() * 18_000);
    const held: Deno.Listener[] = [];
    try {
      for (let i = 0; i < count; i++) held.push(Deno.listen({ port: first + i }));
      return first;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    } finally {
      for (const listener of held) listener.close();
    }
  }
  await Promise.resolve();
  throw new Error("no free ports");
}
