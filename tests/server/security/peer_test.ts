/** Peer uids, from tables as the kernel prints them and from the real ones. */
import { assertEquals } from "@std/assert";
import { findOwner, isLoopback, peerCheck, peerCheckByTables } from "../../../server/security/peer.ts";

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

for (const [name, make] of [["by diagnosis", peerCheck], ["by tables", peerCheckByTables]] as const) {
  Deno.test({
    name: `a real connection's uid is told ${name}, of many at once; one that is closed is nobody's`,
    ignore: Deno.build.os !== "linux",
    async fn() {
      using check = await make();
      if (check === null) throw new Error("no check here");
      using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const local = listener.addr as Deno.NetAddr;
      const clients = await Promise.all(
        Array.from({ length: 20 }, () => Deno.connect({ hostname: "127.0.0.1", port: local.port })),
      );
      const accepted = await Promise.all(clients.map(() => listener.accept()));
      const ask = (each: Deno.Conn) => check.uidOf(each.remoteAddr as Deno.NetAddr, local);
      assertEquals(new Set(await Promise.all(accepted.map(ask))), new Set([Deno.uid()]));
      for (const each of clients) each.close();
      assertEquals(new Set(await Promise.all(accepted.map(ask))), new Set([null]));
      for (const each of accepted) each.close();
      assertEquals(await check.uidOf({ hostname: "127.0.0.1", port: 1 }, local), null);
      assertEquals(await check.uidOf({ hostname: "fe80::1", port: 1 }, local), null);
    },
  });
}

Deno.test({
  name: "sockDiag tells another user's socket from ours, over v4 and v6",
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
  async fn() {
    using check = await peerCheck();
    for (const hostname of ["127.0.0.1", "::1"]) {
      using listener = Deno.listen({ hostname, port: 0 });
      const local = listener.addr as Deno.NetAddr;
      const child = new Deno.Command("bash", {
        args: ["-c", `exec 3<>/dev/tcp/${hostname}/${local.port}; read -r _ <&3`],
        uid: 65534,
      }).spawn();
      using connection = await listener.accept();
      assertEquals(await check!.uidOf(connection.remoteAddr as Deno.NetAddr, local), 65534);
      await connection.write(new TextEncoder().encode("\n"));
      await child.status;
    }
  },
});

Deno.test("peerCheckByTables is null where there are no tables", async () => {
  assertEquals(await peerCheckByTables(["/nonexistent/tcp"]), null);
});

Deno.test("isLoopback", () => {
  for (const name of ["127.0.0.1", "127.8.9.1", "::1", "localhost", "::ffff:127.0.0.1"]) {
    assertEquals(isLoopback(name), true);
  }
  for (const name of ["0.0.0.0", "10.0.0.1", "example.com", "::2", "127.0.0.1.evil.example"]) {
    assertEquals(isLoopback(name), false);
  }
});
