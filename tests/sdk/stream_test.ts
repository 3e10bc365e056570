import { assert, assertEquals, assertRejects } from "@std/assert";
import { encodeControl, type Frame } from "../../api/frames.ts";
import { versionHeaders } from "../../api/wire.ts";
import { SkyError } from "../../core/errors.ts";
import {
  bodyOf,
  connectionLost,
  connectionRefused,
  framed,
  framesBody,
  makeSky,
  payload,
  QUICK,
  random,
  Shown,
} from "./fake_server.ts";

const utf8 = new TextEncoder();
const LOG = utf8.encode(
  Array.from({ length: 300 }, (_, i) => `line ${i} é \u2028 \x0c${i % 7 === 0 ? "progress\r50%\r\n" : "\n"}`)
    .join("") +
    "last without newline",
);

/** Our server's frames of the log from an offset: pieces of odd lengths, statuses and beats between. */
function framesFrom(offset: number, next: () => number): Frame[] {
  const frames: Frame[] = [{ kind: "status", offset, message: "[dim]waiting[/]" }];
  for (let at = offset; at < LOG.length;) {
    const to = Math.min(LOG.length, at + 1 + Math.floor(next() * 200));
    frames.push({ kind: "data", offset: at, bytes: LOG.subarray(at, to) });
    at = to;
    if (next() < 0.1) frames.push({ kind: "beat", offset: at });
    if (next() < 0.1) frames.push({ kind: "status", offset: at, message: null });
  }
  frames.push({ kind: "end", offset: LOG.length, status: "SUCCEEDED", exitCode: null });
  return frames;
}

Deno.test("stream shows every byte once over 200 cuts at random places", async () => {
  const next = random(1);
  let cuts = 0;
  for (let round = 0; cuts < 200; round++) {
    let cutsLeft = 12;
    const sky = makeSky((_request, url) => {
      assertEquals(url.pathname, "/api/stream");
      assertEquals(url.searchParams.get("format"), "frames");
      const wire = framesBody(framesFrom(Number(url.searchParams.get("offset") ?? 0), next));
      if (cutsLeft-- <= 0) return framed(bodyOf(wire, { size: 64 }));
      cuts++;
      const kind = next();
      if (kind < 0.1) throw connectionLost();
      const cut = Math.floor(next() * Math.min(wire.length - 1, 1000)) + 200;
      // clean end without the end marker, or a lost connection
      return kind < 0.4
        ? framed(wire.slice(0, cut))
        : framed(bodyOf(wire, { size: 1 + Math.floor(next() * 50), cut }));
    });
    const shown = new Shown();
    await sky.stream("r1", shown);
    assertEquals(Uint8Array.from(shown.bytes), LOG, `round ${round}`);
  }
});

Deno.test("stream throws stream_cut when the end marker never comes", async () => {
  let asked = 0;
  const sky = makeSky((_request, url) => {
    asked++;
    const offset = Number(url.searchParams.get("offset") ?? 0);
    return framed(framesBody(offset === 0 ? [{ kind: "data", offset: 0, bytes: utf8.encode("a\n") }] : []));
  });
  const shown = new Shown();
  const error = await assertRejects(() => sky.stream("r1", shown), SkyError);
  assertEquals([error.code, shown.text], ["stream_cut", "a\n"]);
  // the first with progress, then two more without
  assertEquals(asked, 3);
});

Deno.test("stream notices a silent server", async () => {
  const hanging = () =>
    new ReadableStream<Uint8Array>({ start: (c) => c.enqueue(utf8.encode("beat 0 0\n")) });
  const sky = makeSky(() => framed(hanging()), { timing: { ...QUICK, silence: 30 } });
  const started = performance.now();
  const stop = new AbortController();
  const streaming = sky.stream("r1", new Shown(), { signal: stop.signal });
  // beats are progress: it goes on trying until told to stop
  setTimeout(() => stop.abort(new Error("enough")), 200);
  await assertRejects(() => streaming, Error, "enough");
  assert(performance.now() - started < 1_500);
  const mute = makeSky(() => framed(new ReadableStream<Uint8Array>()), { timing: { ...QUICK, silence: 20 } });
  const error = await assertRejects(() => mute.stream("r1", new Shown()), SkyError, "nothing came");
  assertEquals(error.code, "stream_cut");
});

Deno.test("stream takes an end marker that says RUNNING for a cut, except without follow", async () => {
  const end: Frame = { kind: "end", offset: 2, status: "RUNNING", exitCode: null };
  const frames: Frame[] = [{ kind: "data", offset: 0, bytes: utf8.encode("a\n") }, end];
  let asked = 0;
  const sky = makeSky(() => {
    asked++;
    return framed(framesBody(asked < 3 ? frames : [{ ...end, status: "SUCCEEDED" }]));
  });
  const shown = new Shown();
  await sky.stream("r1", shown);
  assertEquals([asked, shown.text], [3, "a\n"]);
  asked = 0;
  await sky.stream("r1", new Shown(), { follow: false });
  assertEquals(asked, 1);
});

Deno.test("stream passes offset and tail, and forgets tail after a cut", async () => {
  const queries: string[] = [];
  const sky = makeSky((_request, url) => {
    queries.push(`${url.searchParams.get("tail")} ${url.searchParams.get("offset")}`);
    if (queries.length === 1) {
      return framed(framesBody([{ kind: "data", offset: 100, bytes: utf8.encode("tail\n") }]));
    }
    return framed(framesBody([{ kind: "end", offset: 105, status: "SUCCEEDED", exitCode: null }]));
  });
  await sky.stream("r1", new Shown(), { tail: 5 });
  assertEquals(queries, ["5 null", "null 105"]);
  queries.length = 0;
  await sky.stream("r1", new Shown(), { offset: 42 }).catch(() => {});
  assertEquals(queries[0], "null 42");
});

Deno.test("stream throws what the sink throws, once", async () => {
  let asked = 0;
  const sky = makeSky(() => {
    asked++;
    return framed(framesBody([{ kind: "data", offset: 0, bytes: utf8.encode("a\n") }]));
  });
  const sink = {
    data() {
      throw new Deno.errors.BrokenPipe("gone");
    },
    status() {},
  };
  await assertRejects(() => sky.stream("r1", sink), Deno.errors.BrokenPipe);
  assertEquals(asked, 1);
});

Deno.test("stream does not repeat what the server refuses", async () => {
  let asked = 0;
  const sky = makeSky(() => {
    asked++;
    return Response.json({ detail: "Request 'zzzz' not found" }, { status: 404, headers: versionHeaders() });
  });
  const error = await assertRejects(
    () => sky.stream("zzzz", new Shown()),
    SkyError,
    "Request 'zzzz' not found",
  );
  assertEquals([error.code, asked], ["request_not_found", 1]);
});

Deno.test("stream asks an official server for text, after at most one question in vain", async () => {
  const formats: (string | null)[] = [];
  const sky = makeSky((_request, url) => {
    const format = url.searchParams.get("format");
    formats.push(format);
    if (format !== "console") {
      return Response.json({ detail: [{ loc: ["query", "format"], msg: "bad", type: "enum" }] }, {
        status: 422,
        headers: versionHeaders(),
      });
    }
    assertEquals(url.searchParams.get("offset"), null);
    return new Response(bodyOf(LOG), { headers: { ...versionHeaders(), "Content-Type": "text/plain" } });
  });
  const shown = new Shown();
  await sky.stream("r1", shown);
  assertEquals(Uint8Array.from(shown.bytes), LOG);
  await sky.stream("r1", new Shown());
  assertEquals(formats, ["frames", "console", "console"]);
});

/** The stock server's text: prelude and heartbeats differ from connection to connection. */
function stockText(next: () => number): Uint8Array {
  const parts: string[] = [
    encodeControl("rich_init", "[dim]Checking[/]"),
    encodeControl("rich_start", "[dim]Checking[/]"),
  ];
  for (let i = Math.floor(next() * 3); i > 0; i--) parts.push(encodeControl("rich_update", "waiting"));
  parts.push(encodeControl("rich_stop"));
  for (const line of new TextDecoder().decode(LOG).split(/(?<=\n)/)) {
    if (next() < 0.05) parts.push(encodeControl("heartbeat"));
    parts.push(line);
  }
  return utf8.encode(parts.join(""));
}

Deno.test("stream of an official server resumes by lines: every byte once over random cuts", async () => {
  const next = random(7);
  for (let round = 0; round < 25; round++) {
    let cutsLeft = 6;
    const sky = makeSky(() => {
      const text = stockText(next);
      const headers = { ...versionHeaders(), "Content-Type": "text/plain; charset=utf-8" };
      if (cutsLeft-- <= 0) return new Response(bodyOf(text, { size: 100 }), { headers });
      // far enough to make progress each time
      const cut = Math.floor(text.length * (1 - (cutsLeft + 1) / 8));
      return new Response(bodyOf(text, { size: 1 + Math.floor(next() * 60), cut }), { headers });
    });
    const shown = new Shown();
    await sky.stream("r1", shown);
    assertEquals(Uint8Array.from(shown.bytes), LOG, `round ${round}`);
    assertEquals(shown.statuses.at(0), "[dim]Checking[/]");
    assertEquals(shown.statuses.at(-1), null);
  }
});

Deno.test("stream of an official server obeys its retry line, thrice without progress", async () => {
  let asked = 0;
  const sky = makeSky(() => {
    asked++;
    return new Response(asked === 1 ? `a\n${encodeControl("retry")}` : encodeControl("retry"), {
      headers: versionHeaders(),
    });
  });
  const shown = new Shown();
  const error = await assertRejects(() => sky.stream("r1", shown), SkyError);
  assertEquals([error.code, shown.text, asked], ["stream_cut", "a\n", 3]);
});

Deno.test("stream survives 5xx answers and a refused connection, not three in a row", async () => {
  let asked = 0;
  const failures = [
    () => new Response("oops", { status: 500, headers: versionHeaders() }),
    () => Response.json({ detail: "shutting down" }, { status: 503, headers: versionHeaders() }),
  ];
  const sky = makeSky(() => {
    asked++;
    return failures[asked - 1]?.() ??
      framed(framesBody([{ kind: "end", offset: 0, status: "SUCCEEDED", exitCode: null }]));
  });
  await sky.stream("r1", new Shown());
  assertEquals(asked, 3);
  const dead = makeSky(() => {
    throw connectionRefused();
  });
  const error = await assertRejects(() => dead.stream("r1", new Shown()), SkyError, "Could not connect");
  assertEquals(error.code, "server_unreachable");
});

Deno.test("tailLogs returns the exit code of the end marker and resumes by offset", async () => {
  const bodies: Record<string, unknown>[] = [];
  const keys = new Set<string | null>();
  const sky = makeSky(async (request, url) => {
    assertEquals(url.pathname, "/logs");
    assertEquals(request.headers.get("Accept"), "application/x-sky-frames");
    const body = await request.json();
    bodies.push(body);
    keys.add(request.headers.get("Idempotency-Key"));
    if (body.offset === undefined) {
      return framed(framesBody([{ kind: "data", offset: 0, bytes: utf8.encode("hello\n") }]));
    }
    const end: Frame = { kind: "end", offset: 12, status: "SUCCEEDED", exitCode: 100 };
    return framed(framesBody([{ kind: "data", offset: 6, bytes: utf8.encode("world\n") }, end]));
  });
  const shown = new Shown();
  const code = await sky.tailLogs({ cluster_name: "c1", job_id: 1, follow: true, tail: 10 }, shown);
  assertEquals([code, shown.text], [100, "hello\nworld\n"]);
  assertEquals(bodies.map(({ tail, offset }) => [tail, offset]), [[10, undefined], [0, 6]]);
  // each attempt is a request of its own: the first was cancelled when the connection broke
  assertEquals(keys.size, 2);
});

Deno.test("tailLogs asks an official server for the exit code", async () => {
  const sky = makeSky((_request, url) => {
    if (url.pathname === "/logs") {
      return new Response("hello\n", { headers: { ...versionHeaders(), "X-Skypilot-Request-ID": "r9" } });
    }
    assertEquals([url.pathname, url.searchParams.get("request_id")], ["/api/get", "r9"]);
    return Response.json(payload({ name: "sky.logs", return_value: "103" }), { headers: versionHeaders() });
  });
  const shown = new Shown();
  assertEquals(await sky.tailLogs({ cluster_name: "c1", job_id: null }, shown), 103);
  assertEquals(shown.text, "hello\n");
});

Deno.test("tailLogs throws the request's error when it ends without an exit code", async () => {
  const sky = makeSky((_request, url) => {
    if (url.pathname === "/logs") {
      const end: Frame = { kind: "end", offset: 0, status: "FAILED", exitCode: null };
      return framed(framesBody([end]), { "X-Skypilot-Request-ID": "r9" });
    }
    const error = JSON.stringify({
      object: "gAROLg==",
      type: "ClusterDoesNotExist",
      message: "Cluster 'c1' does not exist.",
    });
    return Response.json({ detail: payload({ status: "FAILED", error }) }, {
      status: 500,
      headers: versionHeaders(),
    });
  });
  const error = await assertRejects(
    () => sky.tailLogs({ cluster_name: "c1", job_id: null }, new Shown()),
    SkyError,
  );
  assertEquals(error.code, "cluster_not_found");
});
