/**
 * SkyPilot's own API server for tests: the newest release (official.ts), run with a HOME and a port of its own.
 * Disposing ends every process that was started from that HOME. No cloud is enabled there, so a launch fails; one whose
 * task names a hold file waits for it first (HOLD below).
 */
import { join } from "@std/path";
import { NEWEST, officialBin, officialEnv } from "./official.ts";
import { isAlive, signal, until } from "./sky.ts";

export { officialBin, officialEnv };
/** The release that runs as server. */
export const OFFICIAL_VERSION = NEWEST;

/** Its request queue's, which can't be chosen. */
export const QUEUE_PORT = 50011;

/**
 * `admin_policy` of the server: a launch whose task has HOLD in its environment prints HOLD_LINES numbered lines, waits
 * until the file HOLD is gone, and goes on. That makes a request whose length and log the test decides. With HOLD_TALK
 * it prints the time in nanoseconds and an @, every so many seconds while it waits.
 */
const POLICY = `
import os
import time

import sky


class Hold(sky.AdminPolicy):

    @classmethod
    def validate_and_mutate(cls, user_request):
        envs = user_request.task.envs or {}
        if 'HOLD' in envs and user_request.request_name.value == 'launch':
            for number in range(int(envs.get('HOLD_LINES', '0'))):
                print(f'line {number} ' + 'x' * 60, flush=True)
            pause = float(envs.get('HOLD_TALK', '0.05'))
            while os.path.exists(envs['HOLD']):
                if 'HOLD_TALK' in envs:
                    print(f'{time.time_ns()}@', flush=True)
                time.sleep(pause)
        return sky.MutatedUserRequest(user_request.task, user_request.skypilot_config)
`;

export class OfficialServer implements AsyncDisposable {
  readonly home: string;
  readonly url: string;
  readonly port: number;
  readonly bin: string;
  readonly #lock: Deno.FsFile;
  #child: Deno.ChildProcess | null = null;

  private constructor(home: string, port: number, { bin, lock }: { bin: string; lock: Deno.FsFile }) {
    this.home = home;
    this.#lock = lock;
    this.port = port;
    this.bin = bin;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(bin: string): Promise<OfficialServer> {
    const home = await Deno.makeTempDir({ prefix: "official-" });
    await Deno.mkdir(join(home, ".sky"));
    await Deno.writeTextFile(join(home, "sky_hold.py"), POLICY);
    await Deno.writeTextFile(join(home, ".sky", "config.yaml"), "admin_policy: sky_hold.Hold\n");
    const lock = await soleServer(bin);
    const server = new OfficialServer(home, freePort(), { bin, lock });
    try {
      await server.run();
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The first process. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Start (again) and wait until it answers. */
  async run(): Promise<void> {
    // Another one may be somebody else's, and as slow.
    await until(() => isFree(QUEUE_PORT), { what: `port ${QUEUE_PORT} to be free`, timeoutMs: 300_000 });
    const python = join(this.bin, "python");
    const child = new Deno.Command("setsid", {
      args: [
        "sh",
        "-c",
        // When we are gone, which ends our side of stdin, so is all of it.
        "exec 3<&0; (cat <&3 >/dev/null; kill -9 0) & " +
        'exec "$0" -m sky.server.server --host 127.0.0.1 --port "$1" </dev/null 3<&- >"$2" 2>&1',
        python,
        String(this.port),
        join(this.home, "server.log"),
      ],
      clearEnv: true,
      env: officialEnv(this.home, this.bin),
      cwd: this.home,
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.#child = child;
    await until(async () => {
      if (!isAlive(child.pid)) throw new Error(`The official server ended:\n${await this.log()}`);
      return await fetch(`${this.url}/api/health`).then(
        async (answer) => (await answer.json())["status"] === "healthy",
        () => false, // not listening yet
      );
    }, { what: "the official server to answer", timeoutMs: 120_000 });
  }

  async log(): Promise<string> {
    return await Deno.readTextFile(join(this.home, "server.log"));
  }

  /** A file that keeps a launch waiting for as long as it is there; see the policy above. */
  async hold(): Promise<string> {
    return await Deno.makeTempFile({ dir: this.home, prefix: "hold-" });
  }

  /** Pids of everything that was started from this HOME. */
  async processes(): Promise<number[]> {
    return await processesFrom(this.home);
  }

  /** kill -9 of all of it. */
  async kill(): Promise<void> {
    await until(async () => {
      const pids = (await this.processes()).filter(isAlive);
      for (const pid of pids) signal(pid, "SIGKILL");
      return pids.length === 0;
    }, { what: "the official server's processes to end" });
    await this.#child?.status;
    await this.#child?.stdin.close().catch(() => {}); // whoever read it has been killed
    this.#child = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    this.#lock.close();
    await Deno.remove(this.home, { recursive: true });
  }
}

/** There can only be one on a machine (QUEUE_PORT): waits for one's turn, which ends when this is closed. */
export async function soleServer(bin: string): Promise<Deno.FsFile> {
  const lock = await Deno.open(join(bin, "..", "server.lock"), { create: true, write: true });
  await lock.lock(true);
  return lock;
}

/**
 * Pids of what was started with this HOME and in this folder. Its executors write their names over their environment:
 * those are known by the folder alone.
 */
export async function processesFrom(home: string): Promise<number[]> {
  const pids: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === Deno.pid) continue;
    try {
      const folder = await Deno.readLink(`/proc/${name}/cwd`);
      const environ = await Deno.readTextFile(`/proc/${name}/environ`);
      if (folder.startsWith(home) || environ.split("\0").includes(`HOME=${home}`)) pids.push(Number(name));
    } catch (error) {
      // It ended meanwhile, or belongs to another user: not ours.
      const gone = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied;
      if (!gone && !String(error).includes("os error 3")) throw error;
    }
  }
  return pids;
}

/** Whether nobody listens on this port of loopback. */
export function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
