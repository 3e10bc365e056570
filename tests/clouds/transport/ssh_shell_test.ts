import { assert, assertEquals, assertLess, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { isSkyError, SkyError } from "../../../core/errors.ts";
import { closeShells, sshShell } from "../../../clouds/transport/ssh/mod.ts";
import { alive, signal, until } from "../support.ts";
import { mastersOf, type SshPlace, withSsh } from "./remote_support.ts";

/** A pid the script writes to a file, once it is there. */
async function pidIn(place: SshPlace, name: string): Promise<number> {
  return await until(
    async () => Number(await Deno.readTextFile(join(place.sshd.home, name)).catch(() => "0")),
    `${name} of a script`,
  );
}

Deno.test("exec hands over arguments and input untouched and gives back code and both outputs", () =>
  withSsh(async ({ shell }) => {
    const args = ["a b", "'\"`$(touch pwned)\\!\\\\", "line\nbreak\n", "ä🚀", "", "-n", "%s %b \\0101", "*"];
    const stdin = new Uint8Array(256).map((_, i) => i);
    const { code, stdout, stderr } = await shell.exec(
      'for a; do printf "%s\\000" "$a"; done; od -An -v -tu1 >&2; exit 7',
      { args, stdin, signal },
    );
    assertEquals(stdout.split("\0").slice(0, -1), args);
    assertEquals(stderr.trim().split(/\s+/).map(Number), [...stdin]);
    assertEquals(code, 7);
  }));

Deno.test("exec takes 255 and the code of a signal for what they are: results", () =>
  withSsh(async ({ shell }) => {
    assertEquals((await shell.exec("exit 255", { signal })).code, 255);
    assertEquals((await shell.exec("kill -9 $(sh -c 'echo $PPID')", { signal })).code, 137);
  }));

Deno.test("exec is not taken in by the noise of a login shell nor by marks in the output", () =>
  withSsh(async ({ shell, sshd }) => {
    await Deno.writeTextFile(join(sshd.home, ".bashrc"), "echo noise; echo more >&2; echo sky-x-0 >&2\n");
    const script = "printf 'sky-a+\\nsky-1-0\\n'; printf 'sky-1-0\\n\\033[2J\\0\\377' >&2; exit 3";
    const result = await shell.exec(script, { signal });
    assertEquals(result.code, 3);
    assertEquals(result.stdout, "sky-a+\nsky-1-0\n");
    assert(result.stderr.startsWith("sky-1-0\n\x1b[2J\0"), JSON.stringify(result.stderr));
  }));

Deno.test("exec keeps the beginning of endless output and reads the rest away", () =>
  withSsh(async ({ shell }) => {
    const script = "head -c 5000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero >&2; exit 4";
    const { code, stdout, stderr } = await shell.exec(script, { signal, maxOutput: 1000 });
    assertEquals([code, stdout, stderr.length], [4, "x".repeat(1000), 1000]);
    const error = await assertRejects(
      () => shell.exec("while :; do echo y; done", { signal, timeoutMs: 700, maxOutput: 10 }),
      SkyError,
    );
    assertEquals(error.code, "timeout");
  }));

Deno.test("exec does not wait for what the script left behind, nor end it", () =>
  withSsh(async (place) => {
    const began = performance.now();
    const result = await place.shell.exec("sleep 100 & echo $! >~/left; echo done", { signal });
    assertEquals([result.code, result.stdout], [0, "done\n"]);
    assertLess(performance.now() - began, 5_000);
    const pid = await pidIn(place, "left");
    assert(alive(pid));
    Deno.kill(pid, "SIGKILL");
  }));

Deno.test("exec on abort ends the whole of it on the node before it rejects, and keeps the connection", () =>
  withSsh(async (place) => {
    const { shell, ctx } = place;
    await shell.exec("true", { signal });
    const masters = await mastersOf(ctx.folder);
    const abort = new AbortController();
    const script =
      "trap '' TERM; setsid sleep 100 & echo $! >~/one; sleep 100 & echo $! >~/two; wait; sleep 100";
    const running = shell.exec(script, { signal: abort.signal });
    const pids = [await pidIn(place, "one"), await pidIn(place, "two")];
    abort.abort(new SkyError("request_cancelled", "enough"));
    const began = performance.now();
    await assertRejects(() => running, SkyError, "enough");
    assertLess(performance.now() - began, 8_000);
    assertEquals(pids.map(alive), [false, false]);
    assertEquals(await mastersOf(ctx.folder), masters);
    assertEquals(place.lines, []);
  }));

Deno.test("exec aborted many times at once proves each end", () =>
  withSsh(async (place) => {
    const abort = new AbortController();
    const running = Array.from({ length: 20 }, (_, i) =>
      assertRejects(
        () => place.shell.exec(`echo $$ >~/p${i}; sleep 100`, { signal: abort.signal }),
        SkyError,
        "enough",
      ));
    const pids = await Promise.all([0, 1, 2, 3, 4, 5].map((i) => pidIn(place, `p${i}`)));
    abort.abort(new SkyError("request_cancelled", "enough"));
    await Promise.all(running);
    assertEquals(pids.filter(alive), []);
    assertEquals(place.lines, []);
  }));

Deno.test("exec's time limit ends the script", () =>
  withSsh(async (place) => {
    const running = place.shell.exec("echo $$ >~/pid; sleep 100", { signal, timeoutMs: 3_000 });
    const error = await assertRejects(() => running, SkyError);
    assertEquals(error.code, "timeout");
    assert(!alive(await pidIn(place, "pid")));
  }));

Deno.test("exec runs 50 at once over one connection", () =>
  withSsh(async ({ shell, sshd }) => {
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        shell.exec('echo "$1"; cat', { args: [`${i}`], stdin: "!", signal })),
    );
    assertEquals(
      results.map((one) =>
        one.stdout
      ),
      Array.from({ length: 50 }, (_, i) => `${i}\n!`),
    );
    const log = await Deno.readTextFile(sshd.log);
    assertEquals(log.match(/Accepted publickey/g)?.length, 1);
  }));

Deno.test("exec waits its turn where the machine gives few sessions", () =>
  withSsh(async ({ shell, sshd }) => {
    const results = await Promise.all(
      Array.from({ length: 12 }, (_, i) => shell.exec("sleep 0.1; echo $1", { args: [`${i}`], signal })),
    );
    assertEquals(results.map((one) => one.stdout), Array.from({ length: 12 }, (_, i) => `${i}\n`));
    assertEquals((await Deno.readTextFile(sshd.log)).match(/Accepted publickey/g)?.length, 1);
  }, { config: ["MaxSessions 2"] }));

Deno.test("exec is quick once the connection is there", () =>
  withSsh(async ({ shell }) => {
    await shell.exec("true", { signal });
    const times: number[] = [];
    for (let i = 0; i < 15; i++) {
      const began = performance.now();
      await shell.exec("true", { signal });
      times.push(performance.now() - began);
    }
    // 15 to 25 ms on an idle machine; a login takes ten times that. This one may be busy with other tests.
    assertLess(Math.min(...times), 150, times.map((time) => time.toFixed(0)).join(" "));
  }));

Deno.test("open streams both ways and tells the code", () =>
  withSsh(async ({ shell }) => {
    const pieces = Array.from({ length: 200 }, (_, i) => new Uint8Array(10_000).fill(i));
    const { stdout, ended } = await shell.open("cat; exit 5", {
      stdin: ReadableStream.from(pieces),
      signal,
    });
    let at = 0;
    for await (const piece of stdout) {
      for (const byte of piece) if (byte !== Math.floor(at++ / 10_000)) throw new Error(`wrong at ${at}`);
    }
    assertEquals(at, 2_000_000);
    assertEquals((await ended).code, 5);
  }));

Deno.test("open ends the remote process when its output is cancelled, or on abort", () =>
  withSsh(async (place) => {
    const { shell } = place;
    const first = await shell.open("echo $$ >~/one; while :; do echo y; done", { signal });
    const reader = first.stdout.getReader();
    await reader.read();
    await reader.cancel();
    await first.ended;
    assert(!alive(await pidIn(place, "one")));
    const abort = new AbortController();
    const second = await shell.open("echo $$ >~/two; sleep 100", { signal: abort.signal });
    const pid = await pidIn(place, "two");
    abort.abort(new Error("enough"));
    await assertRejects(() => second.ended, Error, "enough");
    assert(!alive(pid));
  }));

Deno.test("detach starts what outlives the connection, in a session of its own, and hears its word", () =>
  withSsh(async (place) => {
    const script = `echo "word $1"; echo $$ >~/pid; exec >/dev/null 2>&1; env >~/env
cut -d' ' -f6 /proc/$$/stat >~/session; exec sleep 100`;
    const first = "cat >~/input; exit 0";
    const result = await place.shell.detach(script, { args: ["a'b"], first, stdin: "in", signal });
    assertEquals(result, { code: 0, stdout: "word a'b\n", stderr: "" });
    const pid = await pidIn(place, "pid");
    assertEquals(await pidIn(place, "session"), pid);
    assertEquals(await Deno.readTextFile(join(place.sshd.home, "input")), "in");
    assert(!(await Deno.readTextFile(join(place.sshd.home, "env"))).includes("SKY_EXEC"));
    await place.sshd.restart();
    assert(alive(pid));
    Deno.kill(pid, "SIGKILL");
  }));

Deno.test("detach starts nothing when what comes first fails", () =>
  withSsh(async (place) => {
    const result = await place.shell.detach("touch ~/started", { first: "echo no >&2; exit 9", signal });
    assertEquals(result, { code: 9, stdout: "", stderr: "no\n" });
    assertEquals(await Deno.stat(join(place.sshd.home, "started")).catch(() => null), null);
  }));

Deno.test("a shell says what is wrong with a machine: refused, unknown key, changed host key, bad option", async () => {
  await withSsh(async ({ shell, sshd, ctx, host }) => {
    await shell.exec("true", { signal });
    await closeShells(ctx.folder);
    await sshd.makeHostKey();
    await sshd.restart();
    const changed = await assertRejects(() => sshShell(host, ctx).exec("true", { signal }), SkyError);
    assertEquals(changed.code, "permission_denied");
    assertStringIncludes(changed.message, "host key is not the one seen before");
    assertStringIncludes(changed.message, `${ctx.folder}/known_hosts, line 1`);

    await Deno.remove(join(ctx.folder, "known_hosts"));
    await Deno.writeTextFile(join(sshd.root, "authorized_keys"), "");
    const denied = await assertRejects(() => sshShell(host, ctx).exec("true", { signal }), SkyError);
    assertEquals(denied.code, "permission_denied");
    assertStringIncludes(denied.message, "Cannot log in to node of the test");

    await sshd.stop();
    const refused = await assertRejects(() => sshShell(host, ctx).exec("true", { signal }), SkyError);
    assertEquals(refused.code, "network");
    assertStringIncludes(refused.message, "Connection refused");

    const odd = sshShell({ ...host, options: ["NoSuchThing=1"] }, ctx);
    const bad = await assertRejects(() => odd.exec("true", { signal }), SkyError);
    assert(isSkyError(bad, "invalid_config"), bad.message);
  });
});

Deno.test("closeShells leaves no master, even when the machine is gone", () =>
  withSsh(async ({ shell, ctx, sshd }) => {
    await shell.exec("true", { signal });
    assertEquals((await mastersOf(ctx.folder)).length, 1);
    await sshd.stop();
    await closeShells(ctx.folder);
    assertEquals(await mastersOf(ctx.folder), []);
  }));

Deno.test("a shell goes through jump hosts, with the same care for their keys", () =>
  withSsh(async ({ host, ctx, sshd }) => {
    const jump = { ...host, options: [`ProxyJump=localhost:${sshd.port}`] };
    assertEquals((await sshShell(jump, ctx).exec("echo there", { signal })).stdout, "there\n");
    assertEquals((await Deno.readTextFile(sshd.log)).match(/Accepted publickey/g)?.length, 2);
  }));

Deno.test("a shell takes a host's name from the user's own configuration", () =>
  withSsh(async ({ sshd, ctx }) => {
    const home = join(ctx.folder, "user home");
    await Deno.mkdir(join(home, ".ssh"), { recursive: true });
    const text = `Host box\n  HostName 127.0.0.1\n  Port ${sshd.port}\n  IdentityFile ${sshd.identityFile}
  ControlPath ~/elsewhere\n  RequestTTY force\n  RemoteCommand exit 9\n`;
    await Deno.writeTextFile(join(home, ".ssh/config"), text, { mode: 0o600 });
    const env = (name: string) => name === "HOME" ? home : ctx.env(name);
    const alias = { name: "box", host: "box", user: null, port: null, identityFile: null, options: [] };
    const shell = sshShell({ ...alias, useUserConfig: true }, { ...ctx, env });
    assertEquals((await shell.exec("echo there", { signal })).stdout, "there\n");
    const blind = sshShell({ ...alias, useUserConfig: false }, { ...ctx, env });
    assertEquals((await assertRejects(() => blind.exec("true", { signal }), SkyError)).code, "network");
  }));
