import { assert, assertEquals } from "@std/assert";
import { absolutePaths, isCloudUri, localPaths, mapLocalPaths, mountTarget } from "../../core/mounts.ts";
import { newTask, parseTask } from "../../core/task_parse.ts";
import { assertRefuses } from "./refusal.ts";

const task = newTask({
  workdir: "./proj/",
  fileMounts: {
    "/a": "~/data.txt",
    "/b": "s3://bucket/x",
    "/c": { name: "n", source: "data", mode: "COPY" },
    "/d": { name: "m", source: ["x", "/abs/y"] },
    "/e": { source: "gs://bucket" },
    "/f": "https://acct.blob.core.windows.net/c",
  },
  sections: { service: { replicas: 1, tls: { keyfile: "k.pem", certfile: "~/c.pem" } } },
});
const base = { cwd: "/home/me/code", home: "/home/me" };

Deno.test("absolutePaths joins home and cwd and leaves clouds alone", () => {
  const absolute = absolutePaths(task, base);
  assertEquals(absolute.workdir, "/home/me/code/proj");
  assertEquals(absolute.fileMounts, {
    "/a": "/home/me/data.txt",
    "/b": "s3://bucket/x",
    "/c": { name: "n", source: "/home/me/code/data", mode: "COPY" },
    "/d": { name: "m", source: ["/home/me/code/x", "/abs/y"] },
    "/e": { source: "gs://bucket" },
    "/f": "https://acct.blob.core.windows.net/c",
  });
  assertEquals(absolute.sections["service"], {
    replicas: 1,
    tls: { keyfile: "/home/me/code/k.pem", certfile: "/home/me/c.pem" },
  });
  assertEquals(absolutePaths(absolute, { cwd: "/other", home: "/other" }), absolute);
  const git = { url: "https://x/y", ref: null };
  assertEquals(absolutePaths(newTask({ workdir: git }), base).workdir, git);
  for (
    const [path, result] of [["~", "/home/me"], [".", "/home/me/code"], ["..", "/home/me"], ["/", "/"], [
      "~x",
      "/home/me/code/~x",
    ]]
  ) {
    assertEquals(absolutePaths(newTask({ workdir: path! }), base).workdir, result!);
  }
});

Deno.test("localPaths lists what must be uploaded, each once", () => {
  assertEquals(localPaths(task), ["./proj/", "~/data.txt", "data", "x", "/abs/y", "k.pem", "~/c.pem"]);
  assertEquals(localPaths(newTask({ workdir: "a", fileMounts: { "/x": "a" } })), ["a"]);
  assertEquals(mapLocalPaths(newTask({ workdir: "a" }), (path) => `/blob/${path}`).workdir, "/blob/a");
});

Deno.test("mountTarget puts relative targets below the workdir", () => {
  assertEquals(["/x", "~/x", "x/y", "./x"].map(mountTarget), [
    "/x",
    "~/x",
    "~/sky_workdir/x/y",
    "~/sky_workdir/x",
  ]);
});

Deno.test("isCloudUri knows every store", () => {
  for (const uri of "s3://b gs://b r2://b cos://b oci://b nebius://b cw://b vastdata://b hf://b".split(" ")) {
    assert(isCloudUri(uri), uri);
  }
  assert(isCloudUri("https://acct.blob.core.windows.net/c/p"));
  for (const path of ["/s3://b", "https://example.com/x", "s3", "./s3://"]) assert(!isCloudUri(path), path);
});

Deno.test("file mounts that cannot be are refused", () => {
  const refused = (fileMounts: Record<string, unknown>, message: string | RegExp, rest = {}) =>
    assertRefuses(() => parseTask({ file_mounts: fileMounts, ...rest }), "invalid_argument", message);
  refused({ "/a/": "b" }, "Mount paths cannot end with a slash Found: /a/: b");
  refused({ "/a": "b/" }, "Mount paths cannot end with a slash Found: /a: b/");
  refused({ "s3://b": "x" }, /must be a path on the cluster, not a cloud URI/);
  refused({ "~/sky_workdir": "x" }, /it is where the task's workdir is synced/, { workdir: "." });
  refused({ "/a": { source: "./x" } }, "Storage at '/a' must have a name or a bucket as source.");
  refused(
    { "/a": { source: "s3://b", name: "n" } },
    /must not have a name: its source 's3:\/\/b' names the bucket/,
  );
  const malformed = (storage: unknown, rest: string) =>
    assertRefuses(
      () => parseTask({ file_mounts: { "/a": storage } }),
      "invalid_task",
      `Invalid storage YAML: ${rest}`,
    );
  malformed({ nam: "x" }, "Instead of 'nam', did you mean 'name'?");
  malformed(
    { name: "x", mode: "FLY" },
    "'FLY' is not one of ['mount', 'copy', 'mount_cached']. Check problematic field(s): $.mode",
  );
  malformed(
    { name: "x", store: "ftp" },
    "'ftp' is not one of ['s3', 'gcs', 'azure', 'r2', 'ibm', 'oci', 'nebius', 'coreweave', 'vastdata', 'hf', " +
      "'volume']. Check problematic field(s): $.store",
  );
});
