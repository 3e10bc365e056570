/** The look of what is repainted at the bottom of the terminal: spinner frames and progress bar (cli.md §1.6). Pure. */
import { stripAnsi } from "../core/ansi.ts";
import type { Style } from "./terminal.ts";

const FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";
const BAR_CELLS = 40;

export function spinnerFrame(tick: number): string {
  return FRAMES[tick % FRAMES.length] ?? "";
}

export interface Progress {
  readonly label: string;
  readonly done: number;
  readonly total: number;
  /** Milliseconds since it began: the time left is reckoned from it. */
  readonly spentMs: number;
}

/** `Stopping 2 clusters ━━━…━ 100% 0:00:00`. */
export function progressBar(style: Style, { label, done, total, spentMs }: Progress): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const filled = Math.round(share * BAR_CELLS);
  // Without colours the cells to come are blank, or nobody could tell them from the others.
  const plain = style.brightBlack("━") === "━";
  const rest = (plain ? " " : "━").repeat(BAR_CELLS - filled);
  const cells = style.green("━".repeat(filled)) + style.brightBlack(rest);
  const percent = `${Math.round(share * 100)}`.padStart(3);
  const left = share === 1 ? 0 : share === 0 ? null : spentMs * (1 - share) / share / 1000;
  return `${style.bold(style.cyan(label))} ${cells} ${percent}% ${clock(left)}`;
}

/** Seconds as `h:mm:ss`. */
function clock(seconds: number | null): string {
  if (seconds === null) return "-:--:--";
  const whole = Math.ceil(seconds);
  const two = (value: number) => `${value}`.padStart(2, "0");
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

/** A live line must not wrap, or it could not be erased. Escape sequences have no width. */
export function cropToWidth(line: string, width: number): string {
  if (stripAnsi(line).length <= width) return line;
  let shown = 0;
  // deno-lint-ignore no-control-regex -- escape sequences are control characters
  return line.replace(/\x1b\[[0-9;]*m|[\s\S]/gu, (piece) => {
    if (piece.startsWith("\x1b[")) return piece;
    return ++shown <= width ? piece : "";
  });
}
