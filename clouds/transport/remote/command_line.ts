/**
 * Shell text as one command line that every login shell reads alike, be it sh, bash, zsh, fish or csh. Pure.
 * Single quotes mean the same to all of them only without quote, backslash pairs, `!` and line breaks inside,
 * so these become octal escapes, which the POSIX shell behind it takes back with `printf %b`.
 */
import { SkyError } from "../../../core/errors.ts";
import { quote } from "../job_files.ts";

/** What the kernel takes as one argument is 128 KiB. */
const LONGEST = 120_000;

/** Throws invalid_argument for text with NUL in it, or too long. */
export function commandLine(script: string): string {
  const line = `exec /bin/sh -c 'eval "$(printf %b "$1")"' sky '${escapeText(script)}'`;
  if (line.length > LONGEST) {
    throw new SkyError("invalid_argument", "Cannot run a command on a node: its arguments are too long");
  }
  return line;
}

/** `text` for `printf %b`: one line of harmless characters. */
export function escapeText(text: string): string {
  if (text.includes("\0")) {
    throw new SkyError("invalid_argument", "Cannot run a command on a node: NUL in its arguments");
  }
  let escaped = "";
  for (const byte of new TextEncoder().encode(text)) {
    const plain = byte >= 32 && byte < 127 && byte !== 33 && byte !== 39 && byte !== 92;
    escaped += plain ? String.fromCharCode(byte) : `\\0${byte.toString(8).padStart(3, "0")}`;
  }
  return escaped;
}

/** `set -- 'a' 'b'` for positional arguments. */
export function setArguments(args: readonly string[]): string {
  return ["set --", ...args.map(quote)].join(" ");
}
