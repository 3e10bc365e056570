/** Unpacking of the native part, as in the compiled program. */
import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { constants, zstdCompressSync } from "node:zlib";
import { unpackAddon } from "../../state/addon.ts";

const CONTENT = crypto.getRandomValues(new Uint8Array(60_000));

async function withResources(work: (cache: string, resources: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "sky-addon-" });
  try {
    const packing = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };
    await Deno.writeFile(join(folder, "libsql.node.zst"), zstdCompressSync(CONTENT, packing));
    const facts = { name: "libsql-0123.node", bytes: CONTENT.length };
    await Deno.writeTextFile(join(folder, "libsql.json"), JSON.stringify(facts));
    await work(join(folder, "home", "cache"), folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("unpackAddon unpacks once, privately, also when several do it at once", async () => {
  await withResources(async (cache, resources) => {
    const inodes = new Set<number | null>();
    const paths = await Promise.all([1, 2, 3].map(async () => {
      const path = await unpackAddon(cache, resources);
      inodes.add((await Deno.stat(path)).ino);
      return path;
    }));
    // Who has it loaded by now keeps what the others see: no second copy takes space unseen.
    assertEquals(inodes.size, 1);
    assertEquals(new Set(paths), new Set([join(cache, "libsql-0123.node")]));
    assertEquals(await Deno.readFile(paths[0]!), CONTENT);
    const first = await Deno.stat(paths[0]!);
    assertEquals([first.mode! & 0o777, (await Deno.stat(cache)).mode! & 0o777], [0o600, 0o700]);
    assertEquals((await Array.fromAsync(Deno.readDir(cache))).length, 1);
    await unpackAddon(cache, resources);
    assertEquals((await Deno.stat(paths[0]!)).ino, first.ino);
  });
});

Deno.test("unpackAddon replaces what is cut short or open to others, and refuses a damaged archive", async () => {
  await withResources(async (cache, resources) => {
    const path = await unpackAddon(cache, resources);
    await Deno.truncate(path, 100);
    await unpackAddon(cache, resources);
    assertEquals(await Deno.readFile(path), CONTENT);
    await Deno.chmod(path, 0o666);
    await unpackAddon(cache, resources);
    assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);

    await Deno.remove(path);
    const packed = await Deno.readFile(join(resources, "libsql.node.zst"));
    packed[30_000]! ^= 1;
    await Deno.writeFile(join(resources, "libsql.node.zst"), packed);
    await assertRejects(() => unpackAddon(cache, resources));
    assertEquals(await Array.fromAsync(Deno.readDir(cache)), []);
  });
});
