import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { AnsiFilter, plainMarkup, renderMarkup } from "../../cli/markup.ts";
import { requireYes } from "../../cli/prompt.ts";
import { createTerminal } from "../../cli/terminal.ts";
import { SkyError } from "../../core/errors.ts";
import { testTerminal } from "../support/test_terminal.ts";

const RED = "\x1b[31mred\x1b[0m";
const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("Terminal strips ANSI unless it shows colours", () => {
  const matrix: [Parameters<typeof testTerminal>[0], string][] = [
    [{}, "red\n"],
    [{ color: true }, RED + "\n"],
    [{ env: { FORCE_COLOR: "" } }, "red\n"],
    [{ tty: true }, RED + "\n"],
    [{ tty: true, env: { NO_COLOR: "1" } }, "red\n"],
    [{ tty: true, env: { TERM: "dumb" } }, "red\n"],
    [{ env: { NO_COLOR: "1", FORCE_COLOR: "1" } }, RED + "\n"],
  ];
  for (const [options, expected] of matrix) {
    const test = testTerminal(options);
    test.terminal.line(RED);
    assertEquals(test.out(), expected, JSON.stringify(options));
    test.terminal.error(RED);
    assertEquals(test.err(), expected, JSON.stringify(options));
  }
});

Deno.test("Terminal.bytes strips escape sequences over chunk borders and passes all other bytes", () => {
  const text = `a${RED}b\x1b]0;title\x07c\x1b[2Kd é\xff`;
  const bytes = new Uint8Array([...encode(text), 0xff, 0x00]);
  for (let size = 1; size < 8; size++) {
    const filter = new AnsiFilter({ all: true });
    const out: number[] = [];
    for (let at = 0; at < bytes.length; at += size) out.push(...filter.push(bytes.subarray(at, at + size)));
    assertEquals(out, [...encode("aredbcd é\xff"), 0xff, 0x00], `chunks of ${size}`);
  }
  const colours = new AnsiFilter({ all: false });
  assertEquals(decode(colours.push(encode(`${RED}\x1b[2K`))), "red\x1b[2K");
});

Deno.test("AnsiFilter gives back what is no sequence", () => {
  const filter = new AnsiFilter({ all: true });
  const long = "\x1b]" + "x".repeat(300);
  assertEquals(decode(filter.push(encode(`\x1bZ ${long}`))), `\x1bZ ${long}`);
});

Deno.test("renderMarkup knows rich's tags and leaves other brackets", () => {
  assertEquals(renderMarkup("[bold cyan]Launching[/] x"), "\x1b[1m\x1b[36mLaunching\x1b[0m x");
  assertEquals(renderMarkup("[dim]a[cyan]b[/cyan]c[/dim]"), "\x1b[2ma\x1b[36mb\x1b[0m\x1b[2mc\x1b[0m");
  assertEquals(plainMarkup("\\[x] [1/3] [list] [bold]y[/bold] [/nope]"), "[x] [1/3] [list] y [/nope]");
  assertEquals(renderMarkup("[bold]open"), "\x1b[1mopen\x1b[0m");
});

Deno.test("Terminal.confirm follows the yes/no rules", async () => {
  const test = testTerminal({ answers: ["maybe", "YES", "f", "", ""] });
  const { terminal } = test;
  assertEquals(await terminal.confirm("Go?", { default: false }), true);
  assertEquals(test.out(), "Go? [y/N]: maybe\nError: invalid input\nGo? [y/N]: YES\n");
  assertEquals(await terminal.confirm("Go?", { default: true }), false);
  assertEquals(await terminal.confirm("Go?", { default: true }), true);
  assertEquals(await terminal.confirm("Go?", { default: false }), false);
  const eof = await assertRejects(() => terminal.confirm("Go?", { default: true }), SkyError);
  assertEquals(eof.code, "aborted");
});

Deno.test("Terminal.prompt offers its default and asks again for nothing", async () => {
  const test = testTerminal({ answers: ["", "x", ""] });
  assertEquals(await test.terminal.prompt("Name"), "x");
  assertEquals(await test.terminal.prompt("Name", { default: "d" }), "d");
  assertEquals(test.out(), "Name: \nName: x\nName [d]: \n");
});

Deno.test("A waiting prompt ends at Ctrl+C", async () => {
  const interrupt = new AbortController();
  const test = testTerminal({ hang: true, signal: interrupt.signal });
  const asked = assertRejects(() => test.terminal.confirm("Go?", { default: true }), SkyError);
  interrupt.abort();
  assertEquals((await asked).code, "aborted");
});

Deno.test("Answers may arrive together", async () => {
  const { terminal } = createTestOverText("y\r\nno\nlast");
  assertEquals(await terminal.confirm("1", { default: false }), true);
  assertEquals(await terminal.confirm("2", { default: true }), false);
  assertEquals(await terminal.prompt("3"), "last");
});

Deno.test("requireYes aborts on no and asks nothing with -y", async () => {
  const test = testTerminal({ answers: ["n"] });
  await requireYes(test.terminal, "Go?", { default: true, skip: true });
  assertEquals(test.out(), "");
  const error = await assertRejects(() => requireYes(test.terminal, "Go?", { default: true }), SkyError);
  assertEquals(error.code, "aborted");
});

Deno.test("The spinner stays below what is printed and restores the cursor", () => {
  const test = testTerminal({ tty: true });
  const { terminal } = test;
  terminal.spinner("[bold cyan]Launching[/]");
  terminal.line("one");
  terminal.bytes(encode("no newline yet"));
  terminal.bytes(encode(" now\n"));
  terminal.restore();
  terminal.restore();
  assertEquals(
    // deno-lint-ignore no-control-regex -- colours are taken out, cursor movements are what is looked at
    test.out().replaceAll(/\x1b\[3[26]m|\x1b\[[01]m/g, ""),
    "\x1b[?25l⠋ Launching" + "\r\x1b[2Kone\n⠋ Launching" + "\r\x1b[2Kno newline yet now\n⠋ Launching" +
      "\r\x1b[2K\x1b[?25h",
  );
});

Deno.test("The spinner never wraps and is silent without a terminal", () => {
  const narrow = testTerminal({ tty: true, env: { COLUMNS: "12" } });
  narrow.terminal.spinner("[bold]a very long message[/]\nsecond");
  assertStringIncludes(narrow.text(), "⠋ a very lo\r\nsecond");
  narrow.terminal.restore();
  assert(narrow.out().endsWith("\r\x1b[2K\x1b[1A\x1b[2K\x1b[?25h"));
  const piped = testTerminal();
  piped.terminal.spinner("x");
  piped.terminal.spinner(null);
  assertEquals(piped.out(), "");
});

Deno.test("The progress bar prints its final state once when piped", () => {
  const test = testTerminal();
  test.terminal.progress("Terminating 2 clusters", 0, 2);
  test.terminal.line("Terminating cluster a...done.");
  test.terminal.progress("Terminating 2 clusters", 2, 2);
  assertEquals(
    test.out(),
    `Terminating cluster a...done.\nTerminating 2 clusters ${"━".repeat(40)} 100% 0:00:00\n`,
  );
  const failed = testTerminal();
  failed.terminal.progress("Terminating 2 clusters", 0, 2, { final: true });
  assertEquals(failed.out(), `Terminating 2 clusters ${" ".repeat(40)}   0% -:--:--\n`);
});

Deno.test("The progress bar stays on the screen of a terminal", () => {
  const test = testTerminal({ tty: true });
  test.terminal.progress("Stopping 2 clusters", 0, 2);
  test.terminal.line("Stopping cluster a...done.");
  test.terminal.progress("Stopping 2 clusters", 2, 2);
  assert(test.out().includes("\x1b[?25h"));
  assert(test.text().endsWith(`Stopping 2 clusters ${"━".repeat(40)} 100% 0:00:00\n`));
});

Deno.test("A closed pipe is thrown at every write and kept out of restore", () => {
  const { terminal } = createTestOverText("", { broken: true });
  assertThrows(() => terminal.line("x"), Deno.errors.BrokenPipe);
  assertThrows(() => terminal.line("x"), Deno.errors.BrokenPipe);
  terminal.restore();
});

Deno.test("A slow pipe gets every byte", () => {
  const got: number[] = [];
  let busy = true;
  const { terminal } = createTestOverText("", {
    write: (data) => {
      busy = !busy;
      if (!busy) throw new Deno.errors.WouldBlock();
      got.push(...data.subarray(0, 3));
      return Math.min(3, data.length);
    },
  });
  terminal.line("hello world");
  assertEquals(decode(Uint8Array.from(got)), "hello world\n");
});

Deno.test("json is indented and ends with a newline", () => {
  const test = testTerminal({ color: true });
  test.terminal.json({ a: [1] });
  assertEquals(test.out(), '{\n  "a": [\n    1\n  ]\n}\n');
});

function createTestOverText(
  stdin: string,
  options: { broken?: boolean; write?: (data: Uint8Array) => number } = {},
) {
  let rest = encode(stdin);
  const sink = {
    writeSync: (data: Uint8Array) => {
      if (options.broken) throw new Deno.errors.BrokenPipe();
      return options.write?.(data) ?? data.length;
    },
    isTerminal: () => false,
  };
  const terminal = createTerminal({
    stdout: sink,
    stderr: sink,
    stdin: {
      read: (buffer) => {
        if (rest.length === 0) return Promise.resolve(null);
        const size = Math.min(2, rest.length, buffer.length);
        buffer.set(rest.subarray(0, size));
        rest = rest.subarray(size);
        return Promise.resolve(size);
      },
    },
    env: () => undefined,
    signal: new AbortController().signal,
    now: () => 0,
  });
  return { terminal };
}
