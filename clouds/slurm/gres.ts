/** Names of GPUs against types of GRES (domain.md §3.3): which type of a node is the GPU somebody asks for. Pure. */
import { canonicalAccelerator } from "../../core/accelerators.ts";
import type { Gres, SlurmNode } from "./facts.ts";

/** `nvidia_h100_80gb` → `h100-80gb`. */
function bare(name: string): string {
  return name.toLowerCase().replaceAll("_", "-").replace(/^(?:nvidia|amd|intel|tesla)-/, "");
}

/** Equal but for case and maker, or the words of one are among the other's, in order. */
export function gresMatches(type: string, asked: string): boolean {
  const [a, b] = [bare(type).split("-"), bare(asked).split("-")];
  return isWithin(a, b) || isWithin(b, a);
}

function isWithin(few: readonly string[], many: readonly string[]): boolean {
  let at = 0;
  for (const word of many) if (word === few[at]) at++;
  return at === few.length;
}

/** The type of these nodes that serves a name best: spelled alike, then on most nodes, then by its name. */
export function bestType(nodes: readonly SlurmNode[], asked: string): string | null {
  const counts = new Map<string, number>();
  for (const node of nodes) {
    for (const type of new Set(node.gres.flatMap((gres) => gres.type ?? []))) {
      if (gresMatches(type, asked)) counts.set(type, (counts.get(type) ?? 0) + 1);
    }
  }
  const alike = (type: string) => type.toLowerCase() === asked.toLowerCase() ? 0 : 1;
  const [best] = [...counts].sort(([a, n], [b, m]) => alike(a) - alike(b) || m - n || (a < b ? -1 : 1));
  return best?.[0] ?? null;
}

/** How people call a GPU of this type: `h100` → `H100`; untyped ones are `GPU`. */
export function gpuNameOf(type: string | null): string {
  return type === null ? "GPU" : canonicalAccelerator(bare(type).toUpperCase(), "slurm");
}

/** GPUs of a type (null: any) in a list. */
export function gresCount(gres: readonly Gres[], type: string | null): number {
  return gres.filter((one) => type === null || one.type === type).reduce((sum, one) => sum + one.count, 0);
}
