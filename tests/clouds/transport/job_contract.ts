/**
 * What every runner must do with jobs, run for each kind by its own test file: the same assertions for a node that
 * is a directory here and for one behind a shell.
 */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { SkyError } from "../../../core/errors.ts";
import { ended, signal, type WithNode } from "../support.ts";

const start = { logDir: "1-t", phase: "run", output: "tasks/run.log", env: {} } as const;

/** Registers the tests. `withNode` gives each its own node, which is a directory of this machine in any case. */
export function jobContract(kind: string, withNode: WithNode): void {
  const test = (name: string, work: () => Promise<void>) => Deno.test(`${kind}: ${name}`, work);

  test("startJob runs the script in ~/sky_workdir, merges both outputs and keeps the exit code", () =>
    withNode(async (node) => {
      const { state, output } = await node.job('pwd\necho err >&2\necho "$HOME"; exit 7');
      assertEquals(output, `${node.home}/sky_workdir\nerr\n${node.home}\n`);
      assertEquals({ ...state, pid: 0 }, { claimed: true, pid: 0, alive: false, exitCode: 7 });
      assert(state.pid! > 1);
      assertEquals(await node.file("sky_logs/1-t/tasks/run.log"), output);
    }));

  test("startJob exports any value of the environment untouched", () =>
    withNode(async (node) => {
      const env = {
        QUOTES: `'"\`\\`,
        LINES: "a\nb\n\n",
        SUBST: "$(touch pwned) ${HOME} `id` $HOME !x !!",
        UNI: "äöü 🚀 \t",
        EMPTY: "",
        _DASH: "-n -e",
      };
      const script = Object.keys(env).map((name) => `printf '%s\\0' "$${name}"`).join("\n");
      const { output } = await node.job(script, { env });
      assertEquals(output.split("\0").slice(0, -1), Object.values(env));
      assertEquals(await node.file("sky_workdir/pwned"), null);
      assertEquals(await node.file("sky_logs/1-t/.job/run/env"), null, "secrets stay on disk");
    }));

  test("startJob refuses names and values that no shell can export", () =>
    withNode(async (node) => {
      for (const env of [{ "A B": "" }, { "x;id": "" }, { A: "\0" }]) {
        await assertRejects(() => node.job("true", { env }), SkyError, "Cannot export");
      }
    }));

  test("startJob refuses paths that leave the job's logs", () =>
    withNode(async (node) => {
      for (const logDir of ["..", "../x", "/etc", "", "a//b"]) {
        await assertRejects(() => node.job("true", { logDir }), SkyError, "path of a job's logs");
      }
      await assertRejects(() => node.job("true", { output: "../../x" }), SkyError, "path of a job's logs");
    }));

  test("startJob runs bash as SkyPilot does: bashrc for interactive shells, aliases, no errexit", () =>
    withNode(async (node) => {
      const bashrc =
        "case $- in *i*) ;; *) return;; esac\nalias hello='echo alias'\nfn() { echo fn; }\nexport RC=1\n";
      await Deno.writeTextFile(join(node.home, ".bashrc"), bashrc);
      const script =
        `hello\nfn\nfalse\necho "rc $RC, args $#, $PYTHONUNBUFFERED"\necho "bang! !x a!b"\n[[ a == a ]]`;
      const { state, output } = await node.job(script);
      assertEquals(output, "alias\nfn\nrc 1, args 0, 1\nbang! !x a!b\n");
      assertEquals(state.exitCode, 0);
      assertEquals(await node.file(".bash_history"), null);
    }));

  test("startJob prints nothing of its own: no job control, no terminal, no exit message", () =>
    withNode(async (node) => {
      const { output } = await node.job("sleep 0.01 &\nwait\ntrue & wait\nexit 3");
      assertEquals(output, "");
    }));

  test("startJob gives the job a usual umask, default signals, no input and a session of its own", () =>
    withNode(async (node) => {
      const { state, output } = await node.job(
        "touch f; stat -c %a f; cat; grep -i sigign /proc/self/status; cut -d' ' -f6 /proc/$$/stat",
      );
      const [mode, ignored, session] = output.split("\n");
      const umask = Deno.umask();
      assertEquals(mode, (0o666 & ~umask).toString(8));
      // Signals 32 and 33 are libc's own.
      assertMatch(ignored!, /SigIgn:\s+0+[01]?[08]?0{7}$/);
      assertEquals(Number(session), state.pid);
    }));

  test("startJob does not hand on the server's own environment", () =>
    withNode(async (node) => {
      Deno.env.set("SKY_TEST_SERVER_SECRET", "hush");
      try {
        const { output } = await node.job("env");
        assert(!output.includes("hush"));
        assertStringIncludes(output, "PATH=");
      } finally {
        Deno.env.delete("SKY_TEST_SERVER_SECRET");
      }
    }));

  test("startJob keeps scripts and secrets from other users and from ps", () =>
    withNode(async (node) => {
      await node.runner.startJob(
        {
          ...start,
          script: "echo s3cr3t-script >/dev/null; while [ ! -e go ]; do sleep 0.01; done",
          env: { S: "s3cr3t" },
        },
        { signal },
      );
      const { pid } = await node.runner.jobState("1-t", "run", { signal });
      const lines: string[] = [];
      for await (const entry of Deno.readDir("/proc")) {
        const line = await Deno.readTextFile(`/proc/${entry.name}/cmdline`).catch(() => "");
        if (line.includes("s3cr3t")) lines.push(line);
      }
      assertEquals(lines, []);
      assert(!(await Deno.readTextFile(`/proc/${pid}/environ`)).includes("s3cr3t"));
      const job = join(node.home, "sky_logs/1-t/.job/run");
      assertEquals((await Deno.stat(job)).mode! & 0o777, 0o700);
      assertEquals((await Deno.stat(join(job, "main"))).mode! & 0o777, 0o600);
      await Deno.writeTextFile(join(node.home, "sky_workdir/go"), "");
      await ended(node.runner, "1-t");
    }));

  test("killJob ends a job that obeys well before the grace and keeps its code", () =>
    withNode(async (node) => {
      await node.runner.startJob({ ...start, script: "echo up; sleep 100; echo after" }, { signal });
      await node.runner.waitOutput("1-t", "run", { offset: 0, timeoutMs: 20_000, signal });
      const began = performance.now();
      await node.runner.killJob("1-t", "run", { graceMs: 20_000, signal });
      assert(performance.now() - began < 5_000);
      const state = await node.runner.jobState("1-t", "run", { signal });
      assertEquals([state.alive, state.exitCode], [false, 143]);
      assert(!(await node.output("1-t")).includes("after"));
    }));

  test("killJob lets a job clean up on TERM", () =>
    withNode(async (node) => {
      const script = "trap 'echo cleaned; exit 6' TERM; echo up; while :; do sleep 0.05; done";
      await node.runner.startJob({ ...start, script }, { signal });
      await node.runner.waitOutput("1-t", "run", { offset: 0, timeoutMs: 20_000, signal });
      await node.runner.killJob("1-t", "run", { graceMs: 20_000, signal });
      assertEquals((await node.runner.jobState("1-t", "run", { signal })).exitCode, 6);
      assertStringIncludes(await node.output("1-t"), "cleaned\n");
    }));

  test("killJob kills who ignores TERM after the grace, with everything forked", () =>
    withNode(async (node) => {
      const script = `trap '' TERM; (while :; do sleep 1; done) & set -m; (trap '' TERM; sleep 100) &
sh -c 'sleep 100 & sleep 100' & echo up; while :; do sleep 1; done`;
      await node.runner.startJob({ ...start, script }, { signal });
      await node.runner.waitOutput("1-t", "run", { offset: 0, timeoutMs: 20_000, signal });
      const began = performance.now();
      await node.runner.killJob("1-t", "run", { graceMs: 300, signal });
      const took = performance.now() - began;
      assert(took >= 300 && took < 5_000, `${took} ms`);
      assertEquals((await node.runner.jobState("1-t", "run", { signal })).alive, false);
    }));

  test("killJob finds daemons: of the job's session, of their own, and left by a job that ended", () =>
    withNode(async (node) => {
      const script =
        `(sleep 100 &) ; setsid sleep 100 & setsid sh -c 'setsid sleep 100 & sleep 100' </dev/null &
nohup sleep 100 >/dev/null 2>&1 & sleep 0.2; exit 3`;
      await node.runner.startJob({ ...start, script }, { signal });
      assertEquals((await ended(node.runner, "1-t")).exitCode, 3);
      await node.runner.killJob("1-t", "run", { graceMs: 5_000, signal });
      assertEquals((await node.runner.jobState("1-t", "run", { signal })).exitCode, 3, "the code stays");
    }));

  test("killJob ends only its own phase", () =>
    withNode(async (node) => {
      const script = "echo up; while [ ! -e go ]; do sleep 0.01; done";
      const setup = { ...start, phase: "setup", output: "tasks/setup.log", script } as const;
      await node.runner.startJob(setup, { signal });
      await node.runner.startJob({ ...start, script }, { signal });
      await node.runner.startJob({ ...start, logDir: "10-t", script }, { signal });
      await node.runner.killJob("1-t", "run", { graceMs: 5_000, signal });
      const states = [
        await node.runner.jobState("1-t", "run", { signal }),
        await node.runner.jobState("1-t", "setup", { signal }),
        await node.runner.jobState("10-t", "run", { signal }),
      ];
      assertEquals(states.map((state) => state.alive), [false, true, true]);
      await Deno.writeTextFile(join(node.home, "sky_workdir/go"), "");
      await ended(node.runner, "1-t", "setup");
      await ended(node.runner, "10-t");
    }));

  test("killJob makes an unclaimed phase unstartable, also against a start that is under way", () =>
    withNode(async (node) => {
      await node.runner.killJob("1-t", "run", { graceMs: 1_000, signal });
      await node.runner.startJob({ ...start, script: "touch ran" }, { signal });
      const state = await node.runner.jobState("1-t", "run", { signal });
      assertEquals(state, { claimed: true, pid: null, alive: false, exitCode: null });
      assertEquals(await node.file("sky_workdir/ran"), null);

      for (let i = 2; i < 8; i++) {
        const logDir = `${i}-t`;
        const begun = node.runner.startJob({ ...start, logDir, script: "touch ran; sleep 100" }, { signal });
        await new Promise((resolve) => setTimeout(resolve, i));
        await node.runner.killJob(logDir, "run", { graceMs: 2_000, signal });
        await begun;
        assertEquals((await node.runner.jobState(logDir, "run", { signal })).alive, false);
      }
    }));

  test("killJob never signals a pid that was given away", () =>
    withNode(async (node) => {
      const stranger = new Deno.Command("setsid", { args: ["sleep", "100"], stdin: "null" }).spawn();
      try {
        await node.job("true");
        const path = join(node.home, "sky_logs/1-t/.job/run/pid");
        const boot = (await Deno.readTextFile(path)).split("\n")[1]!;
        const own = await Deno.readTextFile(`/proc/${stranger.pid}/stat`);
        const start = own.slice(own.lastIndexOf(")")).split(" ")[20]!;
        const forgeries = [
          `${own.replace(` ${start} `, ` ${Number(start) - 1} `).trim()}\n${boot}\n`,
          `${await Deno.readTextFile(`/proc/${stranger.pid}/stat`)}00000000-another-boot\n`,
          "garbage\n",
          "",
        ];
        for (const forgery of forgeries) {
          await Deno.writeTextFile(path, forgery);
          const state = await node.runner.jobState("1-t", "run", { signal });
          assertEquals(state.alive, false);
          await node.runner.killJob("1-t", "run", { graceMs: 0, signal });
        }
        const { code } = await new Deno.Command("kill", { args: ["-0", String(stranger.pid)] }).output();
        assertEquals(code, 0);
      } finally {
        stranger.kill("SIGKILL");
        await stranger.status;
      }
    }));

  test("killJob of an ended leader whose session lives on spares strangers without evidence", () =>
    withNode(async (node) => {
      // A session whose leader is gone and whose members carry no mark and write elsewhere.
      const command = "setsid sh -c 'sleep 100 >/dev/null 2>&1 & echo $$ $!'";
      const { stdout } = await new Deno.Command("sh", { args: ["-c", command] }).output();
      const [leader, member] = new TextDecoder().decode(stdout).trim().split(" ").map(Number);
      try {
        await node.job("true");
        const path = join(node.home, "sky_logs/1-t/.job/run/pid");
        const [stat, boot] = (await Deno.readTextFile(path)).split("\n");
        await Deno.writeTextFile(path, `${stat!.replace(/^\d+/, String(leader))}\n${boot}\n`);
        await node.runner.killJob("1-t", "run", { graceMs: 0, signal });
        assert((await Deno.stat(`/proc/${member}`)).isDirectory);
      } finally {
        Deno.kill(member!, "SIGKILL");
      }
    }));

  test("killJob gives up on an abort with its reason", () =>
    withNode(async (node) => {
      await node.runner.startJob({ ...start, script: "trap '' TERM; echo up; while :; do sleep 1; done" }, {
        signal,
      });
      await node.runner.waitOutput("1-t", "run", { offset: 0, timeoutMs: 20_000, signal });
      const abort = new AbortController();
      const killing = node.runner.killJob("1-t", "run", { graceMs: 60_000, signal: abort.signal });
      abort.abort(new SkyError("request_cancelled", "enough"));
      await assertRejects(() => killing, SkyError, "enough");
      await node.runner.killJob("1-t", "run", { graceMs: 0, signal });
    }));

  test("killJob on a node that is gone does nothing", () =>
    withNode(async (node) => {
      await Deno.remove(node.cluster, { recursive: true });
      await node.runner.killJob("1-t", "run", { graceMs: 0, signal });
      const state = await node.runner.jobState("1-t", "run", { signal });
      assertEquals(state, { claimed: false, pid: null, alive: false, exitCode: null });
    }));

  test("jobState tells a killed wrapper from an ended one", () =>
    withNode(async (node) => {
      await node.runner.startJob({ ...start, script: "echo up; sleep 100" }, { signal });
      await node.runner.waitOutput("1-t", "run", { offset: 0, timeoutMs: 20_000, signal });
      const { pid, alive } = await node.runner.jobState("1-t", "run", { signal });
      assert(alive);
      Deno.kill(pid!, "SIGKILL");
      const state = await ended(node.runner, "1-t");
      assertEquals(state, { claimed: true, pid, alive: false, exitCode: null });
      // Its script still runs, in a session whose leader is gone.
      await node.runner.killJob("1-t", "run", { graceMs: 5_000, signal });
    }));

  test("jobState finds codes of signals as shells tell them", () =>
    withNode(async (node) => {
      const { state } = await node.job("kill -SEGV $$");
      assertEquals(state.exitCode, 139);
    }));

  test("waitJobChange wakes for the claim and for the end, and is no busy wait", () =>
    withNode(async (node) => {
      const claim = node.runner.waitJobChange("1-t", "run", { timeoutMs: 20_000, signal });
      await node.runner.startJob({ ...start, script: "while [ ! -e go ]; do sleep 0.01; done" }, { signal });
      await claim;
      const began = performance.now();
      await node.runner.jobState("1-t", "run", { signal });
      await node.runner.waitJobChange("1-t", "run", { timeoutMs: 300, signal });
      assert(performance.now() - began >= 290);
      const end = node.runner.waitJobChange("1-t", "run", { timeoutMs: 20_000, signal });
      await Deno.writeTextFile(join(node.home, "sky_workdir/go"), "");
      await end;
      assertEquals((await ended(node.runner, "1-t")).exitCode, 0);
      // What happened between the last look and the wait counts.
      await node.runner.waitJobChange("1-t", "run", { timeoutMs: 300, signal });
    }));
}
