/**
 * A `sky` of one's own for tests: its HOME, its server home, its port (0: the registration file tells), run from
 * the compiled binary ($SKY_BINARY) or else from source. Disposing stops the server and proves that nothing that
 * was started from this home is left.
 */
import { dirname, fromFileUrl, join, resolve } from "@std/path";
import { delay } from "@std/async/delay";

const root = resolve(dirname(fromFileUrl(import.meta.url)), "..", "..");

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: string;
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** Fails the test when the command is still running after this; default 60 s. */
  readonly timeoutMs?: number;
}

export interface Registration {
  readonly url: string;
  readonly socket: string;
  readonly pid: number;
  readonly port: number;
}

export class TestSky implements AsyncDisposable {
  readonly home: string;
  readonly env: Record<string, string>;
  /** argv that starts the program. */
  readonly program: readonly string[];

  constructor(home: string, extra: Record<string, string> = {}) {
    this.home = home;
    const binary = Deno.env.get("SKY_BINARY");
    this.program = binary !== undefined
      ? [binary]
      : [Deno.execPath(), "run", "-A", "--no-check", "--no-prompt", join(root, "main.ts")];
    this.env = {
      HOME: home,
      SKY_HOME: join(home, ".sky", "server"),
      SKY_PORT: "0",
      PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin",
      TERM: "xterm-256color",
      LANG: "C.UTF-8",
      ...(binary === undefined
        ? { DENO_DIR: Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno` }
        : {}),
      DENO_TLS_CA_STORE: "system,mozilla",
      ...extra,
    };
  }

  static async make(extra: Record<string, string> = {}): Promise<TestSky> {
    const home = await Deno.makeTempDir({ prefix: "sky-test-" });
    await Deno.mkdir(join(home, "work"));
    return new TestSky(home, extra);
  }

  get work(): string {
    return join(this.home, "work");
  }

  spawn(args: readonly string[], options: RunOptions & { stdio?: "piped" | "null" } = {}): Deno.ChildProcess {
    const [program, ...first] = this.program;
    return new Deno.Command(program!, {
      args: [...first, ...args],
      clearEnv: true,
      env: { ...this.env, ...options.env },
      cwd: options.cwd ?? this.work,
      stdin: options.stdin === undefined ? "null" : "piped",
      stdout: options.stdio ?? "piped",
      stderr: options.stdio ?? "piped",
    }).spawn();
  }

  /** Run one command to its end. */
  async run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    const child = this.spawn(args, options);
    if (options.stdin !== undefined) {
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(options.stdin));
      await writer.close();
    }
    return await finish(child, args, options.timeoutMs ?? 60_000);
  }

  /** Run and fail the test unless it exits 0; returns stdout. */
  async ok(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    if (code !== 0) {
      throw new Error(`sky ${args.join(" ")}: exit ${code}\n--- stdout\n${stdout}\n--- stderr\n${stderr}`);
    }
    return stdout;
  }

  /**
   * Start under a pseudo-terminal (util-linux `script`). `send` types; `until` waits for text on the screen.
   */
  terminal(args: readonly string[], options: RunOptions = {}): PtyRun {
    const words = [...this.program, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
    const child = new Deno.Command("script", {
      args: ["-qefc", `exec ${words}`, "/dev/null"],
      clearEnv: true,
      env: { ...this.env, SHELL: "/bin/sh", ...options.env },
      cwd: options.cwd ?? this.work,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    return new PtyRun(child);
  }

  async registration(): Promise<Registration | undefined> {
    try {
      return JSON.parse(await Deno.readTextFile(join(this.env.SKY_HOME!, "server.json")));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  async killServer(): Promise<void> {
    const registration = await this.registration();
    if (registration === undefined) return;
    signal(registration.pid, "SIGKILL");
    await until(() => !isAlive(registration.pid), { what: `server ${registration.pid} to die` });
  }

  /** Pids whose environment names this home: everything that was ever started from it. */
  async processes(): Promise<number[]> {
    const pids: number[] = [];
    for await (const entry of Deno.readDir("/proc")) {
      if (!/^\d+$/.test(entry.name) || Number(entry.name) === Deno.pid) continue;
      try {
        const environ = await Deno.readTextFile(`/proc/${entry.name}/environ`);
        if (
          environ.split("\0").includes(`SKY_HOME=${this.env.SKY_HOME}`) || environ.includes(`=${this.home}/`)
        ) {
          pids.push(Number(entry.name));
        }
      } catch (error) {
        // It ended meanwhile, or belongs to another user: not ours.
        const gone = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied;
        if (!gone && !String(error).includes("os error 3")) throw error;
      }
    }
    return pids;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What a broken server leaves is killed below; a server that is gone needs no farewell.
    if (await this.registration() !== undefined) {
      await this.run(["down", "-a", "-y"]).catch(() => null);
      await this.run(["api", "stop"]).catch(() => null);
    }
    for (const pid of await this.processes()) signal(pid, "SIGKILL");
    await until(async () => (await this.processes()).length === 0, {
      what: `processes of ${this.home} to end`,
    });
    await new Deno.Command("chmod", { args: ["-R", "u+rwX", this.home] }).output();
    await Deno.remove(this.home, { recursive: true });
  }
}

export class PtyRun {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  #screen = "";
  #wake: () => void = () => {};

  constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#writer = child.stdin.getWriter();
    this.#reading = this.#read(child.stdout);
  }

  /** Everything printed so far, control sequences included. */
  get screen(): string {
    return this.#screen;
  }

  /** The text without control sequences, carriage returns folded. */
  get text(): string {
    // deno-lint-ignore no-control-regex -- terminal control sequences are what is taken out
    return this.#screen.replace(/\x1b\[[0-9;?]*[a-zA-Z]/g, "").replaceAll("\r\n", "\n");
  }

  async send(keys: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(keys));
  }

  async until(pattern: string | RegExp, timeoutMs = 30_000): Promise<void> {
    const found = () => typeof pattern === "string" ? this.text.includes(pattern) : pattern.test(this.text);
    const deadline = Date.now() + timeoutMs;
    while (!found()) {
      if (Date.now() > deadline) throw new Error(`No ${pattern} on the screen:\n${this.text}`);
      await Promise.race([new Promise<void>((wake) => this.#wake = wake), delay(100)]);
    }
  }

  /** Wait for the end; returns the exit code. */
  async end(timeoutMs = 30_000): Promise<number> {
    const { code } = await withTimeout(this.#child.status, timeoutMs, () => {
      signal(this.#child.pid, "SIGKILL");
      return `terminal still open:\n${this.text}`;
    });
    await this.#reading;
    await this.#writer.close().catch(() => {}); // the reader at the other end is gone already
    return code;
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.#screen += decoder.decode(chunk, { stream: true });
      this.#wake();
    }
  }
}

export async function finish(
  child: Deno.ChildProcess,
  args: readonly string[],
  timeoutMs: number,
): Promise<Ran> {
  const output = await withTimeout(child.output(), timeoutMs, () => {
    signal(child.pid, "SIGKILL");
    return `sky ${args.join(" ")}: still running after ${timeoutMs} ms`;
  });
  const decoder = new TextDecoder();
  return { code: output.code, stdout: decoder.decode(output.stdout), stderr: decoder.decode(output.stderr) };
}

async function withTimeout<T>(work: Promise<T>, ms: number, onTimeout: () => string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(onTimeout())), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

export async function until(
  condition: () => boolean | Promise<boolean>,
  options: { what: string; timeoutMs?: number },
): Promise<void> {
  const deadline = Date.now() + (options.timeoutMs ?? 20_000);
  while (!await condition()) {
    if (Date.now() > deadline) throw new Error(`Waited in vain for ${options.what}`);
    await delay(20);
  }
}

export function isAlive(pid: number): boolean {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3) !== "Z";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || String(error).includes("os error 3")) return false;
    throw error;
  }
}

/** Signal a process; one that is gone already is fine. */
export function signal(pid: number, name: Deno.Signal): void {
  try {
    Deno.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound) && !String(error).includes("ESRCH")) throw error;
  }
}
