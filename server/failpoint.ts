/**
 * Named places at which tests let the server die or wait. `SKY_FAILPOINT` is `name` or `name:N` (SIGKILL at its Nth
 * passing, see requests/ and state/ for the names) or `hold:<request name>` (work of that name waits until cancelled).
 */

/** Called at every failpoint; kills this process with SIGKILL at the chosen one. */
export function failpointOf(wish: string | undefined): (name: string) => void {
  if (wish === undefined || wish === "") return () => {};
  const [chosen, count = "1"] = wish.split(":");
  let left = Number(count);
  return (name) => {
    if (name !== chosen) return;
    left -= 1;
    if (left === 0) Deno.kill(Deno.pid, "SIGKILL");
  };
}

/** Called before each request's work: holds the chosen ones in RUNNING until their signal is aborted. */
export function holdOf(wish: string | undefined): (name: string, signal: AbortSignal) => Promise<void> {
  const chosen = wish?.startsWith("hold:") ? wish.slice("hold:".length) : null;
  return async (name, signal) => {
    if (name !== chosen) return;
    await new Promise<never>((_, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  };
}
