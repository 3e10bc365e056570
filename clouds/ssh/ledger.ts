/**
 * Who has what of which host: cores, memory, GPUs and ports that clusters have claimed. Owns the ledger file and
 * the arithmetic of placing nodes; facts about hosts are given to it. One change at a time per folder, each whole on
 * disk before it counts, so that neither parallel launches nor a crash give anything away twice.
 */
import { join } from "@std/path";
import { SkyError } from "../../core/errors.ts";
import { type HostRoom, place, type Wish } from "./placing.ts";

/** One node of a cluster on a host. */
export interface Claim {
  readonly cluster: string;
  readonly node: number;
  readonly pool: string;
  /** Key of the machine (hosts.ts), the same in every pool that has it. */
  readonly machine: string;
  /** The host's name in its pool. */
  readonly host: string;
  readonly cpus: number;
  readonly memoryGb: number;
  readonly gpus: readonly number[];
  readonly ports: readonly number[];
  /** A stopped node holds nothing but its place. */
  readonly stopped: boolean;
}

/** What a cluster may have left on a machine when it was forgotten without it. */
export interface Remnant {
  readonly cluster: string;
  readonly node: number;
  readonly machine: string;
}

interface Ledger {
  readonly version: 1;
  readonly claims: readonly Claim[];
  readonly remnants: readonly Remnant[];
}

const EMPTY: Ledger = { version: 1, claims: [], remnants: [] };
const turns = new Map<string, Promise<unknown>>();

const fileIn = (folder: string) => join(folder, "ledger.json");

/** Throws internal for a file that is not ours to understand: better no launch than two on one GPU. */
async function read(folder: string): Promise<Ledger> {
  let text: string;
  try {
    text = await Deno.readTextFile(fileIn(folder));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return EMPTY;
    throw error;
  }
  try {
    const data = JSON.parse(text);
    if (data?.version === 1 && Array.isArray(data.claims)) return { remnants: [], ...data };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new SkyError("internal", `Cannot read the ledger of SSH Node Pools: ${fileIn(folder)} is damaged`, {
    hint: "Take all clusters of SSH Node Pools down with `sky down --purge`, then remove the file",
  });
}

async function write(folder: string, ledger: Ledger): Promise<void> {
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  const fresh = `${fileIn(folder)}.${crypto.randomUUID()}`;
  using file = await Deno.open(fresh, { write: true, createNew: true, mode: 0o600 });
  try {
    await writeAll(file, new TextEncoder().encode(`${JSON.stringify(ledger, null, 1)}\n`));
    await file.sync();
    await Deno.rename(fresh, fileIn(folder));
  } catch (error) {
    await Deno.remove(fresh).catch(() => {}); // The first failure is the one to tell.
    throw error;
  }
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}

/** Change the ledger alone; `change` returns the new one, or null to leave it. */
async function alone<T>(folder: string, change: (ledger: Ledger) => [Ledger | null, T]): Promise<T> {
  const before = turns.get(folder) ?? Promise.resolve();
  const turn = before.then(async () => {
    const [after, result] = change(await read(folder));
    if (after !== null) await write(folder, after);
    return result;
  });
  const settled = turn.catch(() => {});
  turns.set(folder, settled);
  settled.then(() => {
    if (turns.get(folder) === settled) turns.delete(folder);
  });
  return await turn;
}

/** All claims, as they are now. */
export async function claimsIn(folder: string): Promise<readonly Claim[]> {
  return (await read(folder)).claims;
}

/** Claims of one cluster in node order. */
export async function claimsOf(folder: string, cluster: string): Promise<Claim[]> {
  const claims = (await claimsIn(folder)).filter((claim) => claim.cluster === cluster);
  return claims.sort((a, b) => a.node - b.node);
}

export interface ClaimWish extends Wish {
  readonly cluster: string;
  readonly pool: string;
  readonly numNodes: number;
}

/**
 * A host for every node, each on one of its own: what the cluster has already stays (a stopped node gets its host's
 * capacity again), the rest is placed on `hosts`. All or nothing. Throws resources_unavailable saying what is free.
 */
export function claim(folder: string, wish: ClaimWish, hosts: readonly HostRoom[]): Promise<Claim[]> {
  return alone(folder, (ledger) => {
    const own = ledger.claims.filter((each) => each.cluster === wish.cluster && each.node < wish.numNodes);
    const others = ledger.claims.filter((each) => !own.includes(each));
    const placed = place(wish, { own, others, hosts });
    return [{ ...ledger, claims: [...others, ...placed] }, placed];
  });
}

/** Give back what these nodes (default: all of the cluster) have; `keepPlace`: they are stopped, not gone. */
export function release(
  folder: string,
  cluster: string,
  options: { nodes?: readonly number[]; keepPlace?: boolean; remnant?: boolean } = {},
): Promise<void> {
  const { nodes, keepPlace = false, remnant = false } = options;
  const concerns = (claim: Claim) => claim.cluster === cluster && (nodes?.includes(claim.node) ?? true);
  return alone(folder, (ledger) => {
    const concerned = ledger.claims.filter(concerns);
    if (concerned.length === 0 || keepPlace && concerned.every((claim) => claim.stopped)) {
      return [null, undefined];
    }
    const claims = ledger.claims.flatMap((claim) =>
      !concerned.includes(claim) ? claim : keepPlace ? { ...claim, stopped: true, gpus: [], ports: [] } : []
    );
    const left = remnant ? concerned.map(({ cluster, node, machine }) => ({ cluster, node, machine })) : [];
    return [{ ...ledger, claims, remnants: [...ledger.remnants, ...left] }, undefined];
  });
}

/** What is to be removed from a machine at the next contact. */
export async function remnantsOn(folder: string, machine: string): Promise<readonly Remnant[]> {
  return (await read(folder)).remnants.filter((remnant) => remnant.machine === machine);
}

/** These are removed. */
export function dropRemnants(folder: string, gone: readonly Remnant[]): Promise<void> {
  if (gone.length === 0) return Promise.resolve();
  const isGone = (one: Remnant) =>
    gone.some((each) =>
      each.cluster === one.cluster && each.node === one.node && each.machine === one.machine
    );
  return alone(
    folder,
    (ledger) => [{ ...ledger, remnants: ledger.remnants.filter((one) => !isGone(one)) }, undefined],
  );
}
