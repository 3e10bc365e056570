/** What every runner must do with programs and files; see job_contract.ts. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { SkyError } from "../../../core/errors.ts";
import { alive, signal, type TestNode, type WithNode } from "../support.ts";

export async function withSource(node: TestNode, files: Record<string, string>): Promise<string> {
  const source = join(node.root, "source");
  for (const [name, text] of Object.entries(files)) {
    await Deno.mkdir(join(source, name, ".."), { recursive: true });
    await Deno.writeTextFile(join(source, name), text);
  }
  return source;
}

/** Registers the tests. */
export function filesContract(kind: string, withNode: WithNode): void {
  const test = (name: string, work: () => Promise<void>) => Deno.test(`${kind}: ${name}`, work);

  test("run has the node's HOME and folder, not the server's environment", () =>
    withNode(async ({ runner, home }) => {
      const text = 'pwd; echo "$HOME"; echo "$A"; env | grep -c ^DENO_ || true; cat';
      const result = await runner.run(["sh", "-c", text], { signal, env: { A: "a'\nb" }, stdin: "in" });
      assertEquals(result, { code: 0, stdout: `${home}\n${home}\na'\nb\n0\nin`, stderr: "" });
    }));

  test("run kills its program on abort before it rejects", () =>
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

  test("upload puts a workdir's content into ~/sky_workdir, ignore files honoured", () =>
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

  test("upload puts relative targets below ~/sky_workdir and makes parents", () =>
    withNode(async (node) => {
      const source = await withSource(node, { "f": "1" });
      await node.runner.upload(join(source, "f"), "deep/er/name", { signal });
      await node.runner.upload(source, "~/data set", { signal });
      assertEquals(await node.file("sky_workdir/deep/er/name"), "1");
      assertEquals(await node.file("data set/f"), "1");
    }));

  test("upload does not touch what others have at its target", () =>
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

  test("upload and download keep a tree with odd names byte for byte", () =>
    withNode(async (node) => {
      const names = ["a b", "q'\"`$(id)", "new\nline/x", "ü🚀/ü", "-rf"];
      const source = await withSource(node, Object.fromEntries(names.map((name) => [name, name])));
      await node.runner.upload(source, "~/odd", { signal });
      const back = join(node.root, "back");
      await node.runner.download("~/odd", back, { signal });
      for (const name of names) assertEquals(await Deno.readTextFile(join(back, name)), name);
    }));

  test("download of a job's logs leaves out how it was run", () =>
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

  test("download says what is missing", () =>
    withNode(async (node) => {
      const error = await assertRejects(
        () => node.runner.download("~/nothing", join(node.root, "x"), { signal }),
        SkyError,
      );
      assert(error.code === "file_not_found");
    }));
}
