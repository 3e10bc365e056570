/** ANSI colour codes as plain text functions. Whether a terminal wants them is the caller's to decide. Pure. */

function code(open: number): (text: string) => string {
  return (text) => `\x1b[${open}m${text}\x1b[0m`;
}

export const bold = code(1);
export const dim = code(2);
export const red = code(31);
export const green = code(32);
export const yellow = code(33);
export const blue = code(34);
export const magenta = code(35);
export const cyan = code(36);
export const white = code(37);
export const brightBlack = code(90);
export const RESET = "\x1b[0m";

// CSI sequences (colours, cursor), OSC sequences (titles, links) and the two-character escapes.
// deno-lint-ignore no-control-regex -- escape characters are what is looked for
const ANSI = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])/g;

/** The text without escape sequences. */
export function stripAnsi(text: string): string {
  return text.includes("\x1b") ? text.replace(ANSI, "") : text;
}
