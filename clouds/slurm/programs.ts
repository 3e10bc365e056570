/**
 * Where a login node has Slurm's programs. Many a site puts them on the PATH of login shells alone, and commands over
 * ssh don't get one: then what a login shell knows is put before every command. Owns finding that out, once a login.
 */
import type { Carrier } from "../transport/remote/pipe_shell.ts";
import { pipeShell } from "../transport/remote/pipe_shell.ts";

/** Says nothing where all is well; else what a login shell has, or the first folder known to have them. */
const FIND = `
command -v sbatch >/dev/null && exit 0
"\${SHELL:-/bin/sh}" -l -c 'command -v sbatch >/dev/null && printf "\\nsky-PATH=%s\\nsky-SLURM_CONF=%s\\n" "$PATH" "$SLURM_CONF"' \\
  </dev/null 2>/dev/null
for sky_dir in /opt/slurm/bin /opt/slurm/current/bin /usr/local/slurm/bin /cm/shared/apps/slurm/current/bin /usr/local/bin; do
  [ -x "$sky_dir/sbatch" ] || continue
  printf '\\nsky-PATH=%s:%s\\n' "$PATH" "$sky_dir"
  exit 0
done
exit 0`;

const FIND_MS = 30_000;

/** Prefixes by login, kept while the server lives: what a site sets up doesn't move. */
const prefixes = new Map<string, Promise<string>>();

/** The same carrier, its commands finding Slurm. `key` names the login. */
export function findingSlurm(carrier: Carrier, key: string): Carrier {
  return {
    ...carrier,
    async begin(line, options) {
      const prefix = await prefixOf(carrier, key, options.signal);
      return await carrier.begin(line.replace(/^exec /, `exec ${prefix}`), options);
    },
  };
}

async function prefixOf(carrier: Carrier, key: string, signal: AbortSignal): Promise<string> {
  const known = prefixes.get(key);
  if (known !== undefined) {
    // Found by another's leave: its cancel is not ours.
    const prefix = await known.catch(() => null);
    if (prefix !== null) return prefix;
    signal.throwIfAborted();
  }
  const finding = pipeShell(carrier).exec(FIND, { signal, timeoutMs: FIND_MS }).then(({ stdout }) =>
    parsePrefix(stdout)
  );
  prefixes.set(key, finding);
  try {
    return await finding;
  } catch (error) {
    if (prefixes.get(key) === finding) prefixes.delete(key);
    throw error;
  }
}

/** `env PATH=… SLURM_CONF=… `, or nothing. Only plain words: any login shell is to read them alike. */
export function parsePrefix(text: string): string {
  const words = ["PATH", "SLURM_CONF"].flatMap((name) => {
    const value = new RegExp(`^sky-${name}=(/[A-Za-z0-9_.,:@/+-]*)$`, "m").exec(text)?.[1];
    return value === undefined ? [] : [`${name}=${value}`];
  });
  return words.length === 0 ? "" : `env ${words.join(" ")} `;
}
