/** Logs as console text, plain text and frames, however the bytes are cut. */
import { assertEquals } from "@std/assert";
import { encodeControl, type Frame, FrameParser } from "../../../api/frames.ts";
import {
  consoleEncoder,
  type Encoder,
  framesEncoder,
  plainEncoder,
} from "../../../server/streams/encoder.ts";

const utf8 = new TextEncoder();
const END = { status: "SUCCEEDED", exitCode: null, notice: null };

function bytes(chunks: Uint8Array[]): Uint8Array {
  return new Uint8Array(chunks.flatMap((chunk) => [...chunk]));
}
const text = (chunks: Uint8Array[]) => new TextDecoder().decode(bytes(chunks));

/** Feed in pieces of the given sizes, over and over. */
function feed(encoder: Encoder, log: string, sizes: number[]): Uint8Array[] {
  const all = utf8.encode(log);
  const out: Uint8Array[] = [];
  for (let at = 0, turn = 0; at < all.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    out.push(...encoder.push(all.slice(at, at + size)));
    at += size;
  }
  return out;
}

const LOG =
  `${encodeControl("rich_init", "[bold]x[/]")}${encodeControl("rich_start", "[bold]x[/]")}first ä€😀 line\n` +
  `\r 10%\r 20%\n${encodeControl("rich_stop")}plain <sky\u200b-payload> text\nlast`;
const TEXT = `first ä€😀 line\n\r 10%\r 20%\nplain <sky\u200b-payload> text\nlast`;
const CUTS = [[1], [2], [3, 7], [64], [5000], [13, 1, 1]];

Deno.test("consoleEncoder passes a log through unchanged, in whole lines", () => {
  for (const sizes of CUTS) {
    const encoder = consoleEncoder();
    const chunks = feed(encoder, LOG, sizes);
    for (const chunk of chunks) assertEquals(chunk[chunk.length - 1], 10);
    assertEquals(text([...chunks, ...encoder.end(END)]), LOG);
  }
});

Deno.test("consoleEncoder with history leaves out its control lines only", () => {
  const history = `${encodeControl("rich_init", "a")}one\n${encodeControl("rich_stop")}two\n`;
  const live = `${encodeControl("rich_update", "b")}three\n`;
  for (const sizes of CUTS) {
    const encoder = consoleEncoder({ skipControls: utf8.encode(history).length });
    const chunks = feed(encoder, history + live, sizes);
    assertEquals(text([...chunks, ...encoder.end(END)]), `one\ntwo\n${live}`);
  }
});

Deno.test("plainEncoder drops control lines", () => {
  for (const sizes of CUTS) {
    const encoder = plainEncoder();
    assertEquals(text([...feed(encoder, LOG, sizes), ...encoder.end(END)]), TEXT);
  }
});

Deno.test("framesEncoder: data frames rebuild the text, offsets are true, the end tells the state", () => {
  for (const sizes of CUTS) {
    const encoder = framesEncoder(0);
    encoder.begin(1000);
    const parser = new FrameParser();
    const all = bytes([
      ...feed(encoder, LOG, sizes),
      ...encoder.end({ status: "FAILED", exitCode: 100, notice: "x" }),
    ]);
    const frames = [...all].flatMap((byte) => parser.push(new Uint8Array([byte])));
    parser.end();
    const data = frames.filter((frame) => frame.kind === "data");
    assertEquals(text(data.map((frame) => frame.bytes)), TEXT);
    const log = utf8.encode(LOG);
    for (const { offset, bytes } of data) {
      assertEquals(log.slice(offset - 1000, offset - 1000 + bytes.length), bytes);
    }
    const end = frames.at(-1) as Frame & { kind: "end" };
    assertEquals([end.kind, end.status, end.exitCode, end.offset], ["end", "FAILED", 100, 1000 + log.length]);
  }
});

Deno.test("a line too long to be kept is sent in pieces that cut no character", () => {
  const encoder = consoleEncoder();
  const line = "😀".repeat(50_000);
  const chunks = feed(encoder, line, [4093]);
  for (const chunk of chunks) new TextDecoder("utf-8", { fatal: true }).decode(chunk);
  assertEquals(encoder.beat(), []); // a heartbeat here would be part of the line
  assertEquals(text([...chunks, ...encoder.push(utf8.encode("\n")), ...encoder.end(END)]), `${line}\n`);
});

Deno.test("heartbeats, waiting and notices in each form", () => {
  const console = consoleEncoder();
  assertEquals(text(console.beat()), '<sky-payload>"<heartbeat></heartbeat>"</sky-payload>\n');
  assertEquals(
    text([...console.status("a"), ...console.status("a"), ...console.status("b"), ...console.status(null)]),
    `${encodeControl("rich_init", "a")}${encodeControl("rich_start", "a")}${
      encodeControl("rich_update", "b")
    }${encodeControl("rich_stop")}`,
  );
  assertEquals(
    text(console.end({ ...END, notice: "'sky.launch' request 1 cancelled" })),
    "'sky.launch' request 1 cancelled\n",
  );
  assertEquals(text(console.retry() ?? []), '<sky-payload>"<retry></retry>"</sky-payload>\n');

  const plain = plainEncoder();
  assertEquals(plain.beat(), []);
  assertEquals(text(plain.status("[dim]Waiting[/dim]")), `Waiting${" ".repeat(4096)}\n`);
  assertEquals(plain.status("[dim]Waiting[/dim]"), []);
  assertEquals(plain.retry(), null);

  const parser = new FrameParser();
  const frames = framesEncoder(7);
  const sent = [...frames.status("a"), ...frames.status(null), ...frames.beat()].flatMap((each) =>
    parser.push(each)
  );
  assertEquals(sent, [
    { kind: "status", offset: 7, message: "a" },
    { kind: "status", offset: 7, message: null },
    { kind: "beat", offset: 7 },
  ]);
  assertEquals(frames.retry(), null);
});
