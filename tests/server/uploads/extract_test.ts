/** Unpacking friendly and hostile archives. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { SkyError } from "../../../core/errors.ts";
import { type ExtractLimits, extractZip } from "../../../server/uploads/extract.ts";
import { LINK, type TestEntry, tree, zipOf } from "./zips.ts";

const LIMITS: ExtractLimits = { maxEntries: 1000, maxBytes: 1_000_000 };

async function unpack(zip: Uint8Array, limits = LIMITS): Promise<Record<string, string>> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(join(folder, "a.zip"), zip);
    await Deno.mkdir(join(folder, "tree"));
    await extractZip(join(folder, "a.zip"), join(folder, "tree"), { limits });
    assertEquals((await tree(folder))["escaped"], undefined);
    return await tree(join(folder, "tree"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function refused(entries: TestEntry[] | Uint8Array, text = "Invalid zip file"): Promise<void> {
  const zip = entries instanceof Uint8Array ? entries : zipOf(entries);
  const error = await assertRejects(() => unpack(zip), SkyError);
  assertEquals(error.code, "invalid_argument", error.message);
  assertStringIncludes(error.message, text);
}

Deno.test("extractZip unpacks SkyPilot's layout: files, empty directories, links with a leading slash", async () => {
  const zip = zipOf([
    { name: "tmp/demo/proj/" },
    { name: "/tmp/demo/proj/dlink/", content: "empty", mode: LINK },
    { name: "tmp/demo/proj/empty/" },
    { name: "/tmp/demo/proj/link", content: "a.txt", mode: LINK },
    { name: "tmp/demo/proj/a.txt", content: "hi\n" },
    { name: "tmp/demo/tök.txt", content: "tok\n" },
  ]);
  assertEquals(await unpack(zip), {
    "tmp": "dir",
    "tmp/demo": "dir",
    "tmp/demo/proj": "dir",
    "tmp/demo/proj/dlink": "-> empty",
    "tmp/demo/proj/empty": "dir",
    "tmp/demo/proj/link": "-> a.txt",
    "tmp/demo/proj/a.txt": "hi\n",
    "tmp/demo/tök.txt": "tok\n",
  });
});

Deno.test("extractZip keeps executable bits and lets nobody else read", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const zip = zipOf([{ name: "run.sh", content: "x", mode: 0o100755 }, { name: "data", mode: 0o100666 }]);
    await Deno.writeFile(join(folder, "a.zip"), zip);
    await Deno.mkdir(join(folder, "tree"));
    await extractZip(join(folder, "a.zip"), join(folder, "tree"), { limits: LIMITS });
    const mode = async (name: string) => (await Deno.stat(join(folder, "tree", name))).mode! & 0o777;
    assertEquals([await mode("run.sh"), await mode("data")], [0o700, 0o600]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("extractZip refuses entries that climb out", async () => {
  await refused([{ name: "../escaped", content: "x" }], "outside");
  await refused([{ name: "a/../../escaped", content: "x" }], "outside");
  await refused([{ name: "/../escaped", content: "x" }], "outside");
  await refused([{ name: "a/..", content: "x" }], "outside");
  await refused([{ name: "a\0b", content: "x" }], "outside");
});

Deno.test("extractZip takes absolute names as below the target", async () => {
  assertEquals(await unpack(zipOf([{ name: "/etc//./passwd", content: "x" }])), {
    "etc": "dir",
    "etc/passwd": "x",
  });
});

Deno.test("extractZip refuses links that lead outside, also through other links", async () => {
  await refused([{ name: "l", content: "/etc/passwd", mode: LINK }], "not a relative path");
  await refused([{ name: "l", content: "../x", mode: LINK }], "leaves");
  await refused([{ name: "a/b/l", content: "../../../x", mode: LINK }], "leaves");
  // Lexically inside, but `up` is shallower than it looks.
  await refused([
    { name: "a/b/c/" },
    { name: "a/b/c/root", content: "../../..", mode: LINK },
    { name: "out", content: "a/b/c/root/../../etc", mode: LINK },
  ], "leaves");
  await refused([
    { name: "x/y/" },
    { name: "x/y/top", content: "../..", mode: LINK },
    { name: "z", content: "x/y/top/..", mode: LINK },
  ], "leaves");
  await refused([{ name: "l", content: "missing/../../x", mode: LINK }], "leaves");
  await refused([{ name: "l", content: "", mode: LINK }]);
  await refused([{ name: "a", content: "b", mode: LINK }, { name: "b", content: "a", mode: LINK }], "leaves");
});

Deno.test("extractZip writes nothing through a link of the same archive", async () => {
  await refused([
    { name: "d", content: "elsewhere", mode: LINK },
    { name: "d/file", content: "x" },
  ]);
});

Deno.test("extractZip refuses archives that contradict themselves", async () => {
  await refused([{ name: "a", content: "x" }, { name: "a/b", content: "y" }]);
  await refused([{ name: "a/b", content: "x" }, { name: "/a/b", content: "y" }]);
  await refused([{ name: "n".repeat(300), content: "x" }]);
});

Deno.test("extractZip refuses what is no zip, is cut, or damaged", async () => {
  await refused(new TextEncoder().encode("this is no zip"));
  await refused(new Uint8Array());
  const good = zipOf([{ name: "a.txt", content: "hello hello hello hello ".repeat(50) }]);
  await refused(good.slice(0, good.length - 10));
  for (const at of [36, 40, 45]) {
    const bad = good.slice();
    bad[at] = bad[at]! ^ 0xff;
    await refused(bad);
  }
});

Deno.test("extractZip stops at bombs before unpacking them", async () => {
  const bomb = zipOf([{ name: "zeros", content: new Uint8Array(2_000_000) }]);
  const error = await assertRejects(() => unpack(bomb), SkyError);
  assertEquals(error.code, "payload_too_large");
  const many = zipOf(Array.from({ length: 20 }, (_, i) => ({ name: `f${i}` })));
  const crowd = await assertRejects(() => unpack(many, { ...LIMITS, maxEntries: 10 }), SkyError);
  assertEquals(crowd.code, "payload_too_large");
});

Deno.test("extractZip does not believe a declared size", async () => {
  const bomb = zipOf([{ name: "zeros", content: new Uint8Array(500_000) }]);
  const view = new DataView(bomb.buffer);
  // The central directory's uncompressed size, made small.
  for (let at = 0; at < bomb.length - 4; at++) {
    if (view.getUint32(at, true) === 0x02014b50) view.setUint32(at + 24, 10, true);
  }
  await refused(bomb);
});
