/** `/api/stream` over the application: forms, tails, offsets, waiting, cancelled requests, files (wire.md §4.3, §5). */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { encodeControl, type Frame, FrameParser } from "../../../api/frames.ts";
import { FRAMES_TYPE, HEADERS } from "../../../api/wire.ts";
import type { Context } from "../../../core/context.ts";
import { held, makeRig, type Rig } from "../rig.ts";

const TIMING = { heartbeatMs: 60_000, beatMs: 60_000, pollMs: 20, filePollMs: 20 };

/** A work that writes as it is told and ends when told. */
function writer() {
  const ready = Promise.withResolvers<Context>();
  const end = Promise.withResolvers<unknown>();
  const work = (_body: unknown, ctx: Context) => {
    ready.resolve(ctx);
    return Promise.race([
      end.promise,
      new Promise((_, reject) => ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason))),
    ]);
  };
  return { work, ctx: ready.promise, end: end.resolve };
}

async function frames(response: Response): Promise<Frame[]> {
  const parser = new FrameParser();
  const found = parser.push(new Uint8Array(await response.arrayBuffer()));
  parser.end();
  return found;
}

function reading(response: Response): (until: string) => Promise<string> {
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let text = "";
  return async (until) => {
    while (!text.includes(until)) {
      const { done, value } = await reader.read();
      if (done) return text;
      text += decoder.decode(value, { stream: true });
    }
    return text;
  };
}

Deno.test("a finished request streams its whole log at once: console, plain, frames", async () => {
  await using rig = await makeRig({
    works: {
      "sky.check": (_body, ctx) => {
        ctx.log.status("[bold]Working[/]");
        ctx.log.line("one <sky-payload>5</sky-payload>");
        ctx.log.status(null);
        ctx.log.line("two");
        return Promise.resolve(null);
      },
    },
  });
  const id = await rig.submit("/check");
  await rig.get(id);
  const stream = (query: string) => rig.app(`/api/stream?request_id=${id}&${query}`);
  const spinner = [
    encodeControl("rich_init", "[bold]Working[/]"),
    encodeControl("rich_start", "[bold]Working[/]"),
  ].join("");
  const one = "one <sky\u200b-payload>5</sky-payload>\n";
  const console = await stream("format=console");
  assertEquals(console.headers.get("content-type"), "text/plain; charset=utf-8");
  assertEquals(console.headers.get("cache-control"), "no-cache, no-transform");
  assertEquals(console.headers.get("x-accel-buffering"), "no");
  assertEquals(await console.text(), `${spinner}${one}${encodeControl("rich_stop")}two\n`);
  assertEquals(await (await stream("format=plain")).text(), `${one}two\n`);
  const framed = await stream("format=frames");
  assertEquals(framed.headers.get("content-type"), FRAMES_TYPE);
  const all = await frames(framed);
  assertEquals(all.at(-1)?.kind, "end");
  assertEquals(all.filter((frame) => frame.kind === "status").map((frame) => frame.message), [
    "[bold]Working[/]",
    null,
  ]);
});

Deno.test("format auto: a page for browsers, plain for curl, console for SkyPilot's client", async () => {
  await using rig = await makeRig({
    works: {
      "sky.check": (_body, ctx) => {
        ctx.log.status("busy");
        ctx.log.line("text");
        return Promise.resolve(null);
      },
    },
  });
  const id = await rig.submit("/check");
  await rig.get(id);
  const as = async (agent: string, query = `request_id=${id}`) => {
    const response = await rig.app(`/api/stream?${query}`, { headers: { "user-agent": agent } });
    return { response, text: await response.text() };
  };
  assertEquals((await as("curl/8.1")).text, "text\n");
  assertStringIncludes((await as("python-requests/2.32")).text, "<sky-payload>");
  const page = await as("Mozilla/5.0 (X11) Chrome/120");
  assertStringIncludes(page.response.headers.get("content-type")!, "text/html");
  assertStringIncludes(page.text, id);
  const policy = page.response.headers.get("content-security-policy")!;
  assertStringIncludes(policy, "default-src 'none'");
  assert(!policy.includes("unsafe"));
  // The policy's hash is the script's.
  const script = /<script>([\s\S]*)<\/script>/.exec(page.text)![1]!;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(script));
  assertStringIncludes(policy, `'sha256-${btoa(String.fromCharCode(...new Uint8Array(digest)))}'`);
  new Function(script); // parses
  await Deno.mkdir(join(rig.userHome, "sky_logs"));
  await Deno.writeTextFile(join(rig.userHome, "sky_logs", "<script>alert(1).log"), "");
  const nasty = await as("Mozilla/5.0", "log_path=%3Cscript%3Ealert(1).log");
  assertEquals(nasty.response.status, 200);
  assert(!nasty.text.includes("<script>alert"));
  const unknown = await as("Mozilla/5.0", "request_id=zzz");
  assertEquals(unknown.response.status, 404);
});

Deno.test("a live log: the headers come first, then each line as it is written, the end after the request", async () => {
  const log = writer();
  await using rig = await makeRig({ works: { "sky.check": log.work }, timing: TIMING });
  const id = await rig.submit("/check");
  const prefix = id.slice(0, 10);
  const response = await rig.app(`/api/stream?request_id=${prefix}&format=console`);
  assertEquals(response.headers.get(HEADERS.streamRequestId), prefix);
  const read = reading(response);
  const ctx = await log.ctx;
  for (let i = 0; i < 5; i++) {
    ctx.log.line(`line ${i}`);
    assertStringIncludes(await read(`line ${i}\n`), `line ${i}\n`);
  }
  log.end(null);
  assertEquals(await read("never"), "line 0\nline 1\nline 2\nline 3\nline 4\n");
  assertEquals((await rig.engine.record(id)).status, "SUCCEEDED");
});

Deno.test("offset: frames and text begin at any byte; many cuts rebuild the log byte for byte", async () => {
  const log = writer();
  await using rig = await makeRig({ works: { "sky.check": log.work }, timing: TIMING });
  const id = await rig.submit("/check");
  const ctx = await log.ctx;
  let seed = 7;
  const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  const writing = (async () => {
    for (let i = 0; i < 400; i++) {
      if (i % 17 === 0) ctx.log.status(`step ${i}`);
      ctx.log.line(`${i} ${"ä€😀".repeat(random(20))}`);
      if (i % 10 === 0) await new Promise((wake) => setTimeout(wake, 1));
    }
    log.end(null);
  })();
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (let ended = false; !ended;) {
    const response = await rig.app(`/api/stream?request_id=${id}&format=frames&offset=${offset}`);
    const reader = response.body!.getReader();
    const parser = new FrameParser();
    for (let budget = random(3000); budget > 0 && !ended;) {
      const { done, value } = await reader.read();
      if (done) break;
      // The connection breaks anywhere, also within a frame.
      const kept = value.subarray(0, budget);
      budget -= value.length;
      for (const frame of parser.push(kept)) {
        if (frame.kind === "data") {
          assertEquals(frame.offset >= offset, true);
          parts.push(frame.bytes.slice());
          offset = frame.offset + frame.bytes.length;
        } else offset = Math.max(offset, frame.offset);
        if (frame.kind === "end") ended = true;
      }
    }
    await reader.cancel();
  }
  await writing;
  const whole = await (await rig.app(`/api/stream?request_id=${id}&format=plain`)).text();
  assertEquals(await new Blob(parts as Uint8Array<ArrayBuffer>[]).text(), whole);
  const bytes = new Uint8Array(
    await (await rig.app(`/api/stream?request_id=${id}&format=console`)).arrayBuffer(),
  );
  const later = new Uint8Array(
    await (await rig.app(`/api/stream?request_id=${id}&format=console&offset=1000`)).arrayBuffer(),
  );
  assertEquals(later, bytes.slice(1000));
});

Deno.test("tail: last lines without old control lines, then live ones with", async () => {
  const log = writer();
  await using rig = await makeRig({ works: { "sky.check": log.work }, timing: TIMING });
  const id = await rig.submit("/check");
  const ctx = await log.ctx;
  for (let i = 0; i < 10; i++) {
    ctx.log.status(`step ${i}`);
    ctx.log.line(`line ${i}`);
  }
  await rig.engine.log(id).flush();
  const response = await rig.app(`/api/stream?request_id=${id}&format=console&tail=3`);
  const read = reading(response);
  assertEquals(await read("line 9\n"), "line 7\nline 8\nline 9\n");
  ctx.log.status("live");
  ctx.log.line("after");
  log.end(null);
  assertEquals(await read("never"), `line 7\nline 8\nline 9\n${encodeControl("rich_update", "live")}after\n`);
  const zero = await (await rig.app(`/api/stream?request_id=${id}&format=plain&tail=0`)).text();
  assertStringIncludes(zero, "line 0\n");
  const framed = await frames(await rig.app(`/api/stream?request_id=${id}&format=frames&tail=1`));
  assertEquals(
    framed.filter((frame) => frame.kind === "data").map((frame) => new TextDecoder().decode(frame.bytes)),
    ["after\n"],
  );
});

Deno.test("follow=false ends with what is there; the end frame says it is not over", async () => {
  const log = writer();
  await using rig = await makeRig({ works: { "sky.check": log.work }, timing: TIMING });
  const id = await rig.submit("/check");
  (await log.ctx).log.line("so far");
  await rig.engine.log(id).flush();
  const stream = (query: string) => rig.app(`/api/stream?request_id=${id}&follow=False&${query}`);
  assertEquals(await (await stream("format=console")).text(), "so far\n");
  const all = await frames(await stream("format=frames"));
  assertEquals(all.map((frame) => frame.kind), ["data", "end"]);
  assertEquals((all[1] as Frame & { kind: "end" }).status, "RUNNING");
  log.end(null);
});

Deno.test("a waiting request says so: long ones at once, in each form", async () => {
  const first = held();
  await using rig = await makeRig({
    works: { "sky.launch": first.work },
    engineLimits: { long: 1 },
    timing: TIMING,
  });
  await rig.submit("/launch", { task: "run: x", cluster_name: "a" });
  await first.started;
  const id = await rig.submit("/launch", { task: "run: x", cluster_name: "b" });
  const read = reading(await rig.app(`/api/stream?request_id=${id}&format=console`));
  const checking = `[dim]Checking request: ${id}[/dim]`;
  assertStringIncludes(await read("rich_start"), encodeControl("rich_init", checking));
  assertStringIncludes(await read("rich_update"), "rich_update");
  const plain = reading(await rig.app(`/api/stream?request_id=${id}&format=plain`));
  assertStringIncludes(await plain("\n"), `Checking request: ${id}${" ".repeat(4096)}\n`);
  const framed = await rig.app(`/api/stream?request_id=${id}&format=frames`);
  const reader = framed.body!.getReader();
  const [frame] = new FrameParser().push((await reader.read()).value!);
  assertEquals(frame, { kind: "status", offset: 0, message: checking });
  await reader.cancel();
  first.release({ job_id: null, handle: null });
  assertStringIncludes(await read("rich_stop"), encodeControl("rich_stop"));
  await read("never");
  await plain("never");
});

Deno.test("a cancelled request's stream ends with a line that says so", async () => {
  const log = writer();
  await using rig = await makeRig({ works: { "sky.check": log.work }, timing: TIMING });
  const id = await rig.submit("/check");
  (await log.ctx).log.line("begun");
  const read = reading(await rig.app(`/api/stream?request_id=${id}&format=console`));
  await rig.engine.cancel({ ids: [id] }, rig.deps.user);
  assertEquals(await read("never"), `begun\n'sky.check' request ${id} cancelled\n`);
});

Deno.test("heartbeats come in silence: text lines, frames at their own pace", async () => {
  const log = writer();
  await using rig = await makeRig({
    works: { "sky.check": log.work },
    timing: { ...TIMING, heartbeatMs: 30, beatMs: 20 },
  });
  const id = await rig.submit("/check");
  await log.ctx;
  const read = reading(await rig.app(`/api/stream?request_id=${id}&format=console`));
  assertStringIncludes(await read("heartbeat"), encodeControl("heartbeat"));
  const response = await rig.app(`/api/stream?request_id=${id}&format=frames`);
  const reader = response.body!.getReader();
  const [beat] = new FrameParser().push((await reader.read()).value!);
  assertEquals(beat, { kind: "beat", offset: 0 });
  await reader.cancel();
  log.end(null);
  await read("never");
});

Deno.test("a reader that leaves does not disturb the request and leaves nothing behind", async () => {
  const log = writer();
  await using rig = await makeRig({ works: { "sky.check": log.work }, timing: TIMING });
  const id = await rig.submit("/check");
  (await log.ctx).log.line("x");
  for (let i = 0; i < 20; i++) {
    const response = await rig.app(
      `/api/stream?request_id=${id}&format=${i % 2 === 0 ? "console" : "frames"}`,
    );
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
  }
  assertEquals(rig.deps.streams.size, 0);
  assertEquals((await rig.engine.record(id)).status, "RUNNING");
  log.end(null);
  await rig.get(id);
});

Deno.test("download and compress", async () => {
  await using rig = await makeRig({
    works: {
      "sky.check": (_body, ctx) => {
        ctx.log.status("s");
        for (let i = 0; i < 1000; i++) ctx.log.line(`line ${i}`);
        return Promise.resolve(null);
      },
      "sky.queue": () => Promise.resolve(null),
    },
  });
  const id = await rig.submit("/check");
  await rig.get(id);
  const plain = await (await rig.app(`/api/stream?request_id=${id}&format=plain`)).text();
  const named = await rig.app(`/api/stream?request_id=${id}&download=${encodeURIComponent('a"b/../é.log')}`);
  assertEquals(named.headers.get("content-disposition"), 'attachment; filename="a_b_..__.log"');
  assertEquals(await named.text(), plain);
  const packed = await rig.app(`/api/stream?request_id=${id}&format=plain&compress=gz`);
  assertEquals(packed.headers.get("content-type"), "application/gzip");
  const unpacked = packed.body!.pipeThrough(new DecompressionStream("gzip"));
  assertEquals(await new Response(unpacked).text(), plain);
  const empty = await rig.submit("/queue", { cluster_name: "c" });
  await rig.get(empty);
  const nothing = await rig.app(`/api/stream?request_id=${empty}&format=plain&compress=gz`);
  assertEquals((await nothing.arrayBuffer()).byteLength, 0);
});

Deno.test("what is asked wrongly: both ids, no request, unknown ones, unknown format", async () => {
  await using rig = await makeRig({ works: { "sky.check": () => Promise.resolve(null) } });
  const ask = async (query: string) => {
    const response = await rig.app(`/api/stream?${query}`);
    return [response.status, (await response.json()).detail];
  };
  assertEquals(await ask("request_id=a&log_path=b"), [
    400,
    "Only one of request_id and log_path can be provided",
  ]);
  assertEquals(await ask(""), [404, "No request found"]);
  assertEquals(await ask("request_id=zzz"), [404, "Request 'zzz' not found"]);
  assertEquals((await ask("request_id=a&format=pdf"))[0], 422);
  assertEquals((await ask("request_id=a&tail=many"))[0], 422);
  assertEquals((await ask("request_id=a&follow=perhaps"))[0], 422);
  assertEquals((await ask("request_id=a&offset=-1"))[0], 400);
  const id = await rig.submit("/check");
  await rig.get(id);
  const newest = await rig.app("/api/stream?format=console");
  assertEquals([newest.status, newest.headers.get(HEADERS.streamRequestId)], [200, id]);
  await newest.body?.cancel();
});

async function logPath(rig: Rig, query: string): Promise<[number, string]> {
  const response = await rig.app(`/api/stream?${query}`);
  return [response.status, await response.text()];
}

Deno.test("log_path: the server's log and files below ~/sky_logs, nothing else", async () => {
  await using rig = await makeRig({ timing: TIMING });
  const folder = join(rig.userHome, "sky_logs", "run-1");
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(join(folder, "a.log"), "A1\nA2\nA3\n");
  await Deno.writeTextFile(join(folder, "b.log"), "B\n");
  await Deno.writeTextFile(join(folder, "c.txt"), "no log\n");
  await Deno.writeTextFile(join(rig.userHome, "secret"), "secret\n");
  await Deno.symlink(join(rig.userHome, "secret"), join(folder, "link.log"));
  await Deno.symlink(join(folder, "a.log"), join(folder, "inside.log"));
  const path = (text: string, more = "&follow=false") =>
    logPath(rig, `log_path=${encodeURIComponent(text)}&format=console${more}`);
  assertEquals(await path("run-1/a.log"), [200, "A1\nA2\nA3\n"]);
  assertEquals(await path("run-1/inside.log"), [200, "A1\nA2\nA3\n"]);
  assertEquals(await path("run-1/a.log", "&follow=false&tail=1"), [200, "A3\n"]);
  assertEquals(await path("run-1/a.log", "&follow=false&offset=3"), [200, "A2\nA3\n"]);
  const [status, both] = await path("run-1");
  assertEquals([status, both], [200, "\n==> run-1/a.log <==\n\nA1\nA2\nA3\n\n==> run-1/b.log <==\n\nB\n"]);
  assertEquals(await path("run-1", "&offset=24"), [200, both.slice(24)]);
  for (
    const bad of ["../secret", "run-1/../../secret", "/etc/passwd", "~/secret", "run-1/link.log", "a\0b"]
  ) {
    const [code, text] = await path(bad);
    assertEquals([bad, code], [bad, 400]);
    assertStringIncludes(text, "Unauthorized log path");
  }
  assertEquals(await path("nope.log"), [
    404,
    JSON.stringify({ detail: "Log path 'nope.log' does not exist" }),
  ]);
  assertEquals((await path("~/.sky/api_server/server.log"))[0], 404);
  await Deno.writeTextFile(rig.home.serverLog, "one\n");
  const response = await rig.app(
    `/api/stream?log_path=${encodeURIComponent("~/.sky/api_server/server.log")}&format=console`,
  );
  const read = reading(response);
  assertEquals(await read("one\n"), "one\n");
  await Deno.writeTextFile(rig.home.serverLog, "two\n", { append: true });
  assertEquals(await read("two\n"), "one\ntwo\n");
});

Deno.test("a drain cuts streams of requests: no end, no word, so that clients come back to the next server", async () => {
  const log = writer();
  await using rig = await makeRig({ works: { "sky.check": log.work }, timing: TIMING });
  const id = await rig.submit("/check");
  (await log.ctx).log.line("x");
  const readers = await Promise.all(["console", "plain", "frames"].map(async (format) => {
    const response = await rig.app(`/api/stream?request_id=${id}&format=${format}`);
    const reader = response.body!.getReader();
    await reader.read();
    return reader;
  }));
  rig.draining.abort();
  for (const stream of rig.deps.streams) stream.interrupt();
  for (const reader of readers) assertEquals(await reader.read().then(() => "ended", () => "cut"), "cut");
  const late = await rig.app(`/api/stream?request_id=${id}`);
  assertEquals(late.status, 503);
  await late.body?.cancel();
});
