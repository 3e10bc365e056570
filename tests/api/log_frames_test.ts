import { assertEquals } from "@std/assert";
import { encodeControl, type Frame } from "../../api/frames.ts";
import { LogFrames } from "../../api/log_frames.ts";

const encoder = new TextEncoder();
const LOG = encoder.encode(
  "first line\n" +
    encodeControl("rich_init", "[cyan]one[/]") +
    encodeControl("rich_start", "[cyan]one[/]") +
    "<sky-pay not a control\n" +
    'in the middle <sky-payload>"x"</sky-payload>\n' +
    encodeControl("rich_update", "two é") +
    "progress\r50%\r100%\n" +
    encodeControl("rich_stop") +
    encodeControl("heartbeat") +
    "no newline at the end",
);

/** Every byte of text with its offset, and the statuses with theirs. */
function seen(frames: readonly Frame[]) {
  const text: [number, number][] = [];
  const statuses: [number, string | null][] = [];
  for (const frame of frames) {
    if (frame.kind === "data") frame.bytes.forEach((byte, i) => text.push([frame.offset + i, byte]));
    else if (frame.kind === "status") statuses.push([frame.offset, frame.message]);
  }
  return { text, statuses };
}

function framesOf(from: number, size: number): Frame[] {
  const splitter = new LogFrames(from);
  const frames: Frame[] = [];
  for (let at = from; at < LOG.length; at += size) frames.push(...splitter.push(LOG.subarray(at, at + size)));
  frames.push(...splitter.end());
  assertEquals(splitter.offset, LOG.length);
  return frames;
}

Deno.test("LogFrames parts text and controls with true offsets, whatever the chunks", () => {
  const whole = seen(framesOf(0, LOG.length));
  const text = new TextDecoder().decode(Uint8Array.from(whole.text, ([, byte]) => byte));
  assertEquals(
    text,
    'first line\n<sky-pay not a control\nin the middle <sky-payload>"x"</sky-payload>\n' +
      "progress\r50%\r100%\nno newline at the end",
  );
  for (const [offset, byte] of whole.text) assertEquals(LOG[offset], byte);
  assertEquals(whole.statuses.map(([, message]) => message), ["[cyan]one[/]", "two é", null]);
  for (let size = 1; size < 80; size++) assertEquals(seen(framesOf(0, size)), whole, `chunks of ${size}`);
});

Deno.test("LogFrames continues from any offset it gave out without a byte twice or lost", () => {
  const whole = seen(framesOf(0, LOG.length)).text;
  const splitter = new LogFrames(0);
  for (let at = 0; at < LOG.length; at++) {
    splitter.push(LOG.subarray(at, at + 1));
    const from = splitter.offset;
    const lineStart = from === 0 || LOG[from - 1] === 0x0a;
    const rest = new LogFrames(from, { lineStart });
    const later = seen([...rest.push(LOG.subarray(from)), ...rest.end()]).text;
    assertEquals(later, whole.filter(([offset]) => offset >= from), `from ${from}`);
  }
});

Deno.test("LogFrames gives out an endless line that begins like a control", () => {
  const splitter = new LogFrames(0);
  const long = encoder.encode("<sky-payload>" + "x".repeat(100_000));
  let count = 0;
  for (const frame of splitter.push(long)) if (frame.kind === "data") count += frame.bytes.length;
  assertEquals(count, long.length);
});
