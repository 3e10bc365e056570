/** Decoration of streams and texts: rich markup → ANSI, ANSI taken out of bytes. Printing is terminal.ts's. Pure. */
import { stripAnsi } from "../core/ansi.ts";

const CODES: Readonly<Record<string, number>> = {
  bold: 1,
  dim: 2,
  italic: 3,
  underline: 4,
  black: 30,
  red: 31,
  green: 32,
  yellow: 33,
  blue: 34,
  magenta: 35,
  cyan: 36,
  white: 37,
  bright_black: 90,
};
const TAG = /\\\[|\[(\/?)([a-z_ ]*)\]/g;

/** `[bold cyan]Launching[/]` → ANSI (cli.md §1.6). `\[` is a literal bracket; a tag of unknown words stays text. */
export function renderMarkup(text: string): string {
  const open: { words: string; codes: string }[] = [];
  return text.replace(TAG, (tag, slash: string | undefined, words: string | undefined) => {
    if (tag === "\\[") return "[";
    const name = (words ?? "").trim();
    if (slash === "/") {
      const index = name === "" ? open.length - 1 : open.findLastIndex((one) => one.words === name);
      if (index < 0) return name === "" ? "" : tag;
      open.splice(index, 1);
      return "\x1b[0m" + open.map((one) => one.codes).join("");
    }
    const codes = name.split(/\s+/).map((word) => CODES[word]);
    if (name === "" || codes.includes(undefined)) return tag;
    const entry = { words: name, codes: codes.map((code) => `\x1b[${code}m`).join("") };
    open.push(entry);
    return entry.codes;
  }) + (open.length > 0 ? "\x1b[0m" : "");
}

/** Without tags and ANSI. */
export function plainMarkup(text: string): string {
  return stripAnsi(renderMarkup(text));
}

// deno-lint-ignore no-control-regex -- escape sequences are control characters
const COLOURS = /\x1b\[[0-9;:]*m/g;

/** Only colours and weights; cursor movements stay (NO_COLOR on a real terminal). */
export function stripColours(text: string): string {
  return text.replace(COLOURS, "");
}

const ESC = 0x1b;
/** A sequence longer than this is no sequence: it is passed on as it came. */
const LONGEST = 256;

/** Removes escape sequences from a byte stream whatever its chunking. `all: false` removes only colours. */
export class AnsiFilter {
  #held: number[] = [];
  readonly #all: boolean;

  constructor(options: { all: boolean }) {
    this.#all = options.all;
  }

  push(chunk: Uint8Array): Uint8Array {
    if (this.#held.length === 0 && !chunk.includes(ESC)) return chunk;
    const out: number[] = [];
    for (const byte of chunk) {
      if (this.#held.length === 0) {
        if (byte === ESC) this.#held.push(byte);
        else out.push(byte);
        continue;
      }
      this.#held.push(byte);
      const state = sequence(this.#held);
      if (state === "open" && this.#held.length < LONGEST) continue;
      const drop = state === "done" && (this.#all || this.#held.at(-1) === 0x6d);
      if (!drop) out.push(...this.#held);
      this.#held = [];
    }
    return Uint8Array.from(out);
  }
}

/** Is this an unfinished escape sequence, a whole one, or none at all? */
function sequence(bytes: readonly number[]): "open" | "done" | "none" {
  const kind = bytes[1];
  const last = bytes[bytes.length - 1] ?? 0;
  if (kind === 0x5b) { // CSI: ends with @ to ~
    if (bytes.length === 2) return "open";
    if (last >= 0x40 && last <= 0x7e) return "done";
    return last >= 0x20 && last <= 0x3f ? "open" : "none";
  }
  if (kind === 0x5d) { // OSC: ends with BEL or ESC \
    return last === 0x07 || (last === 0x5c && bytes.at(-2) === ESC) ? "done" : "open";
  }
  if (kind === 0x28 || kind === 0x29) return bytes.length === 3 ? "done" : "open";
  return "none";
}
