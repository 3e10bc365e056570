/**
 * What a node gets of this machine for itself: a loopback address and GPUs. Owns what may be given to whom;
 * that it is given once is claims.ts.
 */
import { join } from "@std/path";
import { SkyError } from "../../core/errors.ts";
import { gpuMatches } from "../gpus.ts";
import { claimFirst, claimsIn, loopbackAddresses, release } from "./claims.ts";
import { type Host, thisMachine } from "./machine.ts";

type Owners = (owner: string) => boolean;

const addressesIn = (folder: string) => join(folder, ".addresses");
const gpusIn = (folder: string) => join(folder, ".gpus");

/** An address of 127.0.0.0/8 that no other node has; 127.0.0.1 for everybody where only that one works. */
export async function claimAddress(folder: string, owner: string): Promise<string> {
  const own = await claimFirst(addressesIn(folder), loopbackAddresses(`${folder}/${owner}`), owner);
  return own !== null && canListen(own) ? own : "127.0.0.1";
}

/** Linux has all of 127.0.0.0/8; elsewhere only 127.0.0.1 is there unless somebody set up more. */
function canListen(hostname: string): boolean {
  try {
    Deno.listen({ hostname, port: 0 }).close();
    return true;
  } catch {
    return false; // AddrNotAvailable on such systems; whatever else, 127.0.0.1 is the address that works.
  }
}

export interface Claimer extends Host {
  readonly folder: string;
  readonly owner: string;
}

/** Indexes of as many GPUs as wished, all or none, the owner's own first. Throws resources_unavailable. */
export async function claimGpus(
  gpu: { readonly name: string; readonly count: number } | null,
  claimer: Claimer,
): Promise<number[]> {
  if (gpu === null) return [];
  const { owner } = claimer;
  const folder = gpusIn(claimer.folder);
  const machine = await thisMachine(claimer);
  const there = machine.gpus.filter((one) => gpuMatches(one, gpu.name)).map((one) => one.index);
  const claims = await claimedGpus(claimer.folder);
  const got = there.filter((index) => claims.get(index) === owner).slice(0, gpu.count);
  while (got.length < gpu.count) {
    const index = await claimFirst(folder, there.filter((one) => !got.includes(one)).map(String), owner);
    if (index === null) {
      await release(folder, (who) => who === owner);
      throw new SkyError(
        "resources_unavailable",
        `Cannot give ${gpu.count} ${gpu.name} to a node: other local clusters hold the GPUs of this machine`,
        { hint: "sky status" },
      );
    }
    got.push(Number(index));
  }
  return got.sort((a, b) => a - b);
}

/** GPU index → owner. */
export async function claimedGpus(folder: string): Promise<Map<number, string>> {
  return new Map([...await claimsIn(gpusIn(folder))].map(([index, owner]) => [Number(index), owner]));
}

export function releaseGpus(folder: string, mine: Owners): Promise<void> {
  return release(gpusIn(folder), mine);
}

export function releaseAddresses(folder: string, mine: Owners): Promise<void> {
  return release(addressesIn(folder), mine);
}
