/**
 * A real sshd for tests: without privileges, on a loopback port, with a host key, a user key and a folder of its
 * own. Ends with everybody who is logged in.
 */
import { join } from "@std/path";
import { killGroup, spawnSession } from "../../clouds/transport/process.ts";
import { identify, type ProcessId, scanProcesses } from "../../clouds/transport/process_table.ts";
import type { SshHost } from "../../clouds/transport/ssh/mod.ts";

export interface SshdOptions {
  /** More lines of sshd_config, e.g. `MaxSessions 2`. */
  readonly config?: readonly string[];
  /** PATH of what runs there; the user's own if not given. */
  readonly path?: string;
}

/** Where Debian has it; sshd wants to be called by an absolute path. */
const PROGRAMS = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];

export async function findSshd(): Promise<string | null> {
  for (const path of PROGRAMS) {
    if (await Deno.stat(path).then((info) => info.isFile, () => false)) return path;
  }
  return null;
}

export class Sshd implements AsyncDisposable {
  readonly root: string;
  readonly port: number;
  /** The user's private key. */
  readonly identityFile: string;
  /** HOME of who logs in. */
  readonly home: string;
  readonly log: string;
  readonly #options: SshdOptions;
  #listener: ProcessId | null = null;
  #child: Deno.ChildProcess | null = null;

  private constructor(root: string, port: number, options: SshdOptions) {
    this.root = root;
    this.port = port;
    this.identityFile = join(root, "user_key");
    this.home = join(root, "login");
    this.log = join(root, "sshd.log");
    this.#options = options;
  }

  static async start(options: SshdOptions = {}): Promise<Sshd> {
    const root = await Deno.makeTempDir({ prefix: "sky-sshd-" });
    const sshd = new Sshd(root, freePort(), options);
    await Deno.mkdir(sshd.home);
    await sshd.makeHostKey();
    await keygen(sshd.identityFile);
    await Deno.copyFile(`${sshd.identityFile}.pub`, join(root, "authorized_keys"));
    await sshd.#begin();
    return sshd;
  }

  /** How to get in; `port` may be a proxy's. */
  host(own: Partial<SshHost> = {}): SshHost {
    return {
      name: "node of the test",
      host: "127.0.0.1",
      user: null,
      port: this.port,
      identityFile: this.identityFile,
      options: [],
      useUserConfig: false,
      ...own,
    };
  }

  /** A new host key, as of a machine set up anew; counts after a restart. */
  async makeHostKey(): Promise<void> {
    const path = join(this.root, "host_key");
    for (const old of [path, `${path}.pub`]) await Deno.remove(old).catch(() => {});
    await keygen(path);
  }

  /** Pids of the processes that serve connections, and their sessions' leaders. */
  async connections(): Promise<number[]> {
    const listener = this.#listener;
    if (listener === null) return [];
    const rows = [...(await scanProcesses()).values()];
    const ours = new Set([listener.pid]);
    for (let size = 0; size !== ours.size;) {
      size = ours.size;
      for (const row of rows) if (ours.has(row.parent)) ours.add(row.pid);
    }
    ours.delete(listener.pid);
    return [...ours];
  }

  /** End the daemon and its connections; what was detached lives on. */
  async stop(): Promise<void> {
    if (this.#child === null || this.#listener === null) return;
    const rows = await scanProcesses();
    for (const pid of await this.connections()) {
      if (rows.get(pid)?.dead === false && (await commandOf(pid)).startsWith("sshd")) tryKill(pid);
    }
    await killGroup(this.#listener, { graceMs: 0 });
    await this.#child.status;
    [this.#child, this.#listener] = [null, null];
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.#begin();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Deno.remove(this.root, { recursive: true });
  }

  async #begin(): Promise<void> {
    const program = await findSshd();
    if (program === null) throw new Error("There is no sshd here: install openssh-server");
    const config = join(this.root, "sshd_config");
    const lines = [
      ...(this.#options.config ?? []),
      `Port ${this.port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${join(this.root, "host_key")}`,
      `AuthorizedKeysFile ${join(this.root, "authorized_keys")}`,
      `PidFile ${join(this.root, "sshd.pid")}`,
      "StrictModes no",
      "UsePAM no",
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no",
      "PermitRootLogin yes",
      "MaxStartups 100",
      "LogLevel VERBOSE",
      `SetEnv HOME=${this.home}${this.#options.path === undefined ? "" : ` PATH=${this.#options.path}`}`,
    ];
    await Deno.writeTextFile(config, lines.map((line) => `${line}\n`).join(""));
    // Root's sshd wants its directory, which only an installation's start-up makes.
    if (Deno.uid() === 0) await Deno.mkdir("/run/sshd", { recursive: true, mode: 0o755 });
    const child = spawnSession('exec "$@"', [program, "-D", "-f", config, "-E", this.log], {
      env: { PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin" },
      cwd: "/",
      stdin: "null",
      stdout: "null",
      stderr: "null",
    });
    this.#child = child;
    this.#listener = identify(child.pid);
    const deadline = performance.now() + 10_000;
    for (;;) {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port: this.port })).close();
        return;
      } catch (error) {
        if (performance.now() > deadline) {
          const log = await Deno.readTextFile(this.log).catch(() => "");
          throw new Error(`sshd does not come up: ${log}`, { cause: error });
        }
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }
}

async function keygen(path: string): Promise<void> {
  const { success } = await new Deno.Command("ssh-keygen", {
    args: ["-q", "-t", "ed25519", "-N", "", "-C", "sky test", "-f", path],
    stdin: "null",
  }).output();
  if (!success) throw new Error("ssh-keygen failed");
}

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

async function commandOf(pid: number): Promise<string> {
  return await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
}

function tryKill(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
