import { assert, assertEquals } from "@std/assert";
import { parsePorts, portsWithin } from "../../core/ports.ts";
import { assertRefuses, seededRandom } from "./refusal.ts";

Deno.test("parsePorts gives the vectors of appendix A.2", () => {
  assertEquals(parsePorts(8080), ["8080"]);
  assertEquals(parsePorts("8080,9000"), ["8080", "9000"]);
  assertEquals(parsePorts([8081, 8080, "8082-8084"]), ["8080-8084"]);
  assertEquals(parsePorts([3, "1-2", 5]), ["1-3", "5"]);
  for (const none of [[], "", null]) assertEquals(parsePorts(none), null);
});

Deno.test("parsePorts refuses with the words of cli.md 2.3", () => {
  const port = (text: string) => `Invalid port ${text}. Please use a port number between 1 and 65535.`;
  const range = (text: string) =>
    `Invalid port range ${text}. Please use the format "from-to", in which from <= to. e.g. "1-3".`;
  const cases: [number | string, string][] = [
    [0, port("0")],
    [70000, port("70000")],
    ["99999999", port("99999999")],
    ["a", port("a")],
    [-1, port("-1")],
    ["5-3", range("5-3")],
    ["5-2", range("5-2")],
    ["1-2-3", range("1-2-3")],
    ["1-", range("1-")],
    ["1-70000", port("70000")],
  ];
  for (const [wish, message] of cases) assertRefuses(() => parsePorts(wish), "invalid_argument", message);
});

Deno.test("parsePorts is a set: order and spelling do not matter", () => {
  const random = seededRandom(7);
  for (let i = 0; i < 200; i++) {
    const ports = new Set(Array.from({ length: 20 }, () => 1 + Math.floor(random() * 40)));
    const first = parsePorts([...ports]);
    assertEquals(parsePorts([...ports].reverse().map(String)), first);
    assertEquals(parsePorts(first ?? []), first);
    const expanded = (first ?? []).flatMap((text) => {
      const [from = 0, to = from] = text.split("-").map(Number);
      return Array.from({ length: to - from + 1 }, (_, n) => from + n);
    });
    assertEquals(expanded, [...ports].sort((a, b) => a - b));
  }
});

Deno.test("portsWithin asks for a subset", () => {
  assert(portsWithin(["80", "8000-8002"], ["80-90", "8000-8005"]));
  assert(portsWithin(["1-10"], ["1-5", "6-10"]));
  assert(portsWithin([], []));
  assert(!portsWithin(["80"], []));
  assert(!portsWithin(["80-91"], ["80-90"]));
});
