import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { SkyError } from "../../../core/errors.ts";
import { signal } from "../support.ts";
import { filesContract, withSource } from "./files_contract.ts";
import { withRemoteNode } from "./remote_support.ts";

filesContract("remote", (work) => withRemoteNode(work));

Deno.test("upload sends again only what has changed, where both ends have rsync", async () => {
  for (const host of [{}, { useUserConfig: false }]) {
    await withRemoteNode(async (node) => {
      const source = await withSource(node, { "a": "1", "sub/b": "2", "x.log": "", ".gitignore": "*.log" });
      await Deno.symlink("a", join(source, "l"));
      await node.runner.upload(source, "~/sky_workdir", { signal });
      const target = join(node.home, "sky_workdir");
      const before = await Deno.stat(join(target, "sub/b"));
      await Deno.writeTextFile(join(source, "a"), "changed");
      await Deno.writeTextFile(join(source, "new 'q' $(x)"), "new");
      await Deno.writeTextFile(join(target, "stale"), "stays");
      await node.runner.upload(source, "~/sky_workdir", { signal });
      assertEquals((await Deno.stat(join(target, "sub/b"))).ino, before.ino);
      assertEquals(await node.file("sky_workdir/a"), "changed");
      assertEquals(await node.file("sky_workdir/new 'q' $(x)"), "new");
      assertEquals(await node.file("sky_workdir/stale"), "stays");
      assertEquals(await node.file("sky_workdir/x.log"), null);
      assertEquals(await Deno.readLink(join(target, "l")), "a");
    }, { host: () => host });
  }
});

Deno.test("upload keeps modes, links and empty directories, and closes read-only ones at the end", () =>
  withRemoteNode(async (node) => {
    const source = await withSource(node, { "run.sh": "#!/bin/sh\n", "ro/f": "1" });
    await Deno.mkdir(join(source, "empty"));
    await Deno.symlink("/no/where", join(source, "dangling"));
    await Deno.chmod(join(source, "run.sh"), 0o755);
    await Deno.chmod(join(source, "ro"), 0o555);
    await new Deno.Command("mkfifo", { args: [join(source, "pipe")] }).output();
    await node.runner.upload(source, "~/t", { signal });
    const mode = async (path: string) => (await Deno.stat(join(node.home, "t", path))).mode! & 0o777;
    assertEquals([await mode("run.sh"), await mode("ro"), await mode("empty")], [0o755, 0o555, 0o755]);
    assertEquals(await Deno.readLink(join(node.home, "t/dangling")), "/no/where");
    assertEquals(node.notes.length, 1);
    await Deno.chmod(join(source, "ro"), 0o755);
    await Deno.chmod(join(node.home, "t/ro"), 0o755);
  }));

Deno.test("upload outside of home and /tmp keeps the content in the home and links to it", () =>
  withRemoteNode(async (node) => {
    const link = `/var/tmp/sky test ${crypto.randomUUID()}/in`;
    try {
      const source = await withSource(node, { "f": "1" });
      await node.runner.upload(source, link, { signal });
      assertEquals(await Deno.readLink(link), `${node.home}/.sky/file_mounts${link}`);
      await Deno.writeTextFile(join(source, "g"), "2");
      await node.runner.upload(source, link, { signal });
      assertEquals(await Deno.readTextFile(join(link, "g")), "2");
      assertEquals(await node.file(".sky/links"), `${JSON.stringify(link)}\n`);
    } finally {
      await Deno.remove(join(link, ".."), { recursive: true });
    }
  }));

Deno.test("upload of a file is whole or not there, and goes into a directory that is there", () =>
  withRemoteNode(async (node) => {
    const source = await withSource(node, { "f": "1" });
    await node.runner.upload(join(source, "f"), "~/x/y", { signal });
    await node.runner.upload(join(source, "f"), "~/x", { signal });
    assertEquals([await node.file("x/y"), await node.file("x/f")], ["1", "1"]);
    await Deno.truncate(join(source, "f"), 1 << 30);
    const abort = new AbortController();
    const copying = node.runner.upload(join(source, "f"), "~/x/big", { signal: abort.signal });
    setTimeout(() => abort.abort(new SkyError("request_cancelled", "enough")), 150);
    await assertRejects(() => copying, SkyError, "enough");
    assertEquals(await node.file("x/big"), null);
  }));

Deno.test("upload says what is missing and what is denied", () =>
  withRemoteNode(async (node) => {
    const missing = await assertRejects(() => node.runner.upload("/no/such", "~/x", { signal }), SkyError);
    assertEquals(missing.code, "file_not_found");
    const source = await withSource(node, { "a/f": "1" });
    await Deno.mkdir(join(node.home, "t/a/f/full"), { recursive: true });
    const failed = await assertRejects(() => node.runner.upload(source, "~/t", { signal }), SkyError);
    assertEquals(failed.code, "command_failed");
  }));

Deno.test("download is not led astray by links, holes and huge files of a node", () =>
  withRemoteNode(async (node) => {
    const evil = join(node.home, "evil");
    const outside = join(node.root, "outside");
    await Deno.mkdir(join(evil, "dir"), { recursive: true });
    await Deno.mkdir(outside);
    await Deno.writeTextFile(join(outside, "secret"), "s3cr3t");
    await Deno.symlink(outside, join(evil, "out"));
    await Deno.symlink("../../x", join(evil, "dir/climb"));
    await Deno.symlink("../a", join(evil, "dir/in"));
    await Deno.writeTextFile(join(evil, "a"), "1");
    await Deno.link(join(evil, "a"), join(evil, "b"));
    await new Deno.Command("mkfifo", { args: [join(evil, "pipe")] }).output();
    await Deno.writeTextFile(join(evil, "setuid"), "");
    await Deno.chmod(join(evil, "setuid"), 0o4755);
    const back = join(node.root, "back");
    // What is there already is replaced, not followed.
    await Deno.mkdir(back);
    await Deno.symlink(outside, join(back, "dir"));
    await node.runner.download("~/evil", back, { signal });
    const names = (await Array.fromAsync(Deno.readDir(back))).map((entry) => entry.name).sort();
    assertEquals(names, ["a", "b", "dir", "setuid"]);
    assertEquals(await Deno.readTextFile(join(back, "b")), "1");
    assertEquals(await Deno.readTextFile(join(back, "dir/in")), "1");
    assertEquals(await Deno.lstat(join(back, "dir/climb")).catch(() => null), null);
    assertEquals((await Deno.stat(join(back, "setuid"))).mode! & 0o7777, 0o755);
    assertEquals((await Array.fromAsync(Deno.readDir(outside))).length, 1);
    assertEquals(node.notes.length, 3, node.notes.join("\n"));
  }));

Deno.test("download of a big file is whole or not there", () =>
  withRemoteNode(async (node) => {
    const bytes = new Uint8Array(3_000_001).map((_, i) => i * 7 + (i >> 8));
    await Deno.writeFile(join(node.home, "big"), bytes);
    const back = join(node.root, "back");
    await node.runner.download("~/big", back, { signal });
    const copied = await Deno.readFile(back);
    assertEquals(copied.length, bytes.length);
    assertEquals(copied.findIndex((byte, i) => byte !== bytes[i]), -1);
    await Deno.truncate(join(node.home, "big"), 2 ** 31);
    const abort = new AbortController();
    const copying = node.runner.download("~/big", join(node.root, "other"), { signal: abort.signal });
    setTimeout(() => abort.abort(new SkyError("request_cancelled", "enough")), 150);
    await assertRejects(() => copying, SkyError, "enough");
    assertEquals(await Deno.stat(join(node.root, "other")).catch(() => null), null);
  }));
