/** Real listeners and peers that behave badly: garbage, slowness, half-open connections, floods, cuts. */
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { delay } from "@std/async/delay";
import { join } from "@std/path";
import { HEADERS } from "../../api/wire.ts";
import type { Context } from "../../core/context.ts";
import { SkyError } from "../../core/errors.ts";
import { listen, type Listening } from "../../server/listen.ts";
import { peerCheck } from "../../server/security/peer.ts";
import { ENV_VARS, held, makeRig, type Rig, type RigOptions } from "./rig.ts";

interface Server extends AsyncDisposable {
  readonly rig: Rig;
  readonly at: Listening;
  readonly socket: string;
}

async function server(options: RigOptions = {}): Promise<Server> {
  const rig = await makeRig(options);
  const { socket } = rig.home;
  const at = listen(rig.http, {
    host: "127.0.0.1",
    port: 0,
    socket,
    onError: (error) => rig.deps.log.fault("http", error),
  });
  return {
    rig,
    at,
    socket,
    async [Symbol.asyncDispose]() {
      rig.draining.abort();
      for (const stream of rig.deps.streams) stream.interrupt();
      await at.close({ graceMs: 200 });
      await rig[Symbol.asyncDispose]();
    },
  };
}

const utf8 = new TextEncoder();

/** Send bytes as they are; everything that comes back until the peer closes or falls silent. */
async function raw(port: number, bytes: string | Uint8Array, quietMs = 300): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(typeof bytes === "string" ? utf8.encode(bytes) : bytes);
  return await receive(connection, quietMs);
}

async function receive(connection: Deno.TcpConn, quietMs: number): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  let text = "";
  for (;;) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const silence = new Promise<"silent">((resolve) => timer = setTimeout(() => resolve("silent"), quietMs));
    const read = connection.read(buffer).catch(() => null);
    const count = await Promise.race([read, silence]);
    clearTimeout(timer);
    if (count === "silent") {
      connection.close();
      await read;
      return text;
    }
    if (count === null) return text;
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
}

const post = (path: string, body: string, headers = "") =>
  `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n${headers}\r\n${body}`;
const alive = async ({ at }: Server) => {
  const response = await fetch(`${at.url}/api/health`);
  await response.body?.cancel();
  return response.status === 200;
};

Deno.test("both listeners answer; the socket is ours alone; TCP is on loopback", async () => {
  await using made = await server();
  assert(await alive(made));
  assertEquals((await Deno.lstat(made.socket)).mode! & 0o777, 0o600);
  using client = Deno.createHttpClient({ proxy: { transport: "unix", path: made.socket } });
  const response = await fetch("http://localhost/api/health", { client } as RequestInit);
  assertEquals([response.status, (await response.json()).status], [200, "healthy"]);
});

Deno.test("a taken port is one clear error", async () => {
  await using made = await server();
  const { rig, at } = made;
  const open = (socket: string, port: number) => () =>
    listen(rig.http, { host: "127.0.0.1", port, socket, onError: () => {} });
  const taken = assertThrows(open(join(rig.userHome, "s2"), at.port), SkyError);
  assertEquals(taken.code, "server_start_failed");
  assertStringIncludes(taken.message, `127.0.0.1:${at.port}`);
  assert(await alive(made));
});

Deno.test("foreign Host and Origin are refused on TCP", async () => {
  await using made = await server();
  const { port } = made.at;
  assertStringIncludes(
    await raw(port, "GET /api/health HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
    "HTTP/1.1 421",
  );
  assertStringIncludes(
    await raw(port, "GET /api/health HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n"),
    "HTTP/1.1 403",
  );
  assertStringIncludes(
    await raw(port, "GET http://evil.example/api/health HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
    "HTTP/1.1 421",
  );
  assertStringIncludes(await raw(port, "GET /api/health HTTP/1.0\r\n\r\n"), " 400 ");
  // Newer Deno refuses two Host headers by itself, with 400.
  assertMatch(
    await raw(port, "GET /api/health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    /^HTTP\/1\.1 (421|400) /,
  );
});

Deno.test("garbage is answered or dropped, and the server goes on", async () => {
  await using made = await server();
  const noise = crypto.getRandomValues(new Uint8Array(5000));
  const garbage: (string | Uint8Array)[] = [
    "GARBAGE\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00",
    noise,
    "GET",
    `GET /${"a".repeat(100_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: localhost\r\n${"X: y\r\n".repeat(10_000)}\r\n`,
    "POST /check HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    "POST /check HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
    "POST /check HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    post("/check", '{"a": "\\ud800"}'),
    "GET /api/stream?request_id=%00%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /api/get?request_id[]=1&&&=;%%% HTTP/1.1\r\nHost: localhost\r\n\r\n",
  ];
  for (const bytes of garbage) {
    const answer = await raw(made.at.port, bytes, 100);
    assert(!answer.includes("HTTP/1.1 500"), `${bytes}: ${answer}`);
  }
  assert(await alive(made));
  assertEquals(made.rig.faults, []);
});

Deno.test("half-open and idle connections keep nobody waiting", async () => {
  await using made = await server();
  const idle = await Promise.all(
    Array.from({ length: 200 }, () => Deno.connect({ hostname: "127.0.0.1", port: made.at.port })),
  );
  for (const [i, connection] of idle.entries()) {
    if (i % 3 === 0) await connection.write(utf8.encode("GET /api/health HT"));
    if (i % 3 === 1) await connection.write(utf8.encode(post("/check", "{}").slice(0, -1)));
  }
  const before = performance.now();
  assert(await alive(made));
  assert(performance.now() - before < 2000);
  for (const connection of idle) connection.close();
});

Deno.test("a body that stops coming is 408; one that is cut leaves no request and no fault", async () => {
  await using made = await server({ limits: { idleMs: 100 } });
  const { port } = made.at;
  const slow = await raw(
    port,
    "POST /check HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
    1000,
  );
  assertStringIncludes(slow, "HTTP/1.1 408");
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(
    utf8.encode("POST /check HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"),
  );
  connection.close();
  await delay(150);
  assertEquals(await made.rig.engine.list({ allStatus: true }), []);
  assertEquals(made.rig.faults, []);
});

Deno.test("a body that is too large is 413, whether it says so or not", async () => {
  await using made = await server({ limits: { jsonBytes: 100_000 } });
  const declared = await raw(
    made.at.port,
    "POST /check HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n",
  );
  assertStringIncludes(declared, "HTTP/1.1 413");
  const piece = `10000\r\n${"x".repeat(65_536)}\r\n`;
  const chunked = await raw(
    made.at.port,
    `POST /check HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${piece}${piece}${piece}`,
  );
  assertStringIncludes(chunked, "HTTP/1.1 413");
  assert(await alive(made));
});

Deno.test("a 200 KB command comes through unchanged", async () => {
  let seen = "";
  await using made = await server({
    works: {
      "sky.exec": (body) => {
        seen = (body as { task: string }).task;
        return Promise.resolve(null);
      },
    },
  });
  const task = `run: |\n  echo '${"ä\"'$`\\".repeat(40_000)}'\n`;
  const response = await fetch(`${made.at.url}/exec`, {
    method: "POST",
    body: JSON.stringify({ env_vars: ENV_VARS, task, cluster_name: "c" }),
  });
  await response.body?.cancel();
  await made.rig.get(response.headers.get(HEADERS.requestId)!);
  assertEquals(seen, task);
});

Deno.test("a log stream's headers arrive before its first byte, uncompressed and chunked", async () => {
  const ready = Promise.withResolvers<Context>();
  const end = Promise.withResolvers<null>();
  await using made = await server({
    works: {
      "sky.check": (_body, ctx) => {
        ready.resolve(ctx);
        return end.promise;
      },
    },
  });
  const id = await made.rig.submit("/check");
  const response = await fetch(`${made.at.url}/api/stream?request_id=${id}&format=console`, {
    headers: { "accept-encoding": "gzip, br" },
  });
  assertEquals(response.status, 200);
  assertEquals(response.headers.get("content-encoding"), null);
  assertEquals(response.headers.get("content-length"), null);
  const reader = response.body!.getReader();
  const ctx = await ready.promise;
  for (let i = 0; i < 3; i++) {
    ctx.log.line(`line ${i} ${"x".repeat(2000)}`);
    const { value } = await reader.read();
    assertStringIncludes(new TextDecoder().decode(value), `line ${i}`);
  }
  end.resolve(null);
  assertEquals((await reader.read()).done, true);
});

Deno.test("a reader that does not read holds up neither the request nor other readers", async () => {
  const ready = Promise.withResolvers<Context>();
  const end = Promise.withResolvers<null>();
  await using made = await server({
    works: {
      "sky.check": (_body, ctx) => {
        ready.resolve(ctx);
        return end.promise;
      },
    },
  });
  const id = await made.rig.submit("/check");
  const stuck = await Deno.connect({ hostname: "127.0.0.1", port: made.at.port });
  await stuck.write(
    utf8.encode(`GET /api/stream?request_id=${id}&format=console HTTP/1.1\r\nHost: localhost\r\n\r\n`),
  );
  const good = fetch(`${made.at.url}/api/stream?request_id=${id}&format=plain`).then((response) =>
    response.text()
  );
  const ctx = await ready.promise;
  const line = "x".repeat(10_000);
  for (let i = 0; i < 2000; i++) {
    ctx.log.line(line);
    if (i % 100 === 0) await delay(0);
  }
  end.resolve(null);
  assertEquals((await good).length, 2000 * 10_001);
  assertEquals((await made.rig.get(id)).status, "SUCCEEDED");
  stuck.close();
});

Deno.test("a client that hangs up on /api/stream leaves the request alone and the server whole", async () => {
  const one = held();
  await using made = await server({ works: { "sky.check": one.work } });
  const id = await made.rig.submit("/check");
  await one.started;
  for (let i = 0; i < 30; i++) {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: made.at.port });
    await connection.write(
      utf8.encode(`GET /api/stream?request_id=${id}&format=frames HTTP/1.1\r\nHost: localhost\r\n\r\n`),
    );
    if (i % 2 === 0) await connection.read(new Uint8Array(100));
    connection.close();
  }
  for (let tries = 0; made.rig.deps.streams.size > 0 && tries < 100; tries++) await delay(20);
  assertEquals(made.rig.deps.streams.size, 0);
  assertEquals((await made.rig.engine.record(id)).status, "RUNNING");
  assertEquals(made.rig.faults, []);
  one.release(null);
});

Deno.test("close lets an answer through and cuts what does not end", async () => {
  const one = held();
  const made = await server({ works: { "sky.check": one.work } });
  const id = await made.rig.submit("/check");
  await one.started;
  const cut = fetch(`${made.at.url}/api/stream?request_id=${id}&format=console`).then((response) =>
    response.text()
  );
  const outcome = cut.then(() => "ended", () => "cut");
  await delay(50);
  const before = performance.now();
  await made.at.close({ graceMs: 100 });
  assert(performance.now() - before < 3000);
  assertEquals(await outcome, "cut");
  one.release(null);
  await made.rig[Symbol.asyncDispose]();
});

Deno.test({
  name: "another user of this machine cannot use the TCP port, we can",
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
  async fn() {
    using peers = await peerCheck();
    await using made = await server({ security: { peers, uid: Deno.uid() } });
    assert(await alive(made));
    const many = await Promise.all(Array.from({ length: 50 }, () => alive(made)));
    assertEquals(new Set(many), new Set([true]));
    const script = `exec 3<>/dev/tcp/127.0.0.1/${made.at.port}; ` +
      `printf 'GET /api/status HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3; cat <&3`;
    const { stdout } = await new Deno.Command("bash", { args: ["-c", script], uid: 65534, stderr: "null" })
      .output();
    assertStringIncludes(new TextDecoder().decode(stdout), "HTTP/1.1 403");
  },
});
