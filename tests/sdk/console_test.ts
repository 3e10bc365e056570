import { assert, assertEquals } from "@std/assert";
import { encodeControl } from "../../api/frames.ts";
import { ConsoleDecoder } from "../../sdk/console.ts";
import { Shown } from "./fake_server.ts";

const utf8 = new TextEncoder();
const TEXT = "plain é\n" +
  encodeControl("rich_update", "before init: ignored") +
  encodeControl("rich_init", "[bold]one[/]") +
  encodeControl("rich_start", "[bold]one[/]") +
  'swallowed <sky-payload>"x"</sky-payload> whole\n' +
  "<sky-payload but not one\n" +
  "10%\r50%\r100%\r\n" +
  encodeControl("rich_update", "two") +
  encodeControl("heartbeat") +
  encodeControl("rich_exit") +
  encodeControl("rich_start", "after exit: ignored") +
  "the end";

Deno.test("ConsoleDecoder shows text and spinner as wire.md 5.2 says, whatever the chunks", () => {
  const bytes = utf8.encode(TEXT);
  for (let size = 1; size <= bytes.length; size += size < 40 ? 1 : 37) {
    const shown = new Shown();
    const place = { lines: 0 };
    const decoder = new ConsoleDecoder(shown, place);
    for (let at = 0; at < bytes.length; at += size) {
      assertEquals(decoder.push(bytes.subarray(at, at + size)), null);
    }
    decoder.end();
    assertEquals(shown.text, "plain é\n<sky-payload but not one\n10%\r50%\r100%\r\nthe end");
    assertEquals(shown.statuses, ["[bold]one[/]", "two", null]);
    assertEquals(place.lines, 6);
  }
});

Deno.test("ConsoleDecoder keeps back a line that has not ended", () => {
  const shown = new Shown();
  const decoder = new ConsoleDecoder(shown, { lines: 0 });
  decoder.push(utf8.encode("half a li"));
  assertEquals(shown.text, "");
  decoder.push(utf8.encode("ne\nnext"));
  assertEquals(shown.text, "half a line\n");
});

Deno.test("ConsoleDecoder skips the lines of an earlier connection and counts on", () => {
  const shown = new Shown();
  const place = { lines: 3 };
  const decoder = new ConsoleDecoder(shown, place);
  decoder.push(utf8.encode(`${encodeControl("heartbeat")}1\n2\n${encodeControl("heartbeat")}3\n4\n`));
  decoder.push(utf8.encode("5\n"));
  assertEquals([shown.text, place.lines], ["4\n5\n", 5]);
});

Deno.test("ConsoleDecoder asks to retry when the server says so", () => {
  const decoder = new ConsoleDecoder(new Shown(), { lines: 0 });
  assertEquals(decoder.push(utf8.encode(`a\n${encodeControl("retry")}`)), "retry");
});

Deno.test("ConsoleDecoder takes a line of 50 MB in small pieces in linear time", () => {
  let bytes = 0;
  const decoder = new ConsoleDecoder({ data: (piece) => bytes += piece.length, status() {} }, { lines: 0 });
  const piece = new Uint8Array(32 * 1024).fill(0x78);
  const started = performance.now();
  for (let i = 0; i < 1600; i++) decoder.push(piece);
  decoder.push(utf8.encode("\n"));
  assertEquals(bytes, 1600 * piece.length + 1);
  assert(performance.now() - started < 5_000);
});
