/** What of this machine fits a wish (domain.md §2.3, the rules of Kubernetes). Pure. */
import type { NoOffer, Offer } from "../cloud.ts";
import type { Resources } from "../../core/resources.ts";
import { gpuMatches } from "../gpus.ts";
import type { Machine } from "./machine.ts";

const DEFAULT_CPUS = 2;
const CPUS_PER_GPU = 4;
const MEMORY_PER_CPU = { plain: 1, withGpu: 4 };
const DEFAULT_DISK_GB = 256;

const INSTANCE = /^(\d+(?:\.\d+)?)CPU--(\d+(?:\.\d+)?)GB(?:--([\w-]+):(\d+))?$/;

interface Size {
  readonly cpus: number;
  readonly memoryGb: number;
  readonly gpu: { readonly name: string; readonly count: number } | null;
}

/**
 * The one offer this machine has for a wish, free of charge, or why not. Nodes share the machine: each must fit
 * it, and all their GPUs together. Amounts not asked for shrink to what a small machine has.
 */
export function offersOn(machine: Machine, wish: Resources, numNodes: number): readonly Offer[] | NoOffer {
  const refusal = refusalOf(wish);
  if (refusal !== null) return { hint: refusal, similar: [] };
  const size = sizeOf(machine, wish);
  if (typeof size === "string") return { hint: size, similar: [] };
  if (size.gpu !== null) {
    const { name, count } = size.gpu;
    const there = machine.gpus.filter((gpu) => gpuMatches(gpu, name)).length;
    if (there < count * numNodes) {
      return { hint: gpuHint(name, { there, count, numNodes }), similar: similarTo(machine, name) };
    }
  }
  if (size.cpus > machine.cpus || size.memoryGb > machine.memoryGb) {
    const has = `${show(machine.cpus)} CPUs and ${show(machine.memoryGb)} GB of memory`;
    return { hint: `This machine has ${has}, less than ${instanceName(size)}`, similar: [] };
  }
  return [{
    resources: {
      cloud: "local",
      region: null,
      zone: null,
      instanceType: instanceName(size),
      cpus: size.cpus,
      memory: size.memoryGb,
      accelerators: size.gpu === null ? null : { [size.gpu.name]: size.gpu.count },
      useSpot: false,
      diskSize: wish.diskSize ?? DEFAULT_DISK_GB,
      ports: wish.ports ?? [],
      labels: wish.labels ?? {},
      imageId: null,
      hourlyCost: 0,
    },
  }];
}

function refusalOf(wish: Resources): string | null {
  if (wish.useSpot === true) return "Local has no spot instances";
  if (wish.region !== null || wish.zone !== null) return "Local has no regions or zones";
  if (wish.imageId !== null) return "Local runs no images";
  return null;
}

/** Every amount decided; text says why it can't be. */
function sizeOf(machine: Machine, wish: Resources): Size | string {
  const [accelerator, ...more] = Object.entries(wish.accelerators ?? {});
  if (more.length > 0) return "Local gives one kind of accelerator at a time";
  if (accelerator !== undefined && /\s/.test(accelerator[0])) {
    return `Accelerator name '${accelerator[0]}' has a space in it`;
  }
  let gpu = accelerator === undefined ? null : { name: accelerator[0], count: Math.ceil(accelerator[1]) };
  let [cpus, memoryGb] = [amount(wish.cpus), null as number | null];
  if (wish.instanceType !== null) {
    const match = INSTANCE.exec(wish.instanceType);
    if (match === null) return `'${wish.instanceType}' is no instance type of Local, as 2CPU--4GB is`;
    cpus ??= Number(match[1]);
    memoryGb = Number(match[2]);
    if (match[3] !== undefined) gpu ??= { name: match[3], count: Number(match[4]) };
  }
  const perCpu = gpu === null ? MEMORY_PER_CPU.plain : MEMORY_PER_CPU.withGpu;
  cpus ??= Math.min(gpu === null ? DEFAULT_CPUS : CPUS_PER_GPU * gpu.count, machine.cpus);
  if (wish.memory?.includes("x")) memoryGb = cpus * amount(wish.memory)!;
  else memoryGb = amount(wish.memory) ?? memoryGb ?? Math.min(cpus * perCpu, machine.memoryGb);
  return { cpus, memoryGb, gpu };
}

/** `4`, `4+` and `4x` mean 4, as on Kubernetes. */
function amount(text: string | null): number | null {
  return text === null ? null : Number.parseFloat(text);
}

function instanceName({ cpus, memoryGb, gpu }: Size): string {
  const base = `${show(cpus)}CPU--${show(memoryGb)}GB`;
  return gpu === null ? base : `${base}--${gpu.name.replaceAll(" ", "_")}:${gpu.count}`;
}

/** At most one decimal. */
function show(amount: number): string {
  return String(Math.round(amount * 10) / 10);
}

function gpuHint(
  name: string,
  { there, count, numNodes }: { there: number; count: number; numNodes: number },
) {
  const asked = numNodes === 1 ? `${count}` : `${numNodes} x ${count}`;
  return `This machine has ${there === 0 ? "no" : there} ${name}, ${asked} asked for`;
}

/** GPUs that are here, those with a like name first, as `NAME:COUNT`. */
function similarTo(machine: Machine, name: string): string[] {
  const counts = new Map<string, number>();
  for (const gpu of machine.gpus) counts.set(gpu.name, (counts.get(gpu.name) ?? 0) + 1);
  const like = (other: string) => other.toLowerCase().includes(name.toLowerCase()) ? 0 : 1;
  return [...counts].sort(([a], [b]) => like(a) - like(b)).map(([other, count]) => `${other}:${count}`);
}
