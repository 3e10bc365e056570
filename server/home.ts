/**
 * The server's claim on its home: directories, the lock that only one server can hold, the registration file by which
 * clients find it (house: runtime.md §2). Leaves what lies inside to its owners.
 */
import { delay } from "@std/async/delay";
import { VERSION } from "../api/wire.ts";
import type { Registration } from "../api/wire.ts";
import type { HomePaths } from "../core/paths.ts";
import { SkyError } from "../core/errors.ts";

/** Make the home and its folders, readable by nobody else. */
export async function prepareHome(home: HomePaths): Promise<void> {
  for (const folder of [home.root, home.requests, home.nodes, home.clusters, home.clients, home.cache]) {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    if (Deno.build.os !== "windows") await Deno.chmod(folder, 0o700);
  }
}

/** Held for the server's life; the kernel lets go of it however the server ends. */
export interface HomeLock extends Disposable {
  readonly path: string;
}

/** How long a holder that is not registered, because it is just starting or stopping, is waited for. */
const PATIENCE_MS = 20_000;
const LOOK_MS = 25;

/** Throws server_start_failed, naming the holder's pid, when another server has the home. */
export async function lockHome(home: HomePaths, patienceMs = PATIENCE_MS): Promise<HomeLock> {
  const file = await Deno.open(home.serverLock, { read: true, write: true, create: true, mode: 0o600 });
  for (const deadline = performance.now() + patienceMs; !await file.tryLock(true);) {
    if (!await isThere(home.registration) && performance.now() < deadline) {
      await delay(LOOK_MS);
      continue;
    }
    const pid = (await new Response(file.readable).text()).trim();
    throw new SkyError(
      "server_start_failed",
      `Cannot start the API server on ${home.root}: another one (pid ${
        pid === "" ? "unknown" : pid
      }) runs on it`,
      { hint: "sky api stop" },
    );
  }
  await file.truncate();
  await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
  return { path: home.serverLock, [Symbol.dispose]: () => file.close() };
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** A socket or registration of a server that was killed: we hold the lock, so they are nobody's. */
export async function removeStale(home: HomePaths): Promise<void> {
  for (const path of [home.socket, home.registration]) await removeIfThere(path);
}

/** Tell local clients where we are. Appears whole or not at all, mode 0600. */
export async function register(
  home: HomePaths,
  at: Pick<Registration, "id" | "url" | "port" | "socket">,
): Promise<void> {
  const registration: Registration = { ...at, pid: Deno.pid, startTime: await startTime(), version: VERSION };
  const temporary = `${home.registration}.${Deno.pid}.tmp`;
  await Deno.writeTextFile(temporary, `${JSON.stringify(registration, null, 2)}\n`, { mode: 0o600 });
  await Deno.rename(temporary, home.registration);
}

export async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Field 22 of our stat line: with the pid it names this very process. Empty where there is no /proc. */
async function startTime(): Promise<string> {
  try {
    const stat = await Deno.readTextFile(`/proc/${Deno.pid}/stat`);
    // The program's name may hold spaces and parentheses; fields are counted after its last one.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
