/** Named places at which a crash test lets the server die: `SKY_FAILPOINT=name` or `name:N` for its Nth passing. */

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
