import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { isSkyError } from "../../core/errors.ts";
import { dump, dumpAll, looksLikeYaml, parse, parseDocuments, replaceValues } from "../../core/yaml.ts";
import { assertRefuses, seededRandom } from "./refusal.ts";

const at = (line: number, column: number) => ` in "<unicode string>", line ${line}, column ${column}`;

Deno.test("parse reads scalars as YAML 1.1 and PyYAML do", () => {
  // Expected values were taken from PyYAML's safe_load.
  const cases: [string, unknown][] = [
    ["yes", true],
    ["Yes", true],
    ["on", true],
    ["ON", true],
    ["no", false],
    ["off", false],
    ["False", false],
    ["y", "y"],
    ["n", "n"],
    ["yEs", "yEs"],
    ["~", null],
    ["null", null],
    ["Null", null],
    ["nUll", "nUll"],
    ["010", 8],
    ["08", "08"],
    ["0o10", "0o10"],
    ["0x1f", 31],
    ["0b101", 5],
    ["0b_", "0b_"],
    ["1_000", 1000],
    ["+12", 12],
    ["-12", -12],
    ["1:30", 90],
    ["8080:80", "8080:80"],
    ["1e3", "1e3"],
    ["1.0e+3", 1000],
    ["1.0e3", "1.0e3"],
    ["1.5", 1.5],
    [".5", 0.5],
    ["1.", 1],
    [".inf", Infinity],
    ["-.INF", -Infinity],
    ["1.2.3", "1.2.3"],
    ["2024-01-01", "2024-01-01"],
    ["'yes'", "yes"],
    ['"010"', "010"],
    ["!!str 010", "010"],
    ["!!int '7'", 7],
    ["! 5", "5"],
  ];
  for (const [text, value] of cases) assertEquals(parse(`a: ${text}`), { a: value }, text);
});

Deno.test("parse gives null for nothing and takes flow sets, merge keys and aliases", () => {
  assertEquals(parse(""), null);
  assertEquals(parse("# only a comment\n"), null);
  assertEquals(parse("---\n"), null);
  assertEquals(parse("a: {L4:1, H100}"), { a: { "L4:1": null, H100: null } });
  assertEquals(parse("base: &b {x: 1, y: 2}\nnow:\n  <<: *b\n  y: 3\n"), {
    base: { x: 1, y: 2 },
    now: { x: 1, y: 3 },
  });
  assertEquals(parse("a: &a [1]\nb: *a"), { a: [1], b: [1] });
  assertEquals(parse("1: a\ntrue: b\n~: c"), { "1": "a", True: "b", None: "c" });
});

Deno.test("parse keeps __proto__ an ordinary key", () => {
  const value = parse("__proto__: {polluted: 1}\nconstructor: 2") as Record<string, unknown>;
  assertEquals(Object.keys(value), ["__proto__", "constructor"]);
  assertEquals(({} as Record<string, unknown>)["polluted"], undefined);
});

Deno.test("parse asText writes values as Python's str does", () => {
  const text =
    `envs: {A: 1.0, B: yes, C: 12345678901234567890, D: null, E: [1, a], F: 2024-01-01, G: 010, H: 'x',
    I: 1_000.5, J: 1.10, K: 0x10, L: 1.0e+20, M: {k: true}, 5: five}
shared: &m {Q: 1.0}
secrets:
  <<: *m
  K: 2.50
run: 1.0`;
  assertEquals(parse(text, { asText: ["envs", "secrets"] }), {
    envs: {
      "5": "five",
      A: "1.0",
      B: "True",
      C: "12345678901234567890",
      D: null,
      E: "[1, 'a']",
      F: "2024-01-01",
      G: "8",
      H: "x",
      I: "1000.5",
      J: "1.1",
      K: "16",
      L: "1e+20",
      M: "{'k': True}",
    },
    shared: { Q: 1 },
    secrets: { Q: "1.0", K: "2.5" },
    run: 1,
  });
});

Deno.test("parse refuses malformed text with one line and its place", () => {
  const cases: [string, string][] = [
    ["a: 1\nb: 2\na: 3", `found duplicate key 'a'${at(3, 1)}`],
    ["x:\n  {a: 1, a: 2}", `found duplicate key 'a'${at(2, 10)}`],
    ["\ta: 1", `found character '\\t' that cannot start any token${at(1, 1)}`],
    ["a:\n\tb: 1", `found character '\\t' that cannot start any token${at(2, 1)}`],
    ["a: b: c", `mapping values are not allowed here${at(1, 4)}`],
    ["a: 'x", `found unexpected end of stream${at(1, 6)}`],
    ["a: *x", `found undefined alias 'x'${at(1, 4)}`],
    ["&a [*a]", `found unconstructable recursive node${at(1, 5)}`],
    ["a: &a {<<: *a}", `found unconstructable recursive node${at(1, 12)}`],
    ["a: &x 1\nb: &x 2", `found duplicate anchor 'x'${at(2, 7)}`],
    [
      "a: !!python/object/apply:os.system [x]",
      `could not determine a constructor for the tag 'tag:yaml.org,2002:python/object/apply:os.system'${
        at(1, 36)
      }`,
    ],
    ["a: !!int x", `could not determine a constructor for the tag 'tag:yaml.org,2002:int'${at(1, 10)}`],
    ["? [a]\n: b", `found unhashable key${at(1, 3)}`],
    ["<<: 5", `expected a mapping or list of mappings for merging${at(1, 5)}`],
    ["a\n---\nb", `expected a single document, but found another document${at(2, 1)}`],
    [
      "a: \x00",
      'unacceptable character #x0000: special characters are not allowed, position 3 in "<unicode string>"',
    ],
  ];
  for (const [text, problem] of cases) {
    assertRefuses(() => parse(text), "invalid_task", `Invalid YAML: ${problem}`);
  }
  for (const text of ["a: [1", "a: }", "]", "a: @x", "- a\nb: c", "%YAML 1.1\na", "a: b\n c: d", '"a']) {
    assertRefuses(
      () => parse(text),
      "invalid_task",
      /^Invalid YAML: [^\n]+ in "<unicode string>", line \d+, column \d+$/,
    );
  }
});

Deno.test("parse names the file and takes the caller's error code", () => {
  assertRefuses(
    () => parse("a: [", { name: "~/.sky/config.yaml", code: "invalid_config" }),
    "invalid_config",
    /in "~\/\.sky\/config\.yaml", line 1/,
  );
});

/** Hostile texts must be refused or read quickly; a stack overflow or a hang is neither. */
function quickly(text: string, expected: RegExp | null): void {
  const start = performance.now();
  let message = "";
  try {
    parseDocuments(text);
  } catch (error) {
    if (!isSkyError(error)) throw error;
    message = error.message;
  }
  // Generous: eight others share two cores. Without the limits these take minutes or end in a crash.
  assertLess(performance.now() - start, 30_000);
  if (expected === null) assertEquals(message, "");
  else {assert(
      expected.test(message) && !message.includes("\n"),
      `${message.slice(0, 300)} does not match ${expected}`,
    );}
}

const MB = 1024 * 1024;
const fill = (part: string, size: number) => part.repeat(Math.floor(size / part.length));

Deno.test("parse takes 10 MB and refuses more", () => {
  quickly(`run: |\n${fill("  echo hello world\n", 10 * MB - 8)}`, null);
  quickly(`run: "${fill("x", 10 * MB - 8)}"`, null);
  quickly(fill("a", 10 * MB + 1), /^Invalid YAML: the text is larger than 10 MB in "<unicode string>"$/);
  quickly(fill("- a\n", 10 * MB), /more than 500000 tokens/);
  quickly(`a: [${fill("1,", 9 * MB)}]`, /more than 500000 tokens/);
  quickly(`a: &b [${fill("1,", 9 * MB)}]`, /more than 500000 tokens/);
  quickly(fill("a: &a *a\n", 9 * MB), /./);
});

Deno.test("parse takes 100 levels and refuses more", () => {
  quickly(`${"[".repeat(100)}${"]".repeat(100)}`, null);
  for (const open of ["[", "- ", "? ", "{a: ", "[{a: "]) {
    quickly(fill(open, 100_000), /nested deeper than 100 levels/);
  }
  const stairs = Array.from({ length: 200 }, (_, i) => `${" ".repeat(i)}a:`).join("\n");
  quickly(stairs, /nested deeper than 100 levels/);
});

Deno.test("parse is not slowed by many keys, aliases, anchors or errors", () => {
  quickly(Array.from({ length: 70_000 }, (_, i) => `k${i}: v\n`).join(""), null);
  quickly(`a: &a x\nb:\n${fill("- *a\n", 300_000)}`, null);
  quickly(Array.from({ length: 40_000 }, (_, i) => `- &a${i} x\n- *a${i}\n`).join(""), null);
  quickly(fill("{}", 400_000), /./);
  quickly(fill("!a ", 400_000), /./);
});

Deno.test("parse refuses a billion laughs", () => {
  const levels = Array.from({ length: 12 }, (_, i) => {
    const below = i === 0 ? '"lol"' : `*l${i - 1}`;
    return `l${i}: &l${i} [${Array(10).fill(below).join(", ")}]`;
  });
  quickly(levels.join("\n"), /its aliases expand to more than 40 MB/);
  quickly(`a: &a "${fill("x", MB)}"\nb: [${Array(100).fill("*a").join(", ")}]`, /expand to more than 40 MB/);
  const merges = Array.from(
    { length: 40 },
    (_, i) => `m${i}: &m${i} {${i === 0 ? "a: b" : `x: *m${i - 1}, y: *m${i - 1}`}}`,
  );
  quickly(merges.join("\n"), /expand to more than 40 MB/);
});

Deno.test("parseDocuments keeps each document's own text", () => {
  const documents = parseDocuments("# top\nname: x\n---\nrun: a # why\n--- # c\nrun: b\n---\n");
  assertEquals(documents, [
    { value: { name: "x" }, source: "# top\nname: x\n" },
    { value: { run: "a" }, source: "run: a # why\n" },
    { value: { run: "b" }, source: "# c\nrun: b\n" },
    { value: null, source: "" },
  ]);
  assertEquals(parseDocuments(""), []);
});

const PIECES = [
  ..."ab :#-?'\"\\{}[],&*!|>%@`=~\n\t\r",
  ..." |\n\n|: | #|<<|null|yes|no|y|0|1|010|1e3|1.0|1:30|0x1f|2024-01-01|é|😀|\u2028|\x85|\x00|\x1b|\ufeff|---|...|\x7f"
    .split("|"),
  ...".inf|.5|1_000|0b1|${X}|12345678901234567890|  ".split("|"),
];

function randomValue(random: () => number, depth: number): unknown {
  const text = () =>
    Array.from({ length: Math.floor(random() * 5) }, () => PIECES[Math.floor(random() * PIECES.length)]).join(
      "",
    );
  const roll = random();
  const many = () => Array.from({ length: Math.floor(random() * 4) });
  if (depth > 0 && roll < 0.25) return many().map(() => randomValue(random, depth - 1));
  if (depth > 0 && roll < 0.55) {
    return Object.fromEntries(many().map(() => [text(), randomValue(random, depth - 1)]));
  }
  if (roll < 0.6) return null;
  if (roll < 0.65) return random() < 0.5;
  if (roll < 0.7) return Math.floor(random() * 1000) - 500;
  if (roll < 0.73) return random() * 100;
  if (roll < 0.75) return random() * 1e21;
  return roll < 0.76 ? random() * 1e-7 : text();
}

Deno.test("dump writes what parse reads back", () => {
  const random = seededRandom(20_261_124);
  for (let i = 0; i < 3000; i++) {
    const value = { v: randomValue(random, 3) };
    const text = dump(value);
    assertEquals(parse(text), value, text);
  }
});

Deno.test("dump writes block style in key order and quotes what PyYAML would misread", () => {
  const text = dump({
    run: "a\nb\n",
    envs: { A: "1", B: "yes", C: "2024-01-01", D: "<<", E: "=" },
    ports: ["8080"],
    none: undefined,
    big: 1e21,
    empty: {},
  });
  assertEquals(
    text,
    "run: |\n  a\n  b\nenvs:\n  A: '1'\n  B: 'yes'\n  C: '2024-01-01'\n  D: '<<'\n  E: '='\nports:\n- '8080'\n" +
      "big: 1.0e+21\nempty: {}\n",
  );
  assertEquals(dump("\x7f\u2028\u0000"), '"\\u007f\\u2028\\0"\n');
});

Deno.test("dumpAll separates documents that parseDocuments tells apart", () => {
  const values = [{ name: null }, { run: "---\na\n" }, {}];
  assertEquals(parseDocuments(dumpAll(values)).map(({ value }) => value), values);
});

Deno.test("looksLikeYaml decides as the command line must", () => {
  for (const text of ["", "# nothing\n", "a: 1", "- a", "name: x\n---\nrun: y", "~"]) {
    assertEquals(looksLikeYaml(text), { yaml: true }, text);
  }
  assertEquals(looksLikeYaml("#!/bin/bash\nset -e\necho hi\n").yaml, false);
  assertEquals(looksLikeYaml("echo hello").yaml, false);
  const utf8 = looksLikeYaml(new Uint8Array([0xff, 0xfe, 0x00]));
  assertEquals(utf8, { yaml: false, reason: "is not a valid UTF-8 text file and cannot be parsed as YAML." });
  assertEquals(looksLikeYaml(new TextEncoder().encode("a: é")), { yaml: true });
  const broken = looksLikeYaml("a: [1\n");
  assert(!broken.yaml);
  assertStringIncludes(
    broken.reason,
    "contains an invalid configuration. Please check syntax.\n\nYAML Error: flow sequence",
  );
  assertStringIncludes(broken.reason, "line 2, column 1\n");
  assert(!looksLikeYaml(crypto.getRandomValues(new Uint8Array(4096))).yaml);
});

Deno.test("replaceValues changes chosen values and nothing else", () => {
  const text =
    "# keep\na:   1  # one\nsecrets: {A: foo, B: 'b''c', C: }\nx:\n  D: |\n    many\n    lines\n  E: &e y\n\n\nz: end\n";
  const edited = replaceValues(text, (path) => /^[A-E]$/.test(path.at(-1) ?? "") ? "<gone>" : undefined);
  assertEquals(
    edited,
    "# keep\na:   1  # one\nsecrets: {A: <gone>, B: <gone>, C: }\nx:\n  D: <gone>\n  E: &e <gone>\n\n\nz: end\n",
  );
  assertEquals(parseDocuments(edited).length, 1);
});
