/**
 * Asks the kernel about one TCP socket (NETLINK_SOCK_DIAG, man 7 sock_diag), through libc. Some 20 µs, where reading
 * /proc/net/tcp walks the whole table of the machine (some ms). Linux only; null where libc or the kernel refuse.
 */

export interface Endpoint {
  readonly hostname: string;
  readonly port: number;
}

export interface SocketOwner {
  readonly uid: number;
  /** 0: its owner has closed it. */
  readonly inode: number;
}

export interface SockDiag extends Disposable {
  /** The socket whose own end is `own` and whose other end is `other`; null when there is none. */
  owner(own: Endpoint, other: Endpoint): SocketOwner | null;
}

const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const SOCK_DGRAM_CLOEXEC = 2 | 0x80000;
const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST = 1;
const IPPROTO_TCP = 6;
const MSG_DONTWAIT = 0x40;
/** struct nlmsghdr, then struct inet_diag_req_v2. */
const HEADER = 16;
const REQUEST = HEADER + 56;
/** In the answer: after the header, 4 bytes, the 48 of inet_diag_sockid, and three counters. */
const UID_AT = HEADER + 4 + 48 + 12;

/** Opens a line to the kernel; dispose of it. */
export function sockDiag(): SockDiag | null {
  if (Deno.build.os !== "linux") return null;
  const libc = openLibc();
  if (libc === null) return null;
  const { socket, send, recv, close } = libc.symbols;
  const fd = socket(AF_NETLINK, SOCK_DGRAM_CLOEXEC, NETLINK_SOCK_DIAG);
  if (fd < 0) {
    libc.close();
    return null;
  }
  let sequence = 0;
  return {
    owner(own, other) {
      const ends = [bytesOf(own.hostname), bytesOf(other.hostname)] as const;
      if (ends[0] === null || ends[1] === null || ends[0].length !== ends[1].length) return null;
      sequence = (sequence + 1) >>> 0;
      const request = question([ends[0], ends[1]], { ports: [own.port, other.port], sequence });
      if (send(fd, request, BigInt(request.length), 0) !== BigInt(request.length)) return null;
      const answer = new Uint8Array(512);
      // The kernel answers within the send. An answer to an earlier question is passed over.
      for (let tries = 0; tries < 8; tries++) {
        if (recv(fd, answer, BigInt(answer.length), MSG_DONTWAIT) < BigInt(HEADER)) return null;
        const view = new DataView(answer.buffer);
        if (view.getUint32(8, true) !== sequence) continue;
        if (view.getUint16(4, true) !== SOCK_DIAG_BY_FAMILY) return null;
        return { uid: view.getUint32(UID_AT, true), inode: view.getUint32(UID_AT + 4, true) };
      }
      return null;
    },
    [Symbol.dispose]() {
      close(fd);
      libc.close();
    },
  };
}

function question(
  [own, other]: readonly [Uint8Array, Uint8Array],
  { ports: [ownPort, otherPort], sequence }: { ports: readonly [number, number]; sequence: number },
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(REQUEST);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, REQUEST, true);
  view.setUint16(4, SOCK_DIAG_BY_FAMILY, true);
  view.setUint16(6, NLM_F_REQUEST, true);
  view.setUint32(8, sequence, true);
  view.setUint8(HEADER, own.length === 4 ? AF_INET : AF_INET6);
  view.setUint8(HEADER + 1, IPPROTO_TCP);
  view.setUint32(HEADER + 4, 0xffffffff, true); // in any state
  view.setUint16(HEADER + 8, ownPort);
  view.setUint16(HEADER + 10, otherPort);
  bytes.set(own, HEADER + 12);
  bytes.set(other, HEADER + 28);
  view.setBigUint64(HEADER + 48, 0xffffffffffffffffn); // no cookie
  return bytes;
}

/** Network order; null for what is no address of loopback or v4. */
function bytesOf(hostname: string): Uint8Array | null {
  const v4 = /^(?:::ffff:)?(\d+)\.(\d+)\.(\d+)\.(\d+)$/i.exec(hostname);
  if (v4 !== null) return new Uint8Array(v4.slice(1).map(Number));
  if (hostname !== "::1") return null;
  const bytes = new Uint8Array(16);
  bytes[15] = 1;
  return bytes;
}

function openLibc() {
  try {
    return Deno.dlopen("libc.so.6", {
      socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
      send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
      recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
      close: { parameters: ["i32"], result: "i32" },
    });
  } catch {
    return null; // another libc, or no right to load it: /proc knows as well, only slower
  }
}
