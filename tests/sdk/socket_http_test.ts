/** The hand-made exchange over a unix socket. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { parseAnswer, type SocketExchange, socketExchange } from "../../sdk/socket_http.ts";
import { ConnectionFailure } from "../../sdk/timing.ts";

const ask = (over: Partial<SocketExchange> = {}): SocketExchange => ({
  method: "POST",
  target: "/a?b=c",
  headers: { "X-Test": "1" },
  body: undefined,
  signal: new AbortController().signal,
  ...over,
});

async function withFolder(work: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "sky-socket-" });
  try {
    await work(join(folder, "s.sock"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("socketExchange carries bodies of any size and kind both ways", async () => {
  await withFolder(async (path) => {
    const server = Deno.serve({ path, onListen() {} }, async (request) => {
      const text = await request.text();
      const { pathname, search } = new URL(request.url);
      const headers = { "X-Seen": `${request.method} ${pathname}${search} ${request.headers.get("x-test")}` };
      if (text === "streamed") {
        const parts = ["one ", "", "zwei ⚙ ", "x".repeat(100_000)];
        const body = ReadableStream.from(parts.map((part) => new TextEncoder().encode(part)));
        return new Response(body as ReadableStream<Uint8Array<ArrayBuffer>>, { status: 404, headers });
      }
      return text === "none" ? new Response(null, { status: 204 }) : new Response(text, { headers });
    });
    const large = "⚙".repeat(300_000);
    for (const body of ["", "{}", large]) {
      const answer = await socketExchange(path, ask({ body }));
      assertEquals([answer.status, answer.ok, await answer.text()], [200, true, body]);
      assertEquals(answer.headers.get("x-seen"), "POST /a?b=c 1");
    }
    const streamed = await socketExchange(path, ask({ body: "streamed" }));
    assertEquals([streamed.status, streamed.ok], [404, false]);
    assertEquals(await streamed.text(), `one zwei ⚙ ${"x".repeat(100_000)}`);
    const none = await socketExchange(path, ask({ body: "none" }));
    assertEquals([none.status, await none.text(), none.headers.has("x-seen")], [204, "", false]);
    await server.shutdown();
  });
});

Deno.test("socketExchange tells what never arrived from what was cut, and obeys its signal", async () => {
  await withFolder(async (path) => {
    const absent = await assertRejects(() => socketExchange(path, ask()), ConnectionFailure);
    assertEquals(absent.kind, "connect");

    const listener = Deno.listen({ transport: "unix", path });
    const taken = (async () => {
      const first = await listener.accept();
      await first.read(new Uint8Array(1000));
      await first.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"));
      first.close();
      return await listener.accept();
    })();
    const cut = await assertRejects(() => socketExchange(path, ask()), ConnectionFailure);
    assertEquals(cut.kind, "cut");

    const leave = new AbortController();
    const waiting = socketExchange(path, ask({ signal: leave.signal }));
    const silent = await taken;
    leave.abort(new Error("enough"));
    await assertRejects(() => waiting, Error, "enough");
    await assertRejects(() => socketExchange(path, ask({ signal: leave.signal })), Error, "enough");
    silent.close();
    listener.close();
  });
});

Deno.test("socketExchange lets no header hold a line break", async () => {
  await withFolder(async (path) => {
    const server = Deno.serve({ path, onListen() {} }, () => new Response("x"));
    await assertRejects(() => socketExchange(path, ask({ headers: { A: "b\r\nC: d" } })));
    await server.shutdown();
  });
});

Deno.test("parseAnswer: every cut of an answer is noticed", async () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const plain = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
  const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
  for (const text of [plain, chunked]) {
    assertEquals(await parseAnswer(bytes(text)).text(), "abc");
    const end = text === plain ? text.length : text.indexOf("0\r\n\r\n");
    for (let at = 0; at < end; at++) {
      assertThrows(() => parseAnswer(bytes(text.slice(0, at))), ConnectionFailure);
    }
  }
  assertThrows(() => parseAnswer(bytes("SSH-2.0-x\r\n\r\n")), ConnectionFailure);
});
