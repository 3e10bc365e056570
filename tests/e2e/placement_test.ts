/**
 * Where the program may lie and what a machine may lack: odd paths, a /tmp of no use, no rights, hardly any programs.
 * Mount namespaces need root; without, $TMPDIR plays the part of /tmp.
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { isRoot, makeNamespace, PlacedSky, type Placement } from "../support/placed.ts";
import type { TestSky } from "../support/sky.ts";

/** A home with spaces and letters, and a copy of the program in it: other users can't reach where the tests lie. */
async function makeHome(): Promise<string> {
  const home = await Deno.makeTempDir({ prefix: "sky-test hömé → " });
  await Deno.mkdir(join(home, "work"));
  const binary = Deno.env.get("SKY_BINARY");
  if (binary !== undefined) {
    await Deno.mkdir(join(home, "my programs"));
    await Deno.copyFile(binary, join(home, "my programs", "sky é"));
  }
  return home;
}

/** The program is the copy in its home. */
function placed(home: string, placement: Placement): PlacedSky {
  const copied = Deno.env.has("SKY_BINARY");
  return new PlacedSky(
    home,
    copied ? { program: [join(home, "my programs", "sky é")], ...placement } : placement,
  );
}

/** Launch with files, exec, queue, logs, stop, start, down, stop the server. */
async function story(sky: TestSky): Promise<void> {
  const project = join(sky.work, "the project");
  await Deno.mkdir(project);
  await Deno.writeTextFile(join(project, "tool.sh"), "#!/bin/sh\necho tool ran\n", { mode: 0o755 });
  await Deno.chmod(project, 0o755);
  await Deno.writeTextFile(join(sky.work, "one.txt"), "one\n");
  const task =
    "workdir: ./the project\nfile_mounts:\n  ~/in/one.txt: ./one.txt\nrun: ./tool.sh; cat ~/in/one.txt\n";
  await Deno.writeTextFile(join(sky.work, "task.yaml"), task);
  const out = await sky.ok(["launch", "-c", "here", "-y", "task.yaml"]);
  for (const line of ["tool ran", "one"]) assertStringIncludes(out, `) ${line}\n`);
  assertEquals((await sky.run(["exec", "here", "echo hi; exit 4"])).code, 100);
  const queue = JSON.parse(await sky.ok(["queue", "here", "-o", "json"]));
  assertEquals(queue.here.map((job: { status: string }) => job.status), ["FAILED", "SUCCEEDED"]);
  assertStringIncludes(await sky.ok(["logs", "here", "1"]), ") tool ran\n");
  await sky.ok(["exec", "here", "-d", "sleep 4321"]);
  await sky.ok(["cancel", "here", "3", "-y"]);
  await sky.ok(["stop", "here", "-y"]);
  await sky.ok(["start", "here", "-y"]);
  await sky.ok(["down", "here", "-y"]);
  assertEquals(JSON.parse(await sky.ok(["status", "-o", "json"])), []);
}

async function entries(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
}

/** A fresh /tmp with the home in its place, then mounted anew with `flags`. */
const freshTmp = (flags: string) => `
mount --bind "$1" /mnt
mount -t tmpfs -o size=8m tmpfs /tmp
mkdir -p "$1"
mount --bind /mnt "$1"
umount /mnt
mount -o remount,${flags} /tmp`;

Deno.test("from a path with spaces, in a home with spaces and unicode, leaving nothing in $TMPDIR", async () => {
  const home = await makeHome();
  const tmp = join(home, "t m p");
  await Deno.mkdir(tmp);
  await using sky = placed(home, { env: { TMPDIR: tmp } });
  await story(sky);
  await sky.ok(["api", "stop"]);
  assertEquals(await entries(tmp), []);
});

Deno.test("with a read-only /tmp", async () => {
  const home = await makeHome();
  if (!isRoot) {
    const tmp = join(home, "t m p");
    await Deno.mkdir(tmp, { mode: 0o500 });
    await using sky = placed(home, { env: { TMPDIR: tmp } });
    return await story(sky);
  }
  const namespace = await makeNamespace(home, freshTmp("ro"));
  await using sky = placed(home, { namespace });
  const touch = await new Deno.Command("touch", { args: [`${namespace.root}/tmp/x`], stderr: "null" })
    .output();
  assert(!touch.success, "this /tmp cannot be written");
  await story(sky);
});

Deno.test("with a noexec /tmp, where nothing is left either", async () => {
  const home = await makeHome();
  if (!isRoot) {
    await using sky = placed(home, {});
    return await story(sky);
  }
  const namespace = await makeNamespace(home, freshTmp("noexec"));
  await using sky = placed(home, { namespace });
  await story(sky);
  const left = await entries(`${namespace.root}/tmp`);
  // The home is mounted there; that is all.
  assert(left.every((name) => home.startsWith(`/tmp/${name}`)), left.join(", "));
});

Deno.test("as a user without rights, in its own home", async () => {
  const home = await makeHome();
  const before = isRoot ? ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] : [];
  if (isRoot) {
    const changed = await new Deno.Command("chown", { args: ["-R", "65534:65534", home] }).output();
    assert(changed.success);
  }
  await using sky = placed(home, { before });
  await story(sky);
  const who = await sky.ok(["launch", "-c", "who", "-y", `echo "uid=$(id -u)"`]);
  assertMatch(who, isRoot ? /\) uid=65534\n/ : /\) uid=\d+\n/);
  assertEquals((await Deno.stat(join(sky.env.SKY_HOME!, "sky.db"))).uid, isRoot ? 65534 : Deno.uid());
});

const POSIX =
  "sh cat ls mkdir rmdir rm cp mv ln chmod sleep ps env head tail wc tr sort printf echo test true false " +
  "date dirname basename readlink uname id touch kill stat mktemp tee cut sed grep find";
const LACKING = "bash rsync setsid setpriv git tar ssh python3 perl curl";

Deno.test("with a POSIX shell and its small programs, and nothing else", async () => {
  const home = await makeHome();
  const bin = join(home, "bin");
  await Deno.mkdir(bin);
  for (const name of POSIX.split(" ")) {
    for (const folder of ["/bin", "/usr/bin"]) {
      const path = join(folder, name);
      if (!await Deno.stat(path).then(() => true, () => false)) continue;
      await Deno.symlink(path, join(bin, name));
      break;
    }
  }
  const env = { PATH: bin };
  if (!isRoot) {
    await using sky = placed(home, { env });
    return await story(sky);
  }
  // A fixed path would find them all the same: they are taken away.
  const hidden = LACKING.split(" ").map((name) =>
    `[ ! -e /usr/bin/${name} ] || mount --bind /dev/null /usr/bin/${name}`
  );
  const namespace = await makeNamespace(home, hidden.join("\n"));
  await using sky = placed(home, { env, namespace });
  await story(sky);
  const shell = await sky.ok(["launch", "-c", "sh", "-y", "command -v bash || echo no bash here"]);
  assertStringIncludes(shell, ") no bash here\n");
});
