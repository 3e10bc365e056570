/**
 * One host's ssh master: starts it on its own, shares its sessions out, notices its death or its freezing and
 * replaces it. Owns the control socket and the master's end. A command's cancel never touches the master.
 */
import { join } from "@std/path";
import { SkyError } from "../../../core/errors.ts";
import type { Env } from "../../../core/paths.ts";
import { killGroup, runProcess } from "../process.ts";
import { identify, isAlive, parseIdentity, type ProcessId } from "../process_table.ts";
import type { Failure, Turn } from "../remote/pipe_shell.ts";
import { Slots } from "../remote/slots.ts";
import { brokenConnection, connectFailure } from "./failure.ts";
import type { SshHost } from "./mod.ts";
import {
  clientArguments,
  configText,
  controlArguments,
  masterArguments,
  NO_SESSION,
  sshEnvironment,
  type SshFiles,
} from "./options.ts";

/** sshd gives 10 sessions a connection if not told otherwise. */
const SESSIONS = 8;
/** ssh bounds its connecting itself, but not the logging in. */
const START_MS = 20_000;
const CHECK_MS = 2_000;
/** A master unused for longer is looked at before it is used. */
const TRUSTED_MS = 15_000;

export class Connection {
  readonly #host: SshHost;
  readonly #files: SshFiles;
  readonly #env: Readonly<Record<string, string>>;
  readonly #home: string | null;
  readonly #slots = new Slots(SESSIONS);
  readonly #life = new AbortController();
  #master: ProcessId | null = null;
  #making: Promise<void> | null = null;
  #usedAt = 0;

  constructor(host: SshHost, { files, env }: { files: SshFiles; env: Env }) {
    this.#host = host;
    this.#files = files;
    this.#env = sshEnvironment(env);
    this.#home = env("HOME") ?? null;
  }

  /** A session's place, with a master that is alive as far as one knows. */
  async begin(line: string, { signal }: { signal: AbortSignal }): Promise<Turn> {
    const release = await this.place(signal);
    return {
      argv: [...clientArguments(this.#files), "--", "sky", line],
      env: this.#env,
      cwd: "/",
      judge: (failure) => this.#judge(failure),
      doubt: () => this.#doubt(),
      release,
    };
  }

  /** Hold one of the limited sessions; call what is returned to give it back. */
  async place(signal: AbortSignal): Promise<() => void> {
    const free = await this.#slots.take(signal);
    try {
      await this.#ready(signal);
    } catch (error) {
      free();
      throw error;
    }
    return () => {
      this.#usedAt = performance.now();
      free();
    };
  }

  /** For programs that start their own ssh. */
  get client(): { argv: string[]; env: Readonly<Record<string, string>> } {
    return { argv: clientArguments(this.#files), env: this.#env };
  }

  /** End the master and everything that runs over it. */
  async close(): Promise<void> {
    this.#life.abort(new SkyError("network", `The connection to ${this.#host.name} was closed`));
    await this.#making?.catch(() => {}); // Aborted just now.
    if (this.#master === null) return;
    await this.#ask("exit");
    await this.#drop();
  }

  async #ready(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#life.signal.throwIfAborted();
    const trusted = this.#master !== null && isAlive(this.#master) &&
      performance.now() - this.#usedAt < TRUSTED_MS;
    if (trusted) return;
    // Shared by all who wait and bound to none of them.
    this.#making ??= this.#make().finally(() => this.#making = null);
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await Promise.race([this.#making, aborted.promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#making?.catch(() => {}); // Its other waiters are told, and the next one tries anew.
    }
  }

  async #make(): Promise<void> {
    await this.#adopt();
    if (this.#master === null) await this.#start();
    this.#usedAt = performance.now();
  }

  /** Take over the master that is there, be it of an earlier server; end one that doesn't answer. */
  async #adopt(): Promise<void> {
    const recorded = await Deno.readTextFile(`${this.#files.socket}.pid`).catch(() => "");
    if (recorded === "" && this.#master === null) return;
    const pid = await this.#ask("check");
    if (pid !== null) {
      this.#master = identify(pid);
      if (this.#master !== null) return;
    }
    this.#master ??= parseIdentity(recorded);
    await this.#drop();
  }

  async #start(): Promise<void> {
    await Deno.mkdir(join(this.#files.config, ".."), { recursive: true, mode: 0o700 });
    const text = configText(this.#host, { files: this.#files, home: this.#home });
    await Deno.writeTextFile(this.#files.config, text, { mode: 0o600 });
    await Deno.remove(this.#files.socket).catch(ignoreMissing);
    const clock = AbortSignal.timeout(START_MS);
    let result;
    try {
      result = await runProcess(masterArguments(this.#host, this.#files), {
        env: this.#env,
        cwd: "/",
        processes: null,
        graceMs: 100,
        maxOutput: 1 << 16,
        signal: AbortSignal.any([this.#life.signal, clock]),
      });
    } catch (error) {
      if (!clock.aborted) throw error;
      throw new SkyError("network", `Cannot reach ${this.#host.name}: the login took too long`);
    }
    if (result.code !== 0) {
      if (result.code === 127) {
        throw new SkyError("command_failed", "Cannot use ssh: there is no such program here", {
          hint: "Install the OpenSSH client",
        });
      }
      throw connectFailure(this.#host.name, result.stderr);
    }
    const pid = await this.#ask("check");
    this.#master = pid === null ? null : identify(pid);
    if (this.#master === null) throw brokenConnection(this.#host.name, "");
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
    await Deno.writeTextFile(`${this.#files.socket}.pid`, `${stat.trim()}\n${this.#master.boot}\n`, {
      mode: 0o600,
    });
  }

  /** The master's pid, null if there is none or it doesn't answer. */
  async #ask(what: "check" | "exit"): Promise<number | null> {
    const clock = AbortSignal.timeout(CHECK_MS);
    try {
      const { code, stdout, stderr } = await runProcess(controlArguments(this.#files, what), {
        env: this.#env,
        cwd: "/",
        processes: null,
        graceMs: 0,
        signal: clock,
      });
      const match = /pid=(\d+)/.exec(stdout + stderr);
      return code === 0 && match !== null ? Number(match[1]) : null;
    } catch (error) {
      if (clock.aborted) return null;
      throw error;
    }
  }

  /** Kill the master, if it lives, and forget it. */
  async #drop(): Promise<void> {
    const master = this.#master;
    this.#master = null;
    if (master !== null) await killGroup(master, { graceMs: 0 });
    for (const path of [this.#files.socket, `${this.#files.socket}.pid`]) {
      await Deno.remove(path).catch(ignoreMissing);
    }
  }

  async #judge({ stderr }: Failure): Promise<SkyError | "again"> {
    const master = this.#master;
    if (neverBegan(stderr)) {
      // Refused by a living master: its sessions are used up by somebody else. Else it is made anew.
      if (master !== null && (!isAlive(master) || await this.#ask("check") === null)) {
        await this.#forget(master);
      }
      return "again";
    }
    if (master !== null && await this.#ask("check") === null) await this.#forget(master);
    return brokenConnection(this.#host.name, stderr);
  }

  async #doubt(): Promise<void> {
    const master = this.#master;
    if (master !== null && await this.#ask("check") === null) await this.#forget(master);
  }

  /** Drop a master that is no good, unless somebody did already. */
  async #forget(master: ProcessId): Promise<void> {
    if (this.#master === master) await this.#drop();
  }
}

/** A client only ever speaks to a server itself when its master gave it no session. */
function neverBegan(stderr: string): boolean {
  return stderr.includes(NO_SESSION) || /^(kex|ssh)_exchange_identification: /m.test(stderr);
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
