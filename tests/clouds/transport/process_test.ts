import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { SkyError } from "../../../core/errors.ts";
import { RECORD_CHILD } from "../../../clouds/transport/node/record_child.ts";
import {
  killGroup,
  type ProcessOptions,
  proveDead,
  runProcess,
  spawnSession,
} from "../../../clouds/transport/process.ts";
import { identify, isAlive, parseIdentity } from "../../../clouds/transport/process_table.ts";
import { alive, signal, until } from "../support.ts";

const env = { PATH: Deno.env.get("PATH")! };

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    await work(join(root, "processes", "request"));
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

function run(argv: readonly string[], options: Partial<ProcessOptions> = {}) {
  return runProcess(argv, { signal, env, cwd: "/", processes: null, ...options });
}

const names = async (folder: string) =>
  (await Array.fromAsync(Deno.readDir(folder)).catch(() => [])).map((entry) => entry.name);

/** The pid that a shell wrote to a file. */
const pidIn = (path: string) =>
  until(async () => Number(await Deno.readTextFile(path).catch(() => "")) || null, `a pid in ${path}`);

Deno.test("runProcess gives exit code and both outputs, arguments untouched", async () => {
  const odd = [`a b`, `'"$(id)\``, "", "-n", "x\ny", "ü🚀"];
  const { code, stdout, stderr } = await run([
    "sh",
    "-c",
    'printf "%s|" "$@"; echo no >&2; exit 4',
    "sh",
    ...odd,
  ]);
  assertEquals([code, stdout, stderr], [4, odd.join("|") + "|", "no\n"]);
});

Deno.test("runProcess gives exactly the environment and folder it is told", async () => {
  const { stdout } = await run(["sh", "-c", "pwd; env"], { env: { ...env, ODD: "a'b\nc" }, cwd: "/usr" });
  const names = stdout.split("\n").slice(1).map((line) => line.split("=")[0]);
  assertStringIncludes(stdout, "/usr\n");
  assertStringIncludes(stdout, "ODD=a'b\nc\n");
  assert(!names.includes("HOME") && !names.some((name) => name!.startsWith("sky_")), stdout);
});

Deno.test("runProcess keeps the first bytes of each output and reads the rest away", async () => {
  const { code, stdout, stderr } = await run(
    ["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero | tr '\\0' y >&2"],
    { maxOutput: 1000 },
  );
  assertEquals([code, stdout, stderr], [0, "x".repeat(1000), "y".repeat(1000)]);
});

Deno.test("runProcess sends standard input, also to programs that don't want it", async () => {
  const big = "line\n".repeat(1_000_000);
  assertEquals((await run(["wc", "-l"], { stdin: big })).stdout.trim(), "1000000");
  assertEquals((await run(["true"], { stdin: big })).code, 0);
  assertEquals((await run(["sh", "-c", "exec <&-; sleep 0.1"], { stdin: big })).code, 0);
  assertEquals((await run(["cat"], { stdin: new Uint8Array([104, 105]) })).stdout, "hi");
  assertEquals((await run(["cat"])).stdout, "");
});

Deno.test("runProcess of a missing program is 127, of one killed 128 + signal", async () => {
  assertEquals((await run(["/no/such program"])).code, 127);
  assertEquals((await run(["sh", "-c", "kill -9 $$"])).code, 137);
});

Deno.test("runProcess records the child before it runs, and forgets it after", () =>
  withFolder(async (processes) => {
    const text = 'cd "$1"; for f in *; do cat "$f"; done; echo "$$"';
    const { stdout } = await run(["sh", "-c", text, "sh", processes], { processes });
    const lines = stdout.trim().split("\n");
    assertEquals(parseIdentity(lines.slice(0, 2).join("\n"))?.pid, Number(lines[2]));
    assertEquals(await names(processes), []);
    assertEquals((await Deno.stat(processes)).mode! & 0o777, 0o700);
  }));

Deno.test("runProcess ends the whole session on abort, and rejects with the reason only after", () =>
  withFolder(async (processes) => {
    const abort = new AbortController();
    const pids = await Deno.makeTempDir();
    const text =
      `cd ${pids}; sleep 100 & echo $! >a; set -m; sh -c 'sleep 100 & echo $! >c; wait' & echo $! >b; wait`;
    const running = run(["sh", "-c", text], { signal: abort.signal, processes });
    const children = await Promise.all(["a", "b", "c"].map((name) => pidIn(join(pids, name))));
    abort.abort(new SkyError("request_cancelled", "by test"));
    await assertRejects(() => running, SkyError, "by test");
    assertEquals(children.map(alive), [false, false, false]);
    assertEquals(await names(processes), []);
    await Deno.remove(pids, { recursive: true });
  }));

Deno.test("runProcess kills a program that ignores TERM after the grace", () =>
  withFolder(async (processes) => {
    const abort = new AbortController();
    const text = "trap '' TERM; echo $$ >\"$0\"; while :; do sleep 1; done";
    await Deno.mkdir(processes, { recursive: true });
    const file = join(processes, "..", "pid");
    const running = run(["sh", "-c", text, file], { signal: abort.signal, processes, graceMs: 200 });
    const pid = await pidIn(file);
    const began = performance.now();
    abort.abort(new Error("stop"));
    await assertRejects(() => running, Error, "stop");
    const took = performance.now() - began;
    assert(took >= 200 && took < 5_000, `${took} ms`);
    assert(!alive(pid));
  }));

Deno.test("runProcess starts nothing when already aborted", () =>
  withFolder(async (processes) => {
    await assertRejects(
      () => run(["true"], { signal: AbortSignal.abort(new Error("early")), processes }),
      Error,
      "early",
    );
    assertEquals(await names(processes), []);
  }));

Deno.test("runProcess does not wait for who keeps the output open, but keeps them on record", () =>
  withFolder(async (processes) => {
    const began = performance.now();
    const { code, stdout } = await run(["sh", "-c", "sleep 100 & echo $!"], { processes });
    assert(performance.now() - began < 10_000);
    assertEquals(code, 0);
    const pid = Number(stdout);
    assert(alive(pid));
    assertEquals((await names(processes)).length, 1);
    await proveDead(processes);
    assert(!alive(pid));
    assertEquals(await names(join(processes, "..")), []);
  }));

Deno.test("runProcess runs many at once", () =>
  withFolder(async (processes) => {
    const results = await Promise.all(
      Array.from({ length: 30 }, (_, i) => run(["sh", "-c", `echo ${i}`], { processes })),
    );
    assertEquals(results.map((result) => Number(result.stdout)), [...results.keys()]);
    assertEquals(await names(processes), []);
  }));

Deno.test("spawnSession makes a session leader with and without the setsid program", async () => {
  for (const detached of [false, true]) {
    const child = spawnSession("cut -d' ' -f5,6 /proc/$$/stat", [], {
      env,
      cwd: "/",
      stdin: "null",
      stdout: "piped",
      stderr: "null",
      detached,
    });
    const { stdout } = await child.output();
    assertEquals(new TextDecoder().decode(stdout), `${child.pid} ${child.pid}\n`);
  }
});

Deno.test("RECORD_CHILD starts nothing without a record, or without its parent", () =>
  withFolder(async (processes) => {
    await Deno.mkdir(processes, { recursive: true });
    const start = async (record: string, parent: number) => {
      const args = ["-c", RECORD_CHILD, "sh", record, String(parent), "echo", "ran"];
      const { code, stdout } = await new Deno.Command("sh", { args, stderr: "null" }).output();
      return [code, new TextDecoder().decode(stdout)];
    };
    assertEquals(await start(join(processes, "1"), Deno.pid), [0, "ran\n"]);
    assertEquals(await start(join(processes, "no", "such"), Deno.pid), [125, ""]);
    assertEquals(await start(join(processes, "2"), 1), [125, ""]);
  }));

Deno.test("proveDead ends what a killed server left behind", () =>
  withFolder(async (processes) => {
    const fixture = fromFileUrl(new URL("./fixture_run.ts", import.meta.url));
    const file = join(processes, "..", "..", "pid");
    const text = `trap '' TERM; echo $$ >'${file}'; sh -c 'sleep 100; :' ; sleep 100`;
    const server = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", fixture, processes, text],
      stdin: "null",
      stdout: "null",
    }).spawn();
    const pid = await pidIn(file);
    server.kill("SIGKILL");
    await server.status;
    assert(alive(pid));
    await proveDead(processes, { graceMs: 100 });
    assert(!alive(pid));
    await proveDead(processes);
  }));

Deno.test("proveDead ends a session whose leader is gone, by the mark of its members", () =>
  withFolder(async (processes) => {
    const { stdout } = await run(["sh", "-c", "sh -c 'sleep 100 & echo $!; wait' & sleep 0.05"], {
      processes,
    });
    const pid = Number(stdout);
    assert(alive(pid));
    await proveDead(processes);
    assert(!alive(pid));
  }));

Deno.test("proveDead never signals a pid with another start time, and takes cut records", () =>
  withFolder(async (processes) => {
    const stranger = new Deno.Command("setsid", { args: ["sleep", "100"], stdin: "null" }).spawn();
    try {
      await Deno.mkdir(processes, { recursive: true });
      const stat = await Deno.readTextFile(`/proc/${stranger.pid}/stat`);
      const boot = (await Deno.readTextFile("/proc/sys/kernel/random/boot_id")).trim();
      const start = stat.slice(stat.lastIndexOf(")")).split(" ")[20]!;
      const other = stat.trim().replace(` ${start} `, ` ${Number(start) - 1} `);
      await Deno.writeTextFile(join(processes, "1"), `${other}\n${boot}\n`);
      await Deno.writeTextFile(join(processes, "2"), `${stat.trim()}\nsome-other-boot\n`);
      await Deno.writeTextFile(join(processes, "3"), "");
      await Deno.writeTextFile(join(processes, "4"), stat.slice(0, 9));
      await proveDead(processes, { graceMs: 0 });
      assert(alive(stranger.pid));
      assertEquals(await names(processes), []);
    } finally {
      stranger.kill("SIGKILL");
      await stranger.status;
    }
  }));

Deno.test("killGroup ends a session given its leader", async () => {
  const child = spawnSession("trap '' TERM; while :; do sleep 1; done", [], {
    env,
    cwd: "/",
    stdin: "null",
    stdout: "null",
    stderr: "null",
  });
  const id = identify(child.pid)!;
  await killGroup({ ...id, start: `${Number(id.start) + 1}` }, { graceMs: 0 });
  assert(isAlive(id));
  await killGroup(id, { graceMs: 50 });
  assert(!isAlive(id));
  assertEquals((await child.status).signal, "SIGKILL");
});
