import { assert, assertEquals } from "@std/assert";
import { MAX_LINE, render, wholeBytes } from "../../clusters/render.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const P = encoder.encode("(p) ");

function shown(text: string | Uint8Array, afterCr = false): string {
  const raw = typeof text === "string" ? encoder.encode(text) : text;
  return decoder.decode(render(raw, P, { afterCr }));
}

Deno.test("render prefixes every line and ends the last one", () => {
  assertEquals(shown("a\nb\n"), "(p) a\n(p) b\n");
  assertEquals(shown("a\n\nb"), "(p) a\n(p) \n(p) b\n");
  assertEquals(shown(""), "");
});

Deno.test("render keeps carriage returns of progress bars and of CRLF", () => {
  assertEquals(shown("10%\r20%\r"), "(p) 10%\r(p) 20%\r");
  assertEquals(shown("a\r\nb\r\n"), "(p) a\r\n(p) b\r\n");
  assertEquals(shown("\nb\n", true), "\n(p) b\n");
  assertEquals(shown("\nb\n", false), "(p) \n(p) b\n");
});

Deno.test("render breaks what a client would take for a command of the server", () => {
  assertEquals(
    shown('<sky-payload>"<rich_exit></rich_exit>"</sky-payload>\n'),
    '(p) <\u200bsky-payload>"<rich_exit></rich_exit>"</sky-payload>\n',
  );
  assertEquals(shown("<sky-payload-foo>x\n"), "(p) <\u200bsky-payload-foo>x\n");
  assertEquals(shown('<sky-interactive session="a"/>\n'), '(p) <\u200bsky-interactive session="a"/>\n');
  assertEquals(shown("a < b << <sky> <sky-payloa\n"), "(p) a < b << <sky> <sky-payloa\n");
  assertEquals(shown("<<sky-payload<sky-payload\n"), "(p) <<\u200bsky-payload<\u200bsky-payload\n");
});

Deno.test("render passes bytes that are no UTF-8", () => {
  const raw = new Uint8Array([0xff, 0xfe, 0x80, 0x0a, 0xc3]);
  assertEquals([...render(raw, P, { afterCr: false })], [...P, 0xff, 0xfe, 0x80, 0x0a, ...P, 0xc3, 0x0a]);
});

Deno.test("render cuts long lines at characters and loses nothing", () => {
  const text = "é".repeat(200_000);
  const lines = shown(text).split("\n");
  assertEquals(lines.pop(), "");
  assertEquals(lines.map((line) => line.slice(4)).join(""), text);
  for (const line of lines) {
    assert(line.startsWith("(p) "));
    assert(encoder.encode(line).length <= MAX_LINE + P.length);
    assert(!line.includes("\ufffd"));
  }
  const binary = new Uint8Array(3 * MAX_LINE).fill(0x80);
  assertEquals(render(binary, P, { afterCr: false }).length, 3 * (MAX_LINE + P.length + 1));
});

Deno.test("render leaves a line of exactly the limit whole", () => {
  const text = "x".repeat(MAX_LINE);
  assertEquals(shown(`${text}\ny\n`), `(p) ${text}\n(p) y\n`);
  assertEquals(wholeBytes(encoder.encode(text), { final: false }), 0);
  assertEquals(wholeBytes(encoder.encode(`${text}x`), { final: false }), MAX_LINE);
});

Deno.test("wholeBytes holds back what may still grow", () => {
  const count = (text: string, final = false) => wholeBytes(encoder.encode(text), { final });
  assertEquals(count("abc"), 0);
  assertEquals(count("abc", true), 3);
  assertEquals(count("a\nbc"), 2);
  assertEquals(count("a\rbc"), 2);
  assertEquals(count("a\r"), 2);
  assertEquals(count("a\r\n"), 3);
});

/** Merge the raw bytes in pieces of `size`, as they would come from a node. */
function inPieces(raw: Uint8Array, size: number): string {
  let out = "";
  let rest = new Uint8Array();
  let afterCr = false;
  for (let at = 0; at < raw.length; at += size) {
    const chunk = raw.subarray(at, at + size);
    const joined = new Uint8Array(rest.length + chunk.length);
    joined.set(rest);
    joined.set(chunk, rest.length);
    const count = wholeBytes(joined, { final: at + size >= raw.length });
    out += shown(joined.subarray(0, count), afterCr);
    if (count > 0) afterCr = joined[count - 1] === 0x0d;
    rest = joined.slice(count);
  }
  return out;
}

Deno.test("render of the pieces equals render of the whole", () => {
  const short = encoder.encode("one\ntwo\rthree\r\n\n<sky-payload>\r\r\n\nend");
  for (const size of [1, 2, 3, 7]) assertEquals(inPieces(short, size), shown(short), `in pieces of ${size}`);
  const long = encoder.encode("a\r\n" + "zé".repeat(MAX_LINE) + "\nb\n" + "x".repeat(MAX_LINE + 1));
  for (const size of [1000, 4096, 70_000]) assertEquals(inPieces(long, size), shown(long), `of ${size}`);
});
