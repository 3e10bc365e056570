import { assertEquals } from "@std/assert";
import { bold, green, stripAnsi } from "../../core/ansi.ts";
import { borderedTable, displayWidth, padCell, plainTable } from "../../core/table.ts";

Deno.test("plainTable pads every column and keeps two spaces after the last", () => {
  const text = plainTable(["NAME", "STATUS"], [["my-cluster", "UP"], ["b", green("STOPPED")]]);
  assertEquals(stripAnsi(text), "NAME        STATUS   \nmy-cluster  UP       \nb           STOPPED  ");
  assertEquals(plainTable(["A", "B"], []), "A  B  ");
  assertEquals(plainTable(["A", "B"], [["x"]]), "A  B  \nx     ");
});

Deno.test("borderedTable is the optimizer table of cli.md 1.7", () => {
  const text = borderedTable(["INFRA", "INSTANCE", "vCPUs", "Mem(GB)", "GPUS", "COST ($)", "CHOSEN"], [
    ["AWS (us-east-1)", "m6i.large", "2", "8", "-", "0.10", green("   ✔")],
    ["GCP (us-central1-a)", "n2-standard-2", "2", "8", "-", "0.10", ""],
  ]);
  assertEquals(
    stripAnsi(text),
    [
      "------------------------------------------------------------------------------------",
      " INFRA                 INSTANCE        vCPUs   Mem(GB)   GPUS   COST ($)   CHOSEN   ",
      "------------------------------------------------------------------------------------",
      " AWS (us-east-1)       m6i.large       2       8         -      0.10          ✔     ",
      " GCP (us-central1-a)   n2-standard-2   2       8         -      0.10                ",
      "------------------------------------------------------------------------------------",
    ].join("\n"),
  );
});

Deno.test("displayWidth ignores escapes and counts wide glyphs twice", () => {
  assertEquals(displayWidth(bold("abc")), 3);
  assertEquals(displayWidth("📋"), 2);
  assertEquals(displayWidth("🎉🎉"), 4);
  assertEquals(displayWidth("⚙︎"), 1);
  assertEquals(displayWidth("✔"), 1);
  assertEquals(displayWidth("中文"), 4);
  assertEquals(padCell("📋", 4), "📋  ");
  assertEquals(padCell("long", 2), "long");
});

Deno.test("stripAnsi removes colours, cursor moves and links", () => {
  assertEquals(
    stripAnsi("\x1b[1;31mred\x1b[0m \x1b[?25lx\x1b[2K\x1b]8;;http://a\x07link\x1b]8;;\x1b\\"),
    "red xlink",
  );
  assertEquals(stripAnsi("plain"), "plain");
});
