import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { SkyError } from "../../../core/errors.ts";
import { LocalRunner } from "../../../clouds/transport/local.ts";
import { alive, processEnv, signal, type TestNode, withNode } from "../support.ts";

async function withSource(node: TestNode, files: Record<string, string>): Promise<string> {
  const source = join(node.root, "source");
  for (const [name, text] of Object.entries(files)) {
    await Deno.mkdir(join(source, name, ".."), { recursive: true });
    await Deno.writeTextFile(join(source, name), text);
  }
  return source;
}

Deno.test("run has the node's HOME and folder, not the server's environment", () =>
  withNode(async ({ runner, home }) => {
    const text = 'pwd; echo "$HOME"; echo "$A"; env | grep -c ^DENO_ || true; cat';
    const result = await runner.run(["sh", "-c", text], { signal, env: { A: "a'\nb" }, stdin: "in" });
    assertEquals(result, { code: 0, stdout: `${home}\n${home}\na'\nb\n0\nin`, stderr: "" });
  }));

Deno.test("run kills its program on abort before it rejects", () =>
  withNode(async ({ runner, home }) => {
    const abort = new AbortController();
    const running = runner.run(["sh", "-c", "sleep 100 & echo $! >pid; wait"], { signal: abort.signal });
    let pid = 0;
    while (pid === 0) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      pid = Number(await Deno.readTextFile(join(home, "pid")).catch(() => "0"));
    }
    abort.abort(new Error("stop"));
    await assertRejects(() => running, Error, "stop");
    assert(!alive(pid));
  }));

Deno.test("upload puts a workdir's content into ~/sky_workdir, ignore files honoured", () =>
  withNode(async (node) => {
    const source = await withSource(node, {
      "a.sh": "1",
      "sub/b": "2",
      "x.log": "",
      ".gitignore": "*.log",
      ".git/HEAD": "h",
    });
    await Deno.chmod(join(source, "a.sh"), 0o755);
    await node.runner.upload(source, "~/sky_workdir", { signal });
    assertEquals([await node.file("sky_workdir/sub/b"), await node.file("sky_workdir/x.log")], ["2", null]);
    assertEquals(await node.file("sky_workdir/.git/HEAD"), "h");
    assertEquals((await Deno.stat(join(node.home, "sky_workdir/a.sh"))).mode! & 0o111, 0o111);
  }));

Deno.test("upload puts relative targets below ~/sky_workdir and makes parents", () =>
  withNode(async (node) => {
    const source = await withSource(node, { "f": "1" });
    await node.runner.upload(join(source, "f"), "deep/er/name", { signal });
    await node.runner.upload(source, "~/data set", { signal });
    assertEquals(await node.file("sky_workdir/deep/er/name"), "1");
    assertEquals(await node.file("data set/f"), "1");
  }));

Deno.test("upload of a directory that holds the nodes does not copy them into themselves", () =>
  withNode(async (node) => {
    await Deno.writeTextFile(join(node.root, "mine"), "1");
    await node.runner.upload(node.root, "~/sky_workdir", { signal });
    assertEquals(await node.file("sky_workdir/mine"), "1");
    assertEquals(await Deno.lstat(join(node.home, "sky_workdir/cluster")).catch(() => null), null);
    assertEquals(node.notes.length, 1);
  }));

Deno.test("upload outside of home and /tmp keeps the content in the home and links to it", () =>
  withNode(async (node) => {
    const link = `/var/tmp/sky test ${crypto.randomUUID()}`;
    try {
      const source = await withSource(node, { "f": "1" });
      await node.runner.upload(source, link, { signal });
      assertEquals(await Deno.readLink(link), `${node.home}/.sky/file_mounts${link}`);
      assertEquals(await Deno.readTextFile(join(link, "f")), "1");
      // Again, and from another node of the same cluster.
      await Deno.writeTextFile(join(source, "g"), "2");
      await node.runner.upload(source, link, { signal });
      assertEquals(await Deno.readTextFile(join(link, "g")), "2");
      const home = join(node.cluster, "node1");
      await Deno.mkdir(join(home, ".sky"), { recursive: true });
      const second = new LocalRunner({
        nodeId: "node1",
        home,
        env: processEnv,
        processes: null,
        cluster: node.cluster,
        avoid: [],
        note: () => {},
      });
      await second.upload(source, link, { signal });
      assertEquals(await Deno.readTextFile(`${home}/.sky/file_mounts${link}/f`), "1");
    } finally {
      await Deno.remove(link);
    }
  }));

Deno.test("upload does not touch what others have at its target", () =>
  withNode(async (node) => {
    const taken = await Deno.makeTempDir({ dir: "/var/tmp" });
    try {
      const source = await withSource(node, { "f": "1" });
      const error = await assertRejects(() => node.runner.upload(source, taken, { signal }), SkyError);
      assertStringIncludes(error.message, "may already exist");
      assertEquals((await Array.fromAsync(Deno.readDir(taken))).length, 0);
    } finally {
      await Deno.remove(taken);
    }
  }));

Deno.test("upload and download keep a tree with odd names byte for byte", () =>
  withNode(async (node) => {
    const names = ["a b", "q'\"`$(id)", "new\nline/x", "ü🚀/ü", "-rf"];
    const source = await withSource(node, Object.fromEntries(names.map((name) => [name, name])));
    await node.runner.upload(source, "~/odd", { signal });
    const back = join(node.root, "back");
    await node.runner.download("~/odd", back, { signal });
    for (const name of names) assertEquals(await Deno.readTextFile(join(back, name)), name);
  }));

Deno.test("download of a job's logs leaves out how it was run", () =>
  withNode(async (node) => {
    await node.job("echo hi", { env: { SECRET: "x" } });
    const back = join(node.root, "back");
    await node.runner.download("~/sky_logs/1-t", back, { signal });
    assertEquals((await Array.fromAsync(Deno.readDir(back))).map((entry) => entry.name), ["tasks"]);
    assertEquals(await Deno.readTextFile(join(back, "tasks/run.log")), "hi\n");
    const all = join(node.root, "all");
    await node.runner.download("~/sky_logs", all, { signal });
    assertEquals((await Array.fromAsync(Deno.readDir(join(all, "1-t")))).map((entry) => entry.name), [
      "tasks",
    ]);
    await node.runner.download("~/sky_logs/1-t/tasks/run.log", join(node.root, "one.log"), { signal });
    assertEquals(await Deno.readTextFile(join(node.root, "one.log")), "hi\n");
  }));

Deno.test("download says what is missing", () =>
  withNode(async (node) => {
    const error = await assertRejects(
      () => node.runner.download("~/nothing", join(node.root, "x"), { signal }),
      SkyError,
    );
    assert(error.code === "file_not_found");
  }));
