import { assertEquals } from "@std/assert";
import {
  amount,
  autostopCell,
  compactAge,
  duration,
  money,
  plural,
  pyFloat,
  pyRepr,
  pyStr,
  relativeTime,
  shortRepr,
  truncateEnd,
  truncateMiddle,
} from "../../core/format.ts";

const S = 1000;
const M = 60 * S;
const H = 60 * M;
const D = 24 * H;
const NOW = Date.UTC(2026, 10, 24, 12, 0, 0);

Deno.test("relativeTime follows the table of cli.md 1.8", () => {
  const table: [number, string][] = [
    [0, "< 1 sec"],
    [999, "< 1 sec"],
    [1 * S, "a few secs ago"],
    [10 * S, "a few secs ago"],
    [11 * S, "11 secs ago"],
    [59 * S, "59 secs ago"],
    [60 * S, "1 min ago"],
    [119 * S, "1 min ago"],
    [120 * S, "2 mins ago"],
    [H, "1 hr ago"],
    [2 * H, "2 hrs ago"],
    [23 * H + 59 * M, "23 hrs ago"],
    [D, "1 day ago"],
    [D + 21 * H, "1 day ago"],
    [D + 22 * H, "2 days ago"],
    [7 * D, "1 week ago"],
    [10 * D, "1 week ago"],
    [11 * D, "2 weeks ago"],
    [13 * D, "2 weeks ago"],
    [29 * D, "4 weeks ago"],
    [31 * D, "1 month ago"],
    [360 * D, "1 year ago"],
    [366 * D, "1 year ago"],
    [Date.UTC(2026, 10, 24, 12) - Date.UTC(2025, 3, 24, 12), "2 years ago"],
  ];
  for (const [age, text] of table) assertEquals(relativeTime(NOW - age, NOW), text, `${age / S} s`);
  for (const missing of [null, undefined, -1, NaN]) assertEquals(relativeTime(missing, NOW), "-");
  assertEquals(relativeTime(NOW + 5 * S, NOW), "< 1 sec");
});

Deno.test("relativeTime never goes back while time passes", () => {
  const units = ["sec", "min", "hr", "day", "week", "month", "year"];
  let last = -1;
  for (let age = 11 * S; age < 800 * D; age += age < H ? S * 7 : H * 5 + 13 * M) {
    const [count = "", unit = ""] = relativeTime(NOW - age, NOW).replace(/s? ago$/, "").split(" ");
    const place = units.indexOf(unit) * 1000 + Number(count);
    if (place < last) throw new Error(`${age}: ${count} ${unit}`);
    last = place;
  }
});

Deno.test("duration lists all non-zero units", () => {
  const start = Date.UTC(2026, 0, 1);
  const cases: [number, string][] = [
    [30 * S, "30s"],
    [90 * S, "1m 30s"],
    [2 * H + M + 40 * S, "2h 1m 40s"],
    [13 * D, "1w 6d"],
    [999, "< 1s"],
    [365 * D + 5 * D, "1 year 5d"],
    [Date.UTC(2026, 11, 27) - start, "11mo 3w 5d"],
    [2 * 365 * D, "2 years"],
  ];
  for (const [span, text] of cases) assertEquals(duration(start, start + span), text);
  assertEquals(duration(null, NOW), "-");
  assertEquals(duration(0, 0), "-");
  assertEquals(duration(0, 30 * S), "30s");
});

Deno.test("compactAge counts as Kubernetes does", () => {
  const cases: [number | null, string][] = [
    [null, "0s"],
    [-5, "0s"],
    [0, "0s"],
    [119, "119s"],
    [120, "2m"],
    [330, "5m30s"],
    [600, "10m"],
    [3 * 3600 - 1, "179m"],
    [3 * 3600, "3h"],
    [7.5 * 3600, "7h30m"],
    [8 * 3600, "8h"],
    [47 * 3600, "47h"],
    [2 * 86400, "2d"],
    [7 * 86400 + 4 * 3600, "7d4h"],
    [8 * 86400, "8d"],
    [729 * 86400, "729d"],
    [731 * 86400, "2y1d"],
    [8 * 365 * 86400, "8y"],
  ];
  for (const [seconds, text] of cases) assertEquals(compactAge(seconds), text);
});

Deno.test("truncateEnd keeps whole words, truncateMiddle both ends", () => {
  assertEquals(truncateEnd("sky launch -c some-cluster task.yaml", 26), "sky launch -c some-cluster...");
  assertEquals(truncateEnd("short", 5), "short");
  assertEquals(truncateEnd("standard-instance-64", 15), "standard-instan...");
  assertEquals(truncateMiddle("gke_proj_us-central1_my-very-long-context-name"), "gke_proj_us...ontext-name");
  assertEquals(truncateMiddle("exactly-25-characters-abc"), "exactly-25-characters-abc");
});

Deno.test("pyRepr quotes as Python does", () => {
  const cases: [unknown, string][] = [
    ["a", "'a'"],
    ["it's", `"it's"`],
    [`both ' and "`, `'both \\' and "'`],
    ["a\nb\\\t\x1b", "'a\\nb\\\\\\t\\x1b'"],
    ["é😀", "'é😀'"],
    ["\u2028", "'\\u2028'"],
    [["a", "b"], "['a', 'b']"],
    [{ V100: 4 }, "{'V100': 4}"],
    [true, "True"],
    [null, "None"],
    [0.5, "0.5"],
    [[], "[]"],
    [{}, "{}"],
  ];
  for (const [value, text] of cases) assertEquals(pyRepr(value), text);
  assertEquals(pyStr("a"), "a");
  assertEquals(pyStr({ a: [1, "x"] }), "{'a': [1, 'x']}");
  assertEquals(shortRepr("x".repeat(1_000_000), 20), `'${"x".repeat(19)}...`);
});

Deno.test("numbers are printed as the reference prints them", () => {
  assertEquals([amount(4), amount(0.25), amount(3.5)], ["4", "0.3", "3.5"]);
  const floats: [number, string][] = [[32, "32.0"], [0.1, "0.1"], [1e20, "1e+20"], [1e-7, "1e-07"], [
    -0.5,
    "-0.5",
  ], [
    Infinity,
    "inf",
  ], [NaN, "nan"]];
  for (const [value, text] of floats) assertEquals(pyFloat(value), text);
  assertEquals([money(0.1), money(1.2345, 3)], ["$ 0.10", "$ 1.234"]);
  assertEquals([plural(1, "cluster"), plural(2, "cluster")], ["1 cluster", "2 clusters"]);
});

Deno.test("autostopCell shows hours, minutes and down", () => {
  assertEquals(
    [autostopCell(-1, false), autostopCell(10, false), autostopCell(120, false), autostopCell(0, false)],
    ["-", "10m", "2h", "0m"],
  );
  assertEquals([autostopCell(10, true), autostopCell(60, true), autostopCell(-1, true)], [
    "10m (down)",
    "1h (down)",
    "(down)",
  ]);
});
