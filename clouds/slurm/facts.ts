/**
 * What Slurm's own programs print, read: `scontrol show partition|node|config`, `squeue` and `sbatch`, as text of
 * 22.05 and later, without `--json` and without accounting. Owns these shapes; asking is ask.ts's. Pure; never throws
 * for odd text, which is left out.
 */

export interface Gres {
  /** `h100` of `gpu:h100:4`; null where the administrator gave no type. */
  readonly type: string | null;
  readonly count: number;
}

export interface SlurmNode {
  readonly name: string;
  readonly address: string;
  readonly partitions: readonly string[];
  readonly cpus: number;
  readonly cpusUsed: number;
  readonly memoryMb: number;
  readonly memoryUsedMb: number;
  /** Only GPUs. */
  readonly gres: readonly Gres[];
  readonly gresUsed: readonly Gres[];
  /** Upper case, flags without base state cut off: `IDLE`, `MIXED`, `DOWN`, … */
  readonly state: string;
  /** `DRAIN`, `NOT_RESPONDING`, `MAINTENANCE`, … */
  readonly flags: readonly string[];
  /** The administrator's words for a drained node, or null. */
  readonly reason: string | null;
}

export interface Partition {
  readonly name: string;
  readonly isDefault: boolean;
  readonly up: boolean;
  readonly hidden: boolean;
  /** As Slurm writes it (`1-00:00:00`); null for no limit. */
  readonly maxTime: string | null;
  /** Null for no limit. */
  readonly maxNodes: number | null;
}

export interface Settings {
  readonly clusterName: string | null;
  readonly version: string | null;
  /** Whether memory is a thing that is given out. */
  readonly tracksMemory: boolean;
}

/** Everything about a cluster at one moment. */
export interface Facts {
  readonly settings: Settings;
  readonly partitions: readonly Partition[];
  readonly nodes: readonly SlurmNode[];
}

/** `Key=value Key=value …` of one line. Values may hold spaces; of several values of a key the first counts. */
function pairsOf(line: string): Map<string, string> {
  const pairs = new Map<string, string>();
  const marks = [...line.matchAll(/(?:^|\s)([A-Za-z][A-Za-z0-9_:/&-]*)=/g)];
  for (const [i, mark] of marks.entries()) {
    const from = mark.index + mark[0].length;
    const to = marks[i + 1]?.index ?? line.length;
    if (!pairs.has(mark[1]!)) pairs.set(mark[1]!, line.slice(from, to).trim());
  }
  return pairs;
}

function linesOf(text: string, first: string): Map<string, string>[] {
  return text.split("\n").filter((line) => line.startsWith(`${first}=`)).map(pairsOf);
}

const none = (text: string | undefined): string | null =>
  text === undefined || ["", "(null)", "N/A", "n/a", "NONE", "UNLIMITED", "INFINITE"].includes(text)
    ? null
    : text;

/** A whole number of a text that begins with one; 0 for anything else. */
function count(text: string | undefined): number {
  const number = Number.parseInt(text ?? "", 10);
  return Number.isSafeInteger(number) && number >= 0 ? number : 0;
}

/** Lines of `scontrol show partition -o`. */
export function parsePartitions(text: string): Partition[] {
  return linesOf(text, "PartitionName").flatMap((pairs) => {
    const name = pairs.get("PartitionName")!;
    if (!isWord(name)) return [];
    const maxNodes = none(pairs.get("MaxNodes"));
    return [{
      name,
      isDefault: pairs.get("Default") === "YES",
      up: pairs.get("State") === "UP",
      hidden: pairs.get("Hidden") === "YES",
      maxTime: none(pairs.get("MaxTime")),
      maxNodes: maxNodes === null ? null : count(maxNodes),
    }];
  });
}

/** Lines of `scontrol show node -d -o`. */
export function parseNodes(text: string): SlurmNode[] {
  return linesOf(text, "NodeName").flatMap((pairs) => {
    const name = pairs.get("NodeName")!;
    if (!isWord(name)) return [];
    const [state = "UNKNOWN", ...flags] = (pairs.get("State") ?? "UNKNOWN").split("+");
    // Older ones mark a node that doesn't answer with a star, and others with signs of their own.
    const silent = state.endsWith("*");
    return [{
      name,
      address: none(pairs.get("NodeAddr")) ?? name,
      partitions: (none(pairs.get("Partitions")) ?? "").split(",").filter(isWord),
      cpus: count(pairs.get("CPUEfctv") ?? pairs.get("CPUTot")),
      cpusUsed: count(pairs.get("CPUAlloc")),
      memoryMb: count(pairs.get("RealMemory")),
      memoryUsedMb: count(pairs.get("AllocMem")),
      gres: parseGres(pairs.get("Gres") ?? ""),
      gresUsed: parseGres(pairs.get("GresUsed") ?? ""),
      state: state.replace(/[^A-Z_].*$/i, "").toUpperCase(),
      flags: [...flags, ...(silent ? ["NOT_RESPONDING"] : [])].map((flag) => flag.replace(/\W+$/, "")),
      reason: none(pairs.get("Reason")),
    }];
  });
}

const SHORT: Readonly<Record<string, string>> = { ALLOCATED: "alloc", MIXED: "mix", COMPLETING: "comp" };
const MARKS: readonly (readonly [flag: string, word: string])[] = [
  ["MAINTENANCE", "maint"],
  ["COMPLETING", "comp"],
  ["RESERVED", "resv"],
];

/** The state of a node as `sinfo` shows it: `idle`, `mix`, `drain`, `down*`, … */
export function stateWord({ state, flags }: Pick<SlurmNode, "state" | "flags">): string {
  const busy = ["ALLOCATED", "MIXED", "COMPLETING"].includes(state) || flags.includes("COMPLETING");
  const word = flags.includes("DRAIN") && state !== "DOWN"
    ? busy ? "drng" : "drain"
    : MARKS.find(([flag]) => flags.includes(flag))?.[1] ?? SHORT[state] ?? state.toLowerCase();
  return flags.includes("NOT_RESPONDING") ? `${word}*` : word;
}

/** `gpu:h100:4(S:0-1),gpu:a100:2(IDX:0-1),lustre:1`: the GPUs of it. */
export function parseGres(text: string): Gres[] {
  return text.replace(/\([^)]*\)/g, "").split(",").flatMap((part) => {
    const [kind, ...rest] = part.trim().split(":");
    if (kind !== "gpu") return [];
    const amount = rest.length === 0 ? "1" : /^\d+$/.test(rest.at(-1)!) ? rest.pop()! : "1";
    const type = rest.length === 0 || !isWord(rest[0]!) ? null : rest[0]!;
    return [{ type, count: count(amount) }];
  });
}

/** Lines of `scontrol show config`. */
export function parseSettings(text: string): Settings {
  const value = (key: string) => none(new RegExp(`^${key}\\s*=\\s*(.*?)\\s*$`, "m").exec(text)?.[1]);
  return {
    clusterName: value("ClusterName"),
    version: value("SLURM_VERSION"),
    tracksMemory: /MEMORY/i.test(value("SelectTypeParameters") ?? ""),
  };
}

/** One line of bounded length that no terminal obeys. */
export function plain(text: string, limit = 200): string {
  // deno-lint-ignore no-control-regex -- Control characters are what goes.
  return text.replace(/[\x00-\x1f\x7f-\x9f]+/g, " ").trim().slice(0, limit);
}

/** Names of nodes, partitions and GRES: nothing that needs quoting, nothing that looks like an option. */
export function isWord(text: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$/.test(text);
}

export interface SlurmJob {
  readonly id: string;
  /** `PENDING`, `RUNNING`, `COMPLETING`, `NODE_FAIL`, … */
  readonly state: string;
  /** Slurm's word for why it is in that state; null for none. */
  readonly reason: string | null;
  readonly numNodes: number;
}

/** What `squeue -o` is asked to print of each of our jobs. */
export const JOB_FORMAT = "%A|%T|%D|%r";

/** Jobs of `squeue -h -o JOB_FORMAT`, oldest first. */
export function parseJobs(text: string): SlurmJob[] {
  return text.split("\n").flatMap((line) => {
    const [, id, state, nodes, reason] = /^\s*(\d+)\|([A-Z_]+)\|(\d+)(?:-\d+)?\|(.*)$/.exec(line) ?? [];
    if (id === undefined) return [];
    const why = plain(reason!);
    return [{
      id,
      state: state!,
      reason: why === "" || why === "None" ? null : why,
      numNodes: Number(nodes),
    }];
  }).sort((a, b) => Number(a.id) - Number(b.id));
}

/** The id that `sbatch --parsable` (`12`, `12;cluster`) or a plain `sbatch` tells; null if it tells none. */
export function parseSubmitted(text: string): string | null {
  for (const line of text.split("\n")) {
    const match = /^(\d+)(?:;[\w.-]+)?$/.exec(line.trim()) ??
      /^Submitted batch job (\d+)\b/.exec(line.trim());
    if (match !== null) return match[1]!;
  }
  return null;
}

/** Waiting jobs before ours in `%A|%Q` lines: a higher priority, or the same one and older. */
export function countAhead(text: string, id: string): number {
  const rows = text.split("\n").flatMap((line) => {
    const [, job, priority] = /^\s*(\d+)\|(\d+)\s*$/.exec(line) ?? [];
    return job === undefined ? [] : [{ id: Number(job), priority: Number(priority) }];
  });
  const own = rows.find((row) => row.id === Number(id));
  if (own === undefined) return 0;
  const before = (row: typeof own) =>
    row.priority > own.priority || (row.priority === own.priority && row.id < own.id);
  return new Set(rows.filter(before).map((row) => row.id)).size;
}
