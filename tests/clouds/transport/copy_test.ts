import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { SkyError } from "../../../core/errors.ts";
import { copyInto, type CopyOptions } from "../../../clouds/transport/copy.ts";
import { signal } from "../support.ts";

interface Pair {
  readonly from: string;
  readonly to: string;
  readonly notes: string[];
  copy(options?: Partial<CopyOptions> & { from?: string; to?: string }): Promise<void>;
}

async function withPair(work: (pair: Pair) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "copy " });
  const [from, to, notes] = [join(root, "from"), join(root, "to"), [] as string[]];
  await Deno.mkdir(from);
  const base = { signal, note: (text: string) => notes.push(text), ignoreFiles: true, avoid: [] };
  const copy: Pair["copy"] = (options = {}) =>
    copyInto(options.from ?? from, options.to ?? to, { ...base, ...options });
  try {
    await work({ from, to, notes, copy });
  } finally {
    await new Deno.Command("chmod", { args: ["-R", "u+rwx", root], stderr: "null" }).output();
    await Deno.remove(root, { recursive: true });
  }
}

async function tree(root: string, path = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(join(root, path))) {
    const inner = join(path, entry.name);
    found.push(entry.isDirectory ? `${inner}/` : inner);
    if (entry.isDirectory) found.push(...await tree(root, inner));
  }
  return found.sort();
}

const mode = async (path: string) => ((await Deno.lstat(path)).mode! & 0o7777).toString(8);

Deno.test("copyInto copies content, modes, times and links, and merges without deleting", () =>
  withPair(async ({ from, to, copy }) => {
    await Deno.mkdir(join(from, "sub/empty"), { recursive: true });
    await Deno.writeTextFile(join(from, "run.sh"), "#!/bin/sh\n", { mode: 0o755 });
    await Deno.chmod(join(from, "run.sh"), 0o755);
    await Deno.writeTextFile(join(from, "sub/data"), "data");
    await Deno.chmod(join(from, "sub/data"), 0o440);
    await Deno.chmod(join(from, "sub"), 0o755);
    const time = new Date(1_600_000_000_123);
    await Deno.utime(join(from, "sub/data"), time, time);
    await Deno.utime(join(from, "sub"), time, time);
    await Deno.symlink("sub/data", join(from, "link"));
    await Deno.symlink("/no/where", join(from, "dangling"));
    await Deno.symlink("sub", join(from, "dirlink"));
    await Deno.mkdir(join(to, "sub"), { recursive: true });
    await Deno.writeTextFile(join(to, "sub/stale"), "stays");
    await copy();
    assertEquals(await tree(to), [
      "dangling",
      "dirlink",
      "link",
      "run.sh",
      "sub/",
      "sub/data",
      "sub/empty/",
      "sub/stale",
    ]);
    assertEquals([await mode(join(to, "run.sh")), await mode(join(to, "sub/data"))], ["755", "440"]);
    assertEquals(await Deno.readTextFile(join(to, "sub/data")), "data");
    assertEquals((await Deno.stat(join(to, "sub/data"))).mtime, time);
    assertEquals((await Deno.stat(join(to, "sub"))).mtime, time);
    assertEquals(await Deno.readLink(join(to, "dangling")), "/no/where");
    assertEquals(await Deno.readLink(join(to, "dirlink")), "sub");
  }));

Deno.test("copyInto leaves alone what has the same size and time, and takes over a new mode", () =>
  withPair(async ({ from, to, copy }) => {
    await Deno.writeTextFile(join(from, "a"), "one");
    await copy();
    const before = await Deno.stat(join(to, "a"));
    await Deno.chmod(join(from, "a"), 0o700);
    await copy();
    const after = await Deno.stat(join(to, "a"));
    assertEquals(after.ino, before.ino);
    assertEquals(await mode(join(to, "a")), "700");
    await Deno.writeTextFile(join(from, "a"), "two");
    await Deno.utime(join(from, "a"), 1, 1);
    await copy();
    assertEquals(await Deno.readTextFile(join(to, "a")), "two");
    assertEquals((await tree(to)).length, 1, "temporary files are left");
  }));

Deno.test("copyInto copies files with any Unicode name", () =>
  withPair(async ({ from, to, copy }) => {
    const names = [
      "a b",
      " ",
      "q'\"`$(id)",
      "new\nline",
      "ü🚀",
      "-rf",
      "..x",
      "back\\slash",
      "x".repeat(255),
      "*?[]",
    ];
    for (const name of names) {
      await Deno.writeTextFile(join(from, name), name);
      await Deno.mkdir(join(from, "dir", name), { recursive: true });
      await Deno.writeTextFile(join(from, "dir", name, "f"), name);
    }
    await copy();
    assertEquals(await tree(to), await tree(from));
    for (const name of names) assertEquals(await Deno.readTextFile(join(to, "dir", name, "f")), name);
  }));

Deno.test("copyInto honours ignore files only when told", () =>
  withPair(async ({ from, to, copy }) => {
    await Deno.writeTextFile(join(from, ".gitignore"), "*.log\n/out/\n");
    await Deno.writeTextFile(join(from, "a.log"), "");
    await Deno.mkdir(join(from, "out"));
    await Deno.writeTextFile(join(from, "out/x"), "");
    await copy();
    assertEquals(await tree(to), [".gitignore"]);
    await copy({ ignoreFiles: false });
    assertEquals(await tree(to), [".gitignore", "a.log", "out/", "out/x"]);
  }));

Deno.test("copyInto skips special files with a note", () =>
  withPair(async ({ from, to, notes, copy }) => {
    await new Deno.Command("mkfifo", { args: [join(from, "pipe")] }).output();
    const listener = Deno.listen({ transport: "unix", path: join(from, "sock") });
    await Deno.writeTextFile(join(from, "file"), "");
    await copy();
    listener.close();
    assertEquals(await tree(to), ["file"]);
    assertEquals(notes.length, 2);
    assert(notes.every((note) => note.includes("not a regular file")), notes.join());
    await copy({ from: join(from, "pipe"), to: join(to, "pipe") });
    assertEquals(await tree(to), ["file"]);
  }));

Deno.test("copyInto never follows links below the target", () =>
  withPair(async ({ from, to, copy }) => {
    const elsewhere = `${to}-elsewhere`;
    await Deno.mkdir(elsewhere);
    await Deno.mkdir(to);
    await Deno.writeTextFile(join(elsewhere, "victim"), "safe");
    await Deno.symlink(elsewhere, join(to, "dir"));
    await Deno.symlink(join(elsewhere, "victim"), join(to, "file"));
    await Deno.mkdir(join(from, "dir"));
    await Deno.writeTextFile(join(from, "dir/victim"), "new");
    await Deno.writeTextFile(join(from, "file"), "new");
    await copy();
    assertEquals(await Deno.readTextFile(join(elsewhere, "victim")), "safe");
    assertEquals(await Deno.readTextFile(join(to, "dir/victim")), "new");
    assertEquals(await Deno.readTextFile(join(to, "file")), "new");
  }));

Deno.test("copyInto follows a link that is the source or the target itself", () =>
  withPair(async ({ from, to, copy }) => {
    await Deno.writeTextFile(join(from, "a"), "1");
    await Deno.symlink(from, `${from}-link`);
    await Deno.mkdir(to);
    await Deno.symlink(to, `${to}-link`);
    await copy({ from: `${from}-link`, to: `${to}-link` });
    assertEquals(await tree(to), ["a"]);
  }));

Deno.test("copyInto copies a file to a name, or into a directory that is there", () =>
  withPair(async ({ from, to, copy }) => {
    await Deno.writeTextFile(join(from, "a"), "1");
    await copy({ from: join(from, "a"), to: join(to, "x/y") });
    await copy({ from: join(from, "a"), to });
    assertEquals(await tree(to), ["a", "x/", "x/y"]);
  }));

Deno.test("copyInto replaces files by directories and the other way round, but nothing with content", () =>
  withPair(async ({ from, to, copy }) => {
    await Deno.mkdir(join(from, "a"));
    await Deno.writeTextFile(join(from, "b"), "file");
    await Deno.mkdir(join(to, "b"), { recursive: true });
    await Deno.writeTextFile(join(to, "a"), "file");
    await copy();
    assertEquals(await tree(to), ["a/", "b"]);
    await Deno.remove(join(from, "a"));
    await Deno.symlink("b", join(from, "a"));
    await Deno.writeTextFile(join(to, "a/precious"), "");
    const error = await assertRejects(() => copy(), SkyError, "Cannot copy");
    assertEquals(error.code, "command_failed");
    assertEquals(await tree(to), ["a/", "a/precious", "b"]);
  }));

Deno.test("copyInto writes into read-only directories of its own making", () =>
  withPair(async ({ from, to, copy }) => {
    await Deno.mkdir(join(from, "ro"));
    await Deno.writeTextFile(join(from, "ro/a"), "1");
    await Deno.chmod(join(from, "ro"), 0o555);
    await copy();
    assertEquals(await mode(join(to, "ro")), "555");
    await Deno.chmod(join(from, "ro"), 0o755);
    await Deno.writeTextFile(join(from, "ro/b"), "2");
    await Deno.chmod(join(from, "ro"), 0o555);
    await copy();
    assertEquals(await tree(to), ["ro/", "ro/a", "ro/b"]);
  }));

Deno.test("copyInto does not enter directories to avoid, nor what is left out", () =>
  withPair(async ({ from, notes, copy }) => {
    const nodes = join(from, "server/nodes");
    await Deno.mkdir(join(nodes, "c/node0"), { recursive: true });
    await Deno.writeTextFile(join(from, "a"), "1");
    await Deno.mkdir(join(from, "secret"));
    const to = join(nodes, "c/node0/work");
    await copy({ to, avoid: [nodes, "/no/such"], leaveOut: (path) => path === "secret" });
    assertEquals(await tree(to), ["a", "server/"]);
    assertEquals(notes.length, 1);
  }));

Deno.test("copyInto says what is missing", () =>
  withPair(async ({ from, copy }) => {
    const error = await assertRejects(
      () => copy({ from: join(from, "no") }),
      SkyError,
      "there is no such file",
    );
    assertEquals(error.code, "file_not_found");
  }));

Deno.test("copyInto stops on abort, also within a big file, and leaves no half of it", () =>
  withPair(async ({ from, to, copy }) => {
    await Deno.truncate(await touch(join(from, "big")), 1 << 30);
    const abort = new AbortController();
    const copying = copy({ signal: abort.signal });
    setTimeout(() => abort.abort(new SkyError("request_cancelled", "enough")), 30);
    const began = performance.now();
    await assertRejects(() => copying, SkyError, "enough");
    assert(performance.now() - began < 1_000);
    assertEquals(await tree(to), []);
  }));

Deno.test("copyInto copies big files whole", () =>
  withPair(async ({ from, to, copy }) => {
    const bytes = new Uint8Array((16 << 20) + 12_345).map((_, i) => i * 7 + (i >> 8));
    await Deno.writeFile(join(from, "big"), bytes, { mode: 0o640 });
    await copy();
    const copied = await Deno.readFile(join(to, "big"));
    assert(copied.length === bytes.length && copied.every((byte, i) => byte === bytes[i]));
    assertEquals(await mode(join(to, "big")), await mode(join(from, "big")));
  }));

Deno.test("copyInto copies many files and deep trees", () =>
  withPair(async ({ from, to, copy }) => {
    for (let i = 0; i < 300; i++) await touch(join(from, `f${i}`));
    await Deno.mkdir(join(from, ...Array.from({ length: 100 }, (_, i) => `d${i}`)), { recursive: true });
    await copy();
    assertEquals(await tree(to), await tree(from));
  }));

async function touch(path: string): Promise<string> {
  await Deno.writeTextFile(path, "");
  return path;
}
