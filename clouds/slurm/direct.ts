/** The way to a cluster whose login node is this machine: commands run right here. Owns that carrier. */
import { SkyError } from "../../core/errors.ts";
import { type Env, userHome } from "../../core/paths.ts";
import { nodeEnvironment } from "../transport/environment.ts";
import type { Carrier } from "../transport/remote/pipe_shell.ts";

/** Variables by which Slurm's programs find their cluster. */
const OF_SLURM = ["SLURM_CONF", "SLURM_CONF_SERVER"];

export function directCarrier(env: Env, note: (text: string) => void): Carrier {
  const home = userHome(env);
  const own = nodeEnvironment(env, home);
  for (const name of OF_SLURM) {
    const value = env(name);
    if (value !== undefined && value !== "") own[name] = value;
  }
  const name = "this machine";
  return {
    name,
    note,
    begin: (line, { signal }) => {
      signal.throwIfAborted();
      return Promise.resolve({
        argv: ["/bin/sh", "-c", line],
        env: own,
        cwd: home,
        judge: ({ code, stderr }) => {
          const why = stderr.trim() || `code ${code}`;
          return Promise.resolve(new SkyError("network", `Cannot run a command on ${name}: ${why}`));
        },
        doubt: () => Promise.resolve(),
        release: () => {},
      });
    },
  };
}
