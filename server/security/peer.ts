/**
 * Who is at the other end of a loopback TCP connection: the uid of the socket's owner, from /proc/net/tcp{,6}.
 * Leaves what to do about it to middleware.ts. Linux only; elsewhere `peerCheck` answers null and nobody is asked.
 */

export interface Peer {
  /** Remote address of the connection as the listener saw it. */
  readonly hostname: string;
  readonly port: number;
}

export interface PeerCheck {
  /** The owner's uid, or null when it cannot be told (the connection is gone, or lives in another network namespace). */
  uidOf(peer: Peer, localPort: number): Promise<number | null>;
}

const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];

/** A check that reads the kernel's tables, or null where there are none. */
export async function peerCheck(tables: readonly string[] = TABLES): Promise<PeerCheck | null> {
  if (Deno.build.os !== "linux") return null;
  const readable = (await readTables(tables)) !== "";
  if (!readable) return null;
  // One read answers every request that arrived before it began: a connection cannot change its owner while its
  // request is open, and remembering longer would trust whoever gets a closed connection's port next.
  let next: Promise<string> | null = null;
  let reading: Promise<unknown> = Promise.resolve();
  const table = () => {
    next ??= reading.then(() => {
      next = null;
      const now = readTables(tables);
      reading = now.catch(() => {}); // whoever waits for this read sees the failure; the next read is not its victim
      return now;
    });
    return next;
  };
  return {
    async uidOf(peer, localPort) {
      return findOwner(await table(), peer, localPort);
    },
  };
}

/** The uid in the row of the client's socket. Exported for its test. */
export function findOwner(table: string, peer: Peer, localPort: number): number | null {
  const client = `:${hexPort(peer.port)} `;
  const server = `:${hexPort(localPort)} `;
  const addresses = procAddresses(peer.hostname);
  for (let at = table.indexOf(client); at >= 0; at = table.indexOf(client, at + 1)) {
    const start = table.lastIndexOf("\n", at) + 1;
    const end = table.indexOf("\n", at);
    const fields = table.slice(start, end < 0 ? undefined : end).trim().split(/\s+/);
    const [, local, remote, , , , , uid, , inode] = fields;
    if (local === undefined || remote === undefined || uid === undefined || inode === undefined) continue;
    if (!`${local} `.endsWith(client) || !`${remote} `.endsWith(server)) continue;
    if (!addresses.includes(local.slice(0, local.indexOf(":")))) continue;
    // Danger: a socket that its owner has closed shows uid 0 and inode 0. Believing it would let anyone pass as
    // root by sending a request and closing at once.
    if (inode === "0") continue;
    return Number(uid);
  }
  return null;
}

async function readTables(paths: readonly string[]): Promise<string> {
  const texts = await Promise.all(paths.map(async (path) => {
    try {
      return await Deno.readTextFile(path);
    } catch (error) {
      // A kernel without IPv6 has no tcp6; a container may hide /proc/net.
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) return "";
      throw error;
    }
  }));
  return texts.join("");
}

function hexPort(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, "0");
}

/** How the kernel prints an address: words in host byte order; a v4 address may also sit in a v6 socket. */
function procAddresses(hostname: string): string[] {
  const v4 = /^(?:::ffff:)?(\d+)\.(\d+)\.(\d+)\.(\d+)$/i.exec(hostname);
  if (v4 !== null) {
    const hex = v4.slice(1).reverse().map((part) => Number(part).toString(16).toUpperCase().padStart(2, "0"))
      .join("");
    return [hex, `0000000000000000FFFF0000${hex}`];
  }
  return hostname === "::1" ? ["00000000000000000000000001000000"] : [];
}

export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "::1" || hostname === "[::1]" ||
    /^(::ffff:)?127\.\d+\.\d+\.\d+$/i.test(hostname);
}
