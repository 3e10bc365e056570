/** Finding the last lines, against the obvious way of doing it. */
import { assertEquals } from "@std/assert";
import { encodeControl } from "../../../api/frames.ts";
import { tailOffset } from "../../../server/streams/tail.ts";

async function tail(content: string, lines: number): Promise<string> {
  const path = await Deno.makeTempFile();
  try {
    const bytes = new TextEncoder().encode(content);
    await Deno.writeFile(path, bytes);
    const offset = await tailOffset(path, { lines, size: bytes.length });
    return new TextDecoder().decode(bytes.slice(offset));
  } finally {
    await Deno.remove(path);
  }
}

/** The obvious way. */
function expected(content: string, lines: number): string {
  const all = content.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  let counted = 0;
  for (let at = all.length - 1; at >= 0; at--) {
    if (!all[at]!.includes("<sky-payload>")) counted++;
    if (counted === lines) return all.slice(at).join("");
  }
  return content;
}

Deno.test("tailOffset counts lines as the obvious way does", async () => {
  const control = encodeControl("rich_update", "x");
  const logs = [
    "",
    "\n",
    "one",
    "one\n",
    "one\ntwo\nthree",
    "one\n\n\nfour\n",
    `${control}one\n${control}${control}two\n${control}`,
    control,
    `${"x".repeat(200_000)}\n${"y".repeat(70_000)}\nz\n`,
    Array.from({ length: 30_000 }, (_, i) => i % 3 === 0 ? control : `line ${i}\n`).join(""),
  ];
  for (const log of logs) {
    for (const lines of [1, 2, 3, 10, 19_999]) assertEquals(await tail(log, lines), expected(log, lines));
  }
});

Deno.test("tailOffset of a missing file is its start; of no lines its end", async () => {
  assertEquals(await tailOffset("/nonexistent/file", { lines: 5, size: 0 }), 0);
  assertEquals(await tail("a\nb\n", 0), "");
});
