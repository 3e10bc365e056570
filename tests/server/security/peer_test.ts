/** Peer uids, from tables as the kernel prints them and from the real ones. */
import { assertEquals } from "@std/assert";
import { findOwner, isLoopback, peerCheck } from "../../../server/security/peer.ts";

const HEAD =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const row = (local: string, remote: string, uid: number, inode: number, state = "01") =>
  `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000 ${uid}        0 ${inode} 1 0 20 4 30 10 -1\n`;

Deno.test("findOwner takes the client's row, not the server's", () => {
  const table = HEAD + row("0100007F:B5F4", "0100007F:C350", 0, 77) +
    row("0100007F:C350", "0100007F:B5F4", 1000, 78);
  assertEquals(findOwner(table, { hostname: "127.0.0.1", port: 0xc350 }, 0xb5f4), 1000);
});

Deno.test("findOwner does not believe a socket that its owner closed (uid 0, inode 0)", () => {
  const table = HEAD + row("0100007F:C350", "0100007F:B5F4", 0, 0, "05");
  assertEquals(findOwner(table, { hostname: "127.0.0.1", port: 0xc350 }, 0xb5f4), null);
});

Deno.test("findOwner knows v4 in v6 sockets, ::1, and tells addresses apart", () => {
  const mapped = row(
    "0000000000000000FFFF00000100007F:C350",
    "0000000000000000FFFF00000100007F:B5F4",
    1001,
    5,
  );
  assertEquals(findOwner(HEAD + mapped, { hostname: "127.0.0.1", port: 0xc350 }, 0xb5f4), 1001);
  const six = row("00000000000000000000000001000000:C350", "00000000000000000000000001000000:B5F4", 1002, 5);
  assertEquals(findOwner(HEAD + six, { hostname: "::1", port: 0xc350 }, 0xb5f4), 1002);
  const other = row("0200007F:C350", "0100007F:B5F4", 1003, 5);
  assertEquals(findOwner(HEAD + other, { hostname: "127.0.0.1", port: 0xc350 }, 0xb5f4), null);
});

Deno.test("findOwner is not fooled by the port's digits elsewhere in a row", () => {
  const table = HEAD + row("0100007F:B5F4", "0100007F:C350", 9, 1) +
    row("0100007F:AAAA", "0100007F:C350", 8, 1);
  assertEquals(findOwner(table, { hostname: "127.0.0.1", port: 0xc350 }, 0xb5f4), null);
});

Deno.test({
  name: "peerCheck tells the uid of a real connection, many at once with few reads",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const check = await peerCheck();
    if (check === null) throw new Error("no /proc/net/tcp here");
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const localPort = (listener.addr as Deno.NetAddr).port;
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => Deno.connect({ hostname: "127.0.0.1", port: localPort })),
    );
    const accepted = await Promise.all(clients.map(() => listener.accept()));
    const uids = await Promise.all(
      accepted.map((each) => check.uidOf(each.remoteAddr as Deno.NetAddr, localPort)),
    );
    assertEquals(new Set(uids), new Set([Deno.uid()]));
    for (const each of [...clients, ...accepted]) each.close();
  },
});

Deno.test("peerCheck is null where there are no tables", async () => {
  assertEquals(await peerCheck(["/nonexistent/tcp"]), null);
});

Deno.test("isLoopback", () => {
  for (const name of ["127.0.0.1", "127.8.9.1", "::1", "localhost", "::ffff:127.0.0.1"]) {
    assertEquals(isLoopback(name), true);
  }
  for (const name of ["0.0.0.0", "10.0.0.1", "example.com", "::2", "127.0.0.1.evil.example"]) {
    assertEquals(isLoopback(name), false);
  }
});
