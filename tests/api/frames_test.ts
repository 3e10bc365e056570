import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  decodeControl,
  encodeControl,
  encodeFrame,
  escapePayload,
  type Frame,
  FrameParser,
  FrameReader,
  FrameWriter,
  hasPayload,
  nextOffset,
} from "../../api/frames.ts";
import { SkyError } from "../../core/errors.ts";

const LINES = [
  [
    "rich_init",
    "[bold cyan]Launching[/]",
    '<sky-payload>"<rich_init>[bold cyan]Launching[/]</rich_init>"</sky-payload>',
  ],
  [
    "rich_start",
    "[bold cyan]Launching[/]",
    '<sky-payload>"<rich_start>[bold cyan]Launching[/]</rich_start>"</sky-payload>',
  ],
  [
    "rich_update",
    'msg with "quotes" and é',
    '<sky-payload>"<rich_update>msg with \\"quotes\\" and \\u00e9</rich_update>"</sky-payload>',
  ],
  ["rich_stop", "", '<sky-payload>"<rich_stop></rich_stop>"</sky-payload>'],
  ["rich_exit", "", '<sky-payload>"<rich_exit></rich_exit>"</sky-payload>'],
  ["heartbeat", "", '<sky-payload>"<heartbeat></heartbeat>"</sky-payload>'],
  ["retry", "", '<sky-payload>"<retry></retry>"</sky-payload>'],
] as const;

Deno.test("encodeControl writes the exact lines of wire.md 5.1 and decodeControl reads them", () => {
  for (const [code, message, line] of LINES) {
    assertEquals(encodeControl(code, message), `${line}\n`);
    assertEquals(decodeControl(line), { code, message });
    assert(hasPayload(line));
  }
});

Deno.test("encodeControl keeps any message on one line", () => {
  for (const message of ["a\nb", "\u2028x\u{1f600}", "</rich_update>", "<sky-payload>"]) {
    const line = encodeControl("rich_update", message);
    assertEquals(line.indexOf("\n"), line.length - 1);
    assertEquals(decodeControl(line.trimEnd())?.message, message);
  }
});

Deno.test("decodeControl ignores what only looks like a control", () => {
  const lines = [
    "plain",
    "<sky-payload>not json</sky-payload>",
    "<sky-payload>{}</sky-payload>",
    "<sky-payload>42</sky-payload>",
    '<sky-payload>"<unknown>x</unknown>"</sky-payload>',
    '<sky-payload>"<rich_stop></rich_start>"</sky-payload>',
  ];
  for (const line of lines) assertEquals(decodeControl(line), null);
});

Deno.test("escapePayload leaves no text that a client would swallow", () => {
  for (
    const text of ["<sky-payload>x</sky-payload>", "a <sky-payload-foo>b</sky-payload> c", "<<sky-payload>>"]
  ) {
    assertEquals(hasPayload(escapePayload(text)), false);
  }
  assertEquals(escapePayload("nothing <b>"), "nothing <b>");
});

const bytes = (text: string) => new TextEncoder().encode(text);
const FRAMES: Frame[] = [
  { kind: "status", offset: 0, message: "[dim]Waiting: é[/]" },
  { kind: "data", offset: 0, bytes: bytes("hello\ndata 5 5\n") },
  { kind: "beat", offset: 15 },
  { kind: "data", offset: 9_007_199_254_740_000, bytes: new Uint8Array([0, 10, 255, 32]) },
  { kind: "status", offset: 19, message: null },
  { kind: "end", offset: 19, status: "SUCCEEDED", exitCode: 100 },
];

/** Neighbouring data frames as one, so that only content counts. */
function merged(frames: readonly Frame[]): Frame[] {
  const out: Frame[] = [];
  for (const frame of frames) {
    const last = out.at(-1);
    if (frame.kind === "data" && last?.kind === "data" && nextOffset(last) === frame.offset) {
      out[out.length - 1] = { ...last, bytes: new Uint8Array([...last.bytes, ...frame.bytes]) };
    } else out.push(frame);
  }
  return out;
}

async function written(frames: readonly Frame[]): Promise<Uint8Array> {
  return new Uint8Array(
    await new Response(ReadableStream.from(frames).pipeThrough(new FrameWriter())).arrayBuffer(),
  );
}

Deno.test("encodeFrame writes head and body as documented", () => {
  const text = (frame: Frame) => new TextDecoder().decode(encodeFrame(frame));
  assertEquals(text({ kind: "data", offset: 7, bytes: bytes("ab\n") }), "data 7 3\nab\n");
  assertEquals(text({ kind: "beat", offset: 10 }), "beat 10 0\n");
  assertEquals(text({ kind: "status", offset: 10, message: null }), 'status 10 16\n{"message":null}');
  assertEquals(
    text({ kind: "end", offset: 10, status: "FAILED", exitCode: null }),
    'end 10 36\n{"status":"FAILED","exit_code":null}',
  );
});

Deno.test("FrameReader gives the frames back whatever the chunks", async () => {
  const wire = await written(FRAMES);
  for (const size of [1, 2, 3, 5, 7, 16, 64, wire.length]) {
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < wire.length; at += size) chunks.push(wire.subarray(at, at + size));
    const read = await Array.fromAsync(ReadableStream.from(chunks).pipeThrough(new FrameReader()));
    assertEquals(merged(read), FRAMES, `chunks of ${size}`);
  }
});

Deno.test("FrameReader fails with stream_cut when it ends inside a frame, wherever", async () => {
  const wire = await written(FRAMES);
  const borders = new Set<number>([0]);
  for (const frame of FRAMES) borders.add(Math.max(...borders) + encodeFrame(frame).length);
  for (let cut = 0; cut <= wire.length; cut++) {
    const reading = Array.fromAsync(
      ReadableStream.from([wire.subarray(0, cut)]).pipeThrough(new FrameReader()),
    );
    if (borders.has(cut)) await reading;
    else assertEquals((await assertRejects(() => reading, SkyError)).code, "stream_cut");
  }
});

Deno.test("FrameParser refuses bytes that are no frames", () => {
  const cases = [
    "<html>\n",
    "data 1\n",
    "data -1 2\n",
    "status 0 4\nnope",
    "status 0 99999999\n",
    "x".repeat(100),
    "data 0 99999999999999999\n",
    "\n",
  ];
  for (const text of cases) {
    const error = assertThrows(() => new FrameParser().push(bytes(text)), SkyError);
    assertEquals(error.code, "stream_cut");
  }
});

Deno.test("FrameParser tells data before it is complete", () => {
  const parser = new FrameParser();
  assertEquals(parser.push(bytes("data 5 10\nabc")), [{ kind: "data", offset: 5, bytes: bytes("abc") }]);
  assertEquals(parser.push(bytes("defghij")), [{ kind: "data", offset: 8, bytes: bytes("defghij") }]);
});
