import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { claimFirst, claimsIn, loopbackAddresses, release } from "../../../clouds/local/claims.ts";

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    await work(join(root, "claims"));
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("claimFirst gives everybody another thing, and the same owner the same", () =>
  withFolder(async (folder) => {
    const things = ["a", "b", "c"];
    assertEquals(await claimFirst(folder, things, "x/0"), "a");
    assertEquals(await claimFirst(folder, things, "y/0"), "b");
    assertEquals(await claimFirst(folder, things, "x/0"), "a");
    assertEquals(await claimFirst(folder, things, "z/0"), "c");
    assertEquals(await claimFirst(folder, things, "w/0"), null);
    await release(folder, (owner) => owner === "y/0");
    assertEquals(await claimFirst(folder, things, "w/0"), "b");
    assertEquals([...await claimsIn(folder)].sort(), [["a", "x/0"], ["b", "w/0"], ["c", "z/0"]]);
  }));

Deno.test("claimFirst is exact under concurrency and leaves nothing else behind", () =>
  withFolder(async (folder) => {
    const things = Array.from({ length: 40 }, (_, i) => String(i));
    const got = await Promise.all(things.map((i) => claimFirst(folder, things, `owner${i}`)));
    assertEquals(new Set(got).size, 40);
    assert(!got.includes(null));
    assertEquals((await Array.fromAsync(Deno.readDir(folder))).length, 40);
  }));

Deno.test("loopbackAddresses are loopback, distinct, and the same for the same seed", () => {
  const addresses = [...loopbackAddresses("seed")];
  assertEquals(new Set(addresses).size, addresses.length);
  assertEquals(addresses, [...loopbackAddresses("seed")]);
  assert(addresses[0] !== [...loopbackAddresses("seeds")][0]);
  for (const address of addresses) {
    assertMatch(address, /^127\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.\d{1,3}\.\d{1,3}$/);
    const last = Number(address.split(".")[3]);
    assert(last >= 1 && last <= 254);
  }
});
