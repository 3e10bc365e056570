/**
 * The log of a running request: lines and spinner as they are stored in its file (wire.md §5.1, §16.10), control
 * lines encoded. Leaves files and followers to state/, the wording to whoever writes.
 */
import { encodeControl, escapePayload } from "../api/frames.ts";
import type { Log } from "../core/context.ts";

const utf8 = new TextEncoder();

/** Makes the `log` of a Context out of a place to append bytes to. */
export function makeLog(append: (bytes: Uint8Array) => void): Log {
  const spinner = new SpinnerLines();
  return {
    line: (text) => append(utf8.encode(`${escapePayload(text)}\n`)),
    status(message) {
      const text = spinner.status(message);
      if (text !== "") append(utf8.encode(text));
    },
  };
}

/** Turns wished spinner states into control lines: only what changes something is written. */
export class SpinnerLines {
  #made = false;
  #shown = false;
  #message: string | null = null;

  /** Control lines that lead to this message (null: hidden); empty when it is so already. */
  status(message: string | null): string {
    if (message === null) {
      if (!this.#shown) return "";
      this.#shown = false;
      return encodeControl("rich_stop");
    }
    const changed = message !== this.#message;
    this.#message = message;
    let text = "";
    if (!this.#made) text += encodeControl("rich_init", message);
    else if (changed) text += encodeControl("rich_update", message);
    if (!this.#shown) text += encodeControl("rich_start", message);
    this.#made = true;
    this.#shown = true;
    return text;
  }
}
