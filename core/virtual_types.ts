/** Instance types where machines are cut to measure: `4CPU--16GB--H100:1` (domain.md §2.3, appendix A.6). Pure. */
import { amount } from "./format.ts";
import type { Resources } from "./resources.ts";
import { amountOf } from "./sizes.ts";

export interface VirtualType {
  readonly cpus: number;
  readonly memoryGb: number;
  readonly accelerator: { readonly name: string; readonly count: number } | null;
}

const SHAPE = /^(\d+(?:\.\d+)?)CPU--(\d+(?:\.\d+)?)GB(?:--([\w\d-]+):(\d+))?$/;

export function formatVirtualType(type: VirtualType): string {
  const base = `${amount(type.cpus)}CPU--${amount(type.memoryGb)}GB`;
  const gpu = type.accelerator;
  return gpu === null ? base : `${base}--${gpu.name.replaceAll(" ", "_")}:${gpu.count}`;
}

/** Null if the text is no virtual type. */
export function parseVirtualType(text: string): VirtualType | null {
  const [match, cpus, memory, name, count] = SHAPE.exec(text) ?? [];
  if (match === undefined) return null;
  const accelerator = name === undefined ? null : { name, count: Number(count) };
  return { cpus: Number(cpus), memoryGb: Number(memory), accelerator };
}

/**
 * The machine that a wish means: 2 vCPUs, or 4 per accelerator; 1 GB per vCPU, or 4 with accelerators. `4+` means 4.
 * Accelerator counts are rounded up.
 */
export function virtualTypeOf(wish: Pick<Resources, "cpus" | "memory" | "accelerators">): VirtualType {
  const [gpu] = Object.entries(wish.accelerators ?? {});
  const accelerator = gpu === undefined ? null : { name: gpu[0], count: Math.ceil(gpu[1]) };
  const cpus = wish.cpus !== null
    ? amountOf(wish.cpus).value
    : accelerator === null
    ? 2
    : 4 * accelerator.count;
  const perCpu = accelerator === null ? 1 : 4;
  if (wish.memory === null) return { cpus, memoryGb: cpus * perCpu, accelerator };
  const { value, form } = amountOf(wish.memory);
  return { cpus, memoryGb: form === "perCpu" ? value * cpus : value, accelerator };
}
