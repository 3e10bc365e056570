/**
 * What a host says of itself: the shell text that asks and the reading of its answer, which may come from a machine
 * that lies. Pure. Keeping the answers is facts.ts's.
 */
import { type Gpu, parseGpus } from "../gpus.ts";

/** Facts of a host. Memory and disk in GiB. */
export interface HostFacts {
  /** HOME of the login user, absolute. */
  readonly home: string;
  readonly user: string;
  /** The host's own name. */
  readonly hostname: string;
  /** Its address as we reached it, which the other hosts are most likely to reach, too; null if it did not tell. */
  readonly ip: string | null;
  readonly cpus: number;
  readonly memoryGb: number;
  readonly diskFreeGb: number | null;
  readonly gpus: readonly Gpu[];
  /** Programs that are there, of those we can make use of. */
  readonly tools: readonly string[];
}

/**
 * Prints `key=value` lines, GPUs as nvidia-smi tells them. A driver that hangs is left alone after ten seconds where
 * there is a `timeout`.
 */
export const PROBE = `
printf 'home=%s\\n' "$HOME"
printf 'user=%s\\n' "$(id -un 2>/dev/null)"
printf 'hostname=%s\\n' "$(hostname 2>/dev/null || cat /proc/sys/kernel/hostname 2>/dev/null)"
printf 'connection=%s\\n' "$SSH_CONNECTION"
printf 'cpus=%s\\n' "$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || grep -c ^processor /proc/cpuinfo)"
while read -r sky_key sky_value sky_unit; do
  case $sky_key in MemTotal:) printf 'memory=%s\\n' "$sky_value"; break ;; esac
done </proc/meminfo
df -Pk "$HOME" 2>/dev/null | { read -r sky_head; read -r sky_dev sky_all sky_used sky_free sky_rest; printf 'disk=%s\\n' "$sky_free"; }
for sky_tool in bash rsync setsid tar nvidia-smi; do
  command -v "$sky_tool" >/dev/null 2>&1 && printf 'tool=%s\\n' "$sky_tool"
done
if command -v nvidia-smi >/dev/null 2>&1; then
  sky_limit=
  command -v timeout >/dev/null 2>&1 && sky_limit='timeout 10'
  $sky_limit nvidia-smi --query-gpu=index,name,memory.total --format=csv,noheader,nounits 2>/dev/null </dev/null |
    head -n 64 | sed 's/^/gpu=/'
fi
`;

const TOOLS = ["bash", "rsync", "setsid", "tar", "nvidia-smi"];

/** Null when the answer lacks what we cannot do without: home, cores and memory. */
export function parseProbe(text: string): HostFacts | null {
  const values = new Map<string, string>();
  const gpus: string[] = [];
  const tools: string[] = [];
  for (const line of text.split("\n")) {
    const at = line.indexOf("=");
    if (at < 0) continue;
    const [key, value] = [line.slice(0, at), line.slice(at + 1).trim()];
    if (key === "gpu") gpus.push(value);
    else if (key === "tool") tools.push(value);
    else if (!values.has(key)) values.set(key, value);
  }
  const home = values.get("home") ?? "";
  const cpus = Number(values.get("cpus"));
  const memory = Number(values.get("memory"));
  // deno-lint-ignore no-control-regex -- these are what is looked for
  if (!/^\/[^\x00-\x1f\x7f]*$/.test(home) || home.length > 1024) return null;
  if (!(cpus >= 1 && cpus <= 65_536) || !(memory > 0)) return null;
  const disk = Number(values.get("disk"));
  const found = parseGpus(gpus.join("\n"));
  return {
    home: home.length > 1 ? home.replace(/\/+$/, "") : home,
    user: word(values.get("user"), /^[A-Za-z0-9_.][A-Za-z0-9_.@\\+-]*\$?$/) ?? "",
    hostname: word(values.get("hostname"), /^[A-Za-z0-9][A-Za-z0-9.-]*$/) ?? "",
    ip: addressOf(values.get("connection") ?? ""),
    cpus: Math.floor(cpus),
    memoryGb: Math.floor(memory / 2 ** 20 * 10) / 10,
    diskFreeGb: disk >= 0 ? Math.floor(disk / 2 ** 20 * 10) / 10 : null,
    gpus: found.filter((gpu, i) => found.findIndex((each) => each.index === gpu.index) === i),
    tools: TOOLS.filter((tool) => tools.includes(tool)),
  };
}

function word(text: string | undefined, shape: RegExp): string | null {
  return text !== undefined && text.length <= 255 && shape.test(text) ? text : null;
}

/** The server's side of `client port server port`. */
function addressOf(connection: string): string | null {
  const server = connection.split(" ")[2]?.replace(/%.*$/, "");
  return word(server, /^[0-9a-fA-F.:]+$/);
}
