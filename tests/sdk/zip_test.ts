import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import yauzl from "yauzl";
import { SkyError } from "../../core/errors.ts";
import { packInto } from "../../sdk/pack.ts";
import { ZipWriter } from "../../sdk/zip.ts";

interface Entry {
  fileNameRaw: Uint8Array;
  externalFileAttributes: number;
}
interface Zip {
  eachEntry(): AsyncIterable<Entry>;
  openReadStreamPromise(entry: Entry): Promise<AsyncIterable<Uint8Array>>;
  close(): void;
  once(event: "close", act: () => void): void;
}

/** Name → [attributes, content] as another zip reader sees it (it checks sizes). */
async function entriesOf(path: string): Promise<Record<string, [number, Uint8Array]>> {
  const open = yauzl.openPromise as unknown as (path: string, options: object) => Promise<Zip>;
  const zip = await open(path, { autoClose: false, decodeStrings: false });
  const found: Record<string, [number, Uint8Array]> = {};
  for await (const entry of zip.eachEntry()) {
    const parts: number[] = [];
    for await (const chunk of await zip.openReadStreamPromise(entry)) {
      for (const byte of chunk) parts.push(byte);
    }
    found[text(entry.fileNameRaw)] = [entry.externalFileAttributes, Uint8Array.from(parts)];
  }
  const closed = new Promise((resolve) => zip.once("close", () => setTimeout(resolve, 1)));
  zip.close();
  await closed;
  return found;
}

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "sky-test-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

Deno.test("ZipWriter gives the blob id of wire.md's test vector", async () => {
  await withFolder(async (folder) => {
    for (const [name, content] of [["a.txt", "hi\n"], ["tok.txt", "tok\n"]] as const) {
      await Deno.writeTextFile(join(folder, name), content);
    }
    const path = join(folder, "x.zip");
    using file = await Deno.open(path, { write: true, createNew: true });
    const zip = new ZipWriter(file);
    const plain = { mode: 0o755, modified: null };
    await zip.addDirectory("tmp/demo/proj/", plain);
    await zip.addSymlink("/tmp/demo/proj/dlink/", "empty");
    await zip.addDirectory("tmp/demo/proj/empty/", plain);
    await zip.addSymlink("/tmp/demo/proj/link", "a.txt");
    await zip.addFile("tmp/demo/proj/a.txt", join(folder, "a.txt"));
    await zip.addFile("tmp/demo/tok.txt", join(folder, "tok.txt"));
    assertEquals(await zip.finish(), "8c9c344cd73f196652c941b0e1444dd868914bac19760e3d0c044384e65692f3");
    const entries = await entriesOf(path);
    assertEquals(entries["/tmp/demo/proj/link"]?.[0], 0xa1ed0000);
    assertEquals(text(entries["/tmp/demo/proj/dlink/"]?.[1]), "empty");
    assertEquals(text(entries["tmp/demo/proj/a.txt"]?.[1]), "hi\n");
    assertEquals((entries["tmp/demo/proj/"]?.[0] ?? 0) >>> 28, 4);
  });
});

Deno.test("packInto packs trees with links, modes, large and odd files, and the same id for the same content", async () => {
  await withFolder(async (folder) => {
    const root = join(folder, "proj");
    await Deno.mkdir(join(root, "sub", "empty"), { recursive: true });
    const large = new Uint8Array(5_000_000);
    for (let i = 0; i < large.length; i++) large[i] = (i * 2654435761) >>> 24;
    await Deno.writeFile(join(root, "large.bin"), large);
    await Deno.writeTextFile(join(root, "run.sh"), "#!/bin/sh\n", { mode: 0o755 });
    await Deno.writeTextFile(join(root, "ünï cödé.txt"), "u");
    await Deno.writeTextFile(join(root, "zero"), "");
    await Deno.symlink(join(root, "sub"), join(root, "absolute"));
    await Deno.symlink("run.sh", join(root, "relative"));
    await Deno.symlink("nowhere", join(root, "dangling"));
    await Deno.symlink("loop", join(root, "loop"));
    await Deno.writeTextFile(join(folder, "single.txt"), "s");
    const socket = Deno.listen({ transport: "unix", path: join(root, "a.sock") });
    const first = join(folder, "1.zip");
    const id = await packInto(first, [root, join(folder, "single.txt"), join(root, "sub")]);
    socket.close();
    const entries = await entriesOf(first);
    const base = root.slice(1);
    assertEquals(
      Object.keys(entries).sort(),
      [
        `${root}/absolute/`,
        `${root}/dangling`,
        `${root}/loop`,
        `${root}/relative`,
        `${base}/`,
        `${base}/large.bin`,
        `${base}/run.sh`,
        `${base}/sub/`,
        `${base}/sub/empty/`,
        `${base}/zero`,
        `${base}/ünï cödé.txt`,
        `${folder.slice(1)}/single.txt`,
      ].sort(),
    );
    assertEquals(entries[`${base}/large.bin`]?.[1], large);
    assertEquals(((entries[`${base}/run.sh`]?.[0] ?? 0) >>> 16) & 0o777, 0o755);
    assertEquals(text(entries[`${root}/absolute/`]?.[1]), "sub");
    assertEquals(text(entries[`${root}/relative`]?.[1]), "run.sh");
    assertEquals(text(entries[`${root}/dangling`]?.[1]), "nowhere");
    await Deno.utime(join(root, "run.sh"), 1, 1);
    assertEquals(await packInto(join(folder, "2.zip"), [join(folder, "single.txt"), root]), id);
    await Deno.writeTextFile(join(root, "zero"), "0");
    assertEquals(await packInto(join(folder, "3.zip"), [join(folder, "single.txt"), root]) === id, false);
  });
});

Deno.test("packInto obeys .gitignore files as git does, and .skyignore instead where there is one", async () => {
  await withFolder(async (folder) => {
    const files: Record<string, string> = {
      ".gitignore": "*.log\n/build/\nsecret.txt\n",
      ".git/info/exclude": "local.txt\n",
      ".git/HEAD": "ref",
      "a.log": "",
      "local.txt": "",
      "build/out.o": "",
      "deep/build/kept.o": "",
      "deep/.gitignore": "!keep.log\nonly-here\n",
      "deep/keep.log": "",
      "deep/other.log": "",
      "deep/only-here": "",
      "only-here": "",
      "deep/secret.txt": "",
      "main.py": "",
    };
    for (const [name, content] of Object.entries(files)) {
      await Deno.mkdir(join(folder, "p", name, ".."), { recursive: true });
      await Deno.writeTextFile(join(folder, "p", name), content);
    }
    const names = async (zip: string) => {
      await packInto(join(folder, zip), [join(folder, "p")]);
      const prefix = `${folder.slice(1)}/p/`;
      return Object.keys(await entriesOf(join(folder, zip))).map((name) => name.slice(prefix.length))
        .filter((name) => name !== "" && !name.endsWith("/")).sort();
    };
    assertEquals(await names("git.zip"), [
      ".git/HEAD",
      ".git/info/exclude",
      ".gitignore",
      "deep/.gitignore",
      "deep/build/kept.o",
      "deep/keep.log",
      "main.py",
      "only-here",
    ]);
    await Deno.writeTextFile(join(folder, "p", ".skyignore"), "# all but code\n.git\ndeep/\n");
    const sky = await names("sky.zip");
    assertEquals(sky.filter((name) => name.startsWith("deep") || name.startsWith(".git/")), []);
    assertEquals(sky.includes("a.log") && sky.includes("build/out.o"), true);
  });
});

Deno.test("packInto names a path that is not there", async () => {
  await withFolder(async (folder) => {
    const packing = packInto(join(folder, "x.zip"), [join(folder, "nope")]);
    assertEquals(
      (await assertRejects(() => packing, SkyError, "nope': it does not exist")).code,
      "file_not_found",
    );
  });
});
