import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { SkyError } from "../../../core/errors.ts";
import { Splitter } from "../../../clouds/transport/remote/frames.ts";
import { type ReadEntry, readTar } from "../../../clouds/transport/remote/tar_read.ts";
import { tarEnd, type TarEntry, tarHeader, tarPadding } from "../../../clouds/transport/remote/tar_write.ts";

const encoder = new TextEncoder();

function archive(entries: (Partial<TarEntry> & { path: string; text?: string })[]): Uint8Array<ArrayBuffer> {
  const parts = entries.flatMap(({ text = "", ...entry }) => {
    const content = encoder.encode(text);
    const size = content.length;
    return [tarHeader({ type: "file", mode: 0o644, mtime: 1, size, ...entry }), content, tarPadding(size)];
  });
  const whole = [...parts, tarEnd()];
  const bytes = new Uint8Array(whole.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of whole) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

interface Read extends Omit<ReadEntry, "content"> {
  readonly text: string;
}

async function read(bytes: Uint8Array, size = 4096): Promise<Read[]> {
  const found: Read[] = [];
  for await (const { content, ...entry } of readTar(pieces(bytes, size))) {
    const decoder = new TextDecoder();
    let text = "";
    for await (const piece of content()) text += decoder.decode(piece, { stream: true });
    found.push({ ...entry, text });
  }
  return found;
}

const ENTRIES = [
  { path: "a", text: "hello", mode: 0o755, mtime: 1_700_000_000 },
  { path: `ü🚀/${"long/".repeat(60)}name`, text: "x".repeat(1025) },
  { path: "d", type: "directory" as const, mode: 0o700 },
  { path: "l", type: "link" as const, target: `d/${"t".repeat(200)}` },
  { path: "new\nline 'q'", text: "" },
];

Deno.test("tarHeader and readTar keep names, modes, times, links and content, however it is cut", async () => {
  const bytes = archive(ENTRIES);
  for (const size of [1, 7, 511, 512, 513, 100_000]) {
    const found = await read(bytes, size);
    assertEquals(found.map((one) => one.path), ENTRIES.map((one) => one.path));
    assertEquals(found.map((one) => one.text), ENTRIES.map((one) => one.text ?? ""));
    assertEquals([found[0]!.mode, found[0]!.mtime], [0o755, 1_700_000_000]);
    assertEquals([found[2]!.type, found[3]!.type, found[3]!.target], [
      "directory",
      "link",
      ENTRIES[3]!.target,
    ]);
  }
});

Deno.test("tarHeader writes what tar reads, sizes beyond 8 GiB too", async () => {
  const root = await Deno.makeTempDir();
  try {
    await Deno.writeFile(join(root, "a.tar"), archive(ENTRIES));
    const { success } = await new Deno.Command("tar", { args: ["-xf", "a.tar"], cwd: root }).output();
    assert(success);
    assertEquals(await Deno.readTextFile(join(root, ENTRIES[1]!.path)), "x".repeat(1025));
    assertEquals(await Deno.readLink(join(root, "l")), ENTRIES[3]!.target);
    assertEquals((await Deno.stat(join(root, "a"))).mode! & 0o777, 0o755);
    const size = 20 * 2 ** 30 + 5;
    const head = tarHeader({ path: "big", type: "file", mode: 0o600, mtime: 0, size });
    await Deno.writeFile(join(root, "b.tar"), head);
    const listed = await new Deno.Command("tar", { args: ["-tvf", "b.tar"], cwd: root, stderr: "null" })
      .output();
    assert(new TextDecoder().decode(listed.stdout).includes(String(size)));
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("readTar reads what tar writes in each of its formats", async () => {
  const root = await Deno.makeTempDir();
  try {
    const name = `${"sub/".repeat(20)}${"n".repeat(120)}ü`;
    await Deno.mkdir(join(root, "t", "sub/".repeat(20)), { recursive: true });
    await Deno.writeTextFile(join(root, "t", name), "content");
    await Deno.link(join(root, "t", name), join(root, "t", "zz"));
    for (const format of ["gnu", "pax", "oldgnu"]) {
      const args = ["-cf", "-", `--format=${format}`, "--sort=name", "-C", join(root, "t"), "."];
      const { stdout } = await new Deno.Command("tar", { args }).output();
      const found = await read(stdout);
      assertEquals(found[0]!.path, "");
      assertEquals(found.find((one) => one.type === "file")?.path, name);
      assertEquals(found.at(-1)!.type, "hard");
      assertEquals(found.at(-1)!.target, name);
    }
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("readTar refuses names that leave their folder, and what is no archive", async () => {
  for (const path of ["/etc/passwd", "../x", "a/../../x", "a/.."]) {
    await assertRejects(() => read(archive([{ path, text: "x" }])), SkyError, "no name below its folder");
  }
  const good = archive([{ path: "a", text: "hello" }]);
  await assertRejects(() => read(good.subarray(0, 600)), SkyError, "ends too early");
  await assertRejects(() => read(good.subarray(0, 1024)), SkyError, "ends too early");
  const damaged = good.slice();
  damaged[3] = 1;
  await assertRejects(() => read(damaged), SkyError, "damaged");
  await assertRejects(
    () => read(encoder.encode("#!/bin/sh\n".repeat(100))),
    SkyError,
    "Cannot read the archive",
  );
  const endless = tarHeader({ path: "x".repeat(2 << 20), type: "file", mode: 0, mtime: 0, size: 0 });
  await assertRejects(() => read(endless), SkyError, "no end");
  const talkative = new Uint8Array(good.length + (6 << 20));
  talkative.set(good);
  await assertRejects(() => read(talkative), SkyError, "goes on");
});

Deno.test("readTar reads random bytes without harm", async () => {
  for (let round = 0; round < 200; round++) {
    const bytes = archive(ENTRIES);
    for (let i = 0; i < 5; i++) bytes[Math.floor(Math.random() * bytes.length)] = Math.random() * 256;
    try {
      for (const { path } of await read(bytes)) {
        assert(!path.startsWith("/") && !path.split("/").includes(".."));
      }
    } catch (error) {
      assert(error instanceof SkyError, String(error));
    }
  }
});

Deno.test("Splitter finds a mark wherever a stream is cut", () => {
  const mark = "sky-abcabc\n";
  for (const text of ["", "sky-", "noise sky-abc", "sky-abcsky-abca", "x".repeat(50)]) {
    const whole = encoder.encode(`${text}${mark}after${mark}`);
    for (let size = 1; size < whole.length + 1; size++) {
      const split = new Splitter(mark);
      let [before, after] = ["", ""];
      for (let at = 0; at < whole.length; at += size) {
        const part = split.push(whole.subarray(at, at + size));
        for (const one of part.before) before += new TextDecoder().decode(one);
        after += new TextDecoder().decode(part.after);
      }
      assertEquals([split.found, before, after], [true, text, `after${mark}`], `${text} by ${size}`);
    }
    const none = new Splitter(mark);
    let out = "";
    for (const byte of encoder.encode(text)) {
      for (const one of none.push(new Uint8Array([byte])).before) out += new TextDecoder().decode(one);
    }
    assertEquals(out + new TextDecoder().decode(none.rest()), text);
  }
});
