/**
 * Who is at the other end of a loopback TCP connection: the uid of the socket's owner, from the kernel's socket
 * diagnosis or else from /proc/net/tcp{,6}. Leaves what to do about it to middleware.ts. Linux only; elsewhere
 * `peerCheck` answers null and nobody is asked.
 *
 * It is asked anew for every exchange: nothing tells us when a connection ends, and remembering would trust whoever
 * gets a closed connection's port next.
 */
import { type Endpoint, type SockDiag, sockDiag } from "./sock_diag.ts";

export interface PeerCheck extends Disposable {
  /**
   * The uid of the process at `peer`, whose connection we serve at `local`; null when it cannot be told (the
   * connection is gone, or comes from another network namespace).
   */
  uidOf(peer: Endpoint, local: Endpoint): Promise<number | null>;
}

const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];

/** The fastest check that works here; null where there is none. */
export async function peerCheck(): Promise<PeerCheck | null> {
  const diag = sockDiag();
  if (diag === null) return await peerCheckByTables();
  if (await works(diag)) return byDiag(diag);
  diag[Symbol.dispose]();
  return await peerCheckByTables();
}

function byDiag(diag: SockDiag): PeerCheck {
  return {
    uidOf(peer, local) {
      const owner = diag.owner(peer, local);
      // Danger: a socket that its owner has closed shows uid 0 and inode 0. Believing it would let anyone pass as
      // root by sending a request and closing at once.
      return Promise.resolve(owner === null || owner.inode === 0 ? null : owner.uid);
    },
    [Symbol.dispose]: () => diag[Symbol.dispose](),
  };
}

/** Whether the kernel's answer about a connection of our own is right: sandboxes answer strange things. */
async function works(diag: SockDiag): Promise<boolean> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [client, served] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
    listener.accept(),
  ]);
  const owner = diag.owner(client.localAddr, client.remoteAddr);
  client.close();
  served.close();
  return owner !== null && owner.inode !== 0 && owner.uid === Deno.uid();
}

/** A check that reads the kernel's tables, or null where they cannot be read. */
export async function peerCheckByTables(tables: readonly string[] = TABLES): Promise<PeerCheck | null> {
  if (Deno.build.os !== "linux") return null;
  const readable = (await readTables(tables)) !== "";
  if (!readable) return null;
  // One read answers every request that arrived before it began: a connection cannot change its owner while its
  // request is open.
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
    async uidOf(peer, local) {
      return findOwner(await table(), peer, local.port);
    },
    [Symbol.dispose]: () => {},
  };
}

/** The uid in the row of the client's socket. Exported for its test. */
export function findOwner(table: string, peer: Endpoint, localPort: number): number | null {
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
    if (inode === "0") continue; // closed by its owner, see byDiag
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
