/**
 * What this machine has: CPUs, memory, GPUs. Owns asking for it, the kernel's limits on us included; what is
 * offered of it is offers.ts, what GPUs are called is ../gpus.ts.
 */
import { join } from "@std/path";
import type { Env } from "../../core/paths.ts";
import { nodeEnvironment } from "../transport/environment.ts";
import { type Gpu, parseGpus } from "../gpus.ts";
import { runProcess } from "../transport/process.ts";

export interface Machine {
  /** May be a fraction where a control group limits us. */
  readonly cpus: number;
  /** GiB, rounded down to a tenth. */
  readonly memoryGb: number;
  readonly gpus: readonly Gpu[];
}

const QUERY = ["--query-gpu=index,name,memory.total", "--format=csv,noheader,nounits"];
/** A driver that was never loaded takes a while; one that hangs must not hang us. */
const QUERY_MS = 15_000;
/** GPUs don't come and go; asking takes a second on some machines. Per program found. */
const known = new Map<string, readonly Gpu[]>();

/** On whose behalf the machine is looked at. */
export interface Host {
  readonly env: Env;
  readonly signal: AbortSignal;
  readonly processes: string | null;
}

async function findGpus({ env, signal, processes }: Host): Promise<readonly Gpu[]> {
  const base = nodeEnvironment(env, env("HOME") ?? "/");
  const program = await findProgram("nvidia-smi", base.PATH!);
  if (program === null) return [];
  const old = known.get(program);
  if (old !== undefined) return old;
  const timeout = AbortSignal.timeout(QUERY_MS);
  try {
    const { code, stdout } = await runProcess([program, ...QUERY], {
      signal: AbortSignal.any([signal, timeout]),
      env: base,
      cwd: "/",
      processes,
    });
    const gpus = code === 0 ? parseGpus(stdout) : [];
    if (code === 0) known.set(program, gpus);
    return gpus;
  } catch (error) {
    signal.throwIfAborted();
    if (!timeout.aborted) throw error;
    return []; // It hung and was killed: a machine without usable GPUs.
  }
}

async function findProgram(name: string, path: string): Promise<string | null> {
  for (const folder of path.split(":")) {
    if (!folder.startsWith("/")) continue;
    const found = await Deno.stat(join(folder, name)).catch(() => null); // Missing or unreadable: not here.
    if (found?.isFile && ((found.mode ?? 0) & 0o111) !== 0) return join(folder, name);
  }
  return null;
}

/** This machine, within the limits that hold for us. */
export async function thisMachine(host: Host): Promise<Machine> {
  const limits = await groupLimits("/sys/fs/cgroup", await ownGroup());
  const memory = Math.min(Deno.systemMemoryInfo().total, limits.memoryBytes);
  return {
    cpus: Math.min(navigator.hardwareConcurrency, limits.cpus),
    memoryGb: Math.floor(memory / 2 ** 30 * 10) / 10,
    gpus: await findGpus(host),
  };
}

async function ownGroup(): Promise<string> {
  const text = await readOr("/proc/self/cgroup", "");
  return /^0::(\/.*)$/m.exec(text)?.[1] ?? "/";
}

/** The tightest limits of a control group (version 2) and those above it; infinite where there are none. */
export async function groupLimits(
  root: string,
  group: string,
): Promise<{ cpus: number; memoryBytes: number }> {
  const limits = { cpus: Infinity, memoryBytes: Infinity };
  const parts = group.split("/").filter((part) => part !== "" && part !== "..");
  for (let depth = parts.length; depth >= 0; depth--) {
    const folder = join(root, ...parts.slice(0, depth));
    const [quota, period] = (await readOr(join(folder, "cpu.max"), "max")).trim().split(" ").map(Number);
    if (quota! > 0 && period! > 0) {
      limits.cpus = Math.min(limits.cpus, Math.round(quota! / period! * 100) / 100);
    }
    const memory = Number((await readOr(join(folder, "memory.max"), "max")).trim());
    if (memory > 0) limits.memoryBytes = Math.min(limits.memoryBytes, memory);
  }
  return limits;
}

async function readOr(path: string, otherwise: string): Promise<string> {
  return await Deno.readTextFile(path).catch(() => otherwise); // Not Linux, or no such controller: no limit.
}
