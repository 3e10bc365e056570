/**
 * Things of this machine that only one node may have at a time: loopback addresses and GPUs. Owns the claim
 * files, `<folder>/<thing>` with the owner's name in it; they need no database and survive crashes: whoever asks
 * again under the same name gets back what it had.
 */
import { join } from "@std/path";

/** Claim the first of `things` that is free or ours already; null if none is. */
export async function claimFirst(
  folder: string,
  things: Iterable<string>,
  owner: string,
): Promise<string | null> {
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  const mine = join(folder, `.${crypto.randomUUID()}`);
  await Deno.writeTextFile(mine, owner, { mode: 0o600 });
  try {
    for (const thing of things) {
      // A link appears with its content or not at all, and never replaces.
      const won = await Deno.link(mine, join(folder, thing)).then(() => true, refusedAsTaken);
      if (won || await ownerOf(folder, thing) === owner) return thing;
    }
    return null;
  } finally {
    await Deno.remove(mine);
  }
}

function refusedAsTaken(error: unknown): boolean {
  if (error instanceof Deno.errors.AlreadyExists) return false;
  throw error;
}

async function ownerOf(folder: string, thing: string): Promise<string | null> {
  return await Deno.readTextFile(join(folder, thing)).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return null; // Given back this moment.
    throw error;
  });
}

/** Everything claimed: thing → owner. */
export async function claimsIn(folder: string): Promise<Map<string, string>> {
  const claims = new Map<string, string>();
  for (const thing of await thingsIn(folder)) {
    const owner = await ownerOf(folder, thing);
    if (owner !== null) claims.set(thing, owner);
  }
  return claims;
}

/** Give back what owners for whom `mine` is true have claimed. */
export async function release(folder: string, mine: (owner: string) => boolean): Promise<void> {
  for (const [thing, owner] of await claimsIn(folder)) {
    if (mine(owner)) await Deno.remove(join(folder, thing));
  }
}

async function thingsIn(folder: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(folder));
    return entries.map((entry) => entry.name).filter((name) => !name.startsWith("."));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Loopback addresses below 127.64.0.0/10, beginning at a place that depends on `seed`: no two start alike. */
export function* loopbackAddresses(seed: string): Generator<string> {
  const [wide, narrow] = [64 * 256, 254];
  const first = hash(seed) % (wide * narrow);
  for (let i = 0; i < 4096; i++) {
    const n = (first + i) % (wide * narrow);
    const net = Math.floor(n / narrow);
    // Neither .0 nor .255 in the last place: some programs take them for networks.
    yield `127.${64 + (net >> 8)}.${net & 255}.${1 + n % narrow}`;
  }
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  return value;
}
