/** The registration file of the server of a home: whether one is there. Starting and stopping it is service.ts's. */
import type { Registration } from "../api/wire.ts";
import type { HomePaths } from "../core/paths.ts";
import { isAlive } from "./alive.ts";

/** The registered server, if its process lives; no exchange is made. Heals nothing, but is not fooled by stale files. */
export function serverInfo(home: HomePaths): Registration | null {
  const registration = readRegistration(home);
  return registration !== null && isAlive(registration) ? registration : null;
}

/** What the file says; null when there is none, or it is none of ours. */
export function readRegistration(home: HomePaths): Registration | null {
  const text = readIfThere(home.registration);
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    return isRegistration(value) ? value : null;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null; // a stale file of something else: the next server writes it anew
  }
}

/** Two short reads that every command begins with: the way through another thread would take longer than they do. */
function readIfThere(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

function isRegistration(value: unknown): value is Registration {
  if (value === null || typeof value !== "object") return false;
  const { url, pid, startTime, version, id, socket } = value as Partial<Registration>;
  return typeof url === "string" && Number.isSafeInteger(pid) && typeof startTime === "string" &&
    typeof version === "string" && typeof id === "string" && (socket === null || typeof socket === "string");
}
