/** Whether a registered server's process lives. The start time guards against a pid that another process has now. */
import type { Registration } from "../api/wire.ts";
import { builtin } from "../core/builtin.ts";

type Process = Pick<Registration, "pid" | "startTime">;

/** False for a dead process, a zombie, and another process with the same pid. */
export function isAlive({ pid, startTime }: Process): boolean {
  if (startTime === "") return signalled(pid, 0);
  let stat: string;
  try {
    stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  } catch (error) {
    // ESRCH: it died while we read
    if (
      error instanceof Deno.errors.NotFound ||
      (error instanceof Error && /ESRCH|os error 3\b/.test(error.message))
    ) {
      return false;
    }
    throw error;
  }
  // the program's name, in parentheses, may hold anything
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] !== "Z" && fields[0] !== "X" && fields[19] === startTime;
}

/** Send a signal if it is still that process. */
export function signalServer(server: Process, signal: "SIGTERM" | "SIGKILL"): void {
  if (isAlive(server)) signalled(server.pid, signal);
}

function signalled(pid: number, signal: 0 | "SIGTERM" | "SIGKILL"): boolean {
  try {
    builtin("node:process").kill(pid, signal);
    return true;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ESRCH") return false;
    if (code === "EPERM" && signal === 0) return true;
    throw error;
  }
}
