/** Questions: reading lines from standard input, yes/no rules (cli.md §1.5). Printing is terminal.ts's. */
import { SkyError } from "../core/errors.ts";
import { orAborted } from "./interrupt.ts";
import type { Terminal } from "./terminal.ts";

export interface LineSource {
  read(buffer: Uint8Array): Promise<number | null>;
}

/** Lines of standard input, kept between questions (`yes | sky down …`, `printf 'y\nn\n' | …`). */
export class LineReader {
  readonly #source: LineSource;
  readonly #decoder = new TextDecoder();
  #rest = "";
  #ended = false;

  constructor(source: LineSource) {
    this.#source = source;
  }

  /** The next line without its end; null at EOF. Throws `aborted` when the signal fires first. */
  async next(signal: AbortSignal): Promise<string | null> {
    const buffer = new Uint8Array(4096);
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0 || (this.#ended && this.#rest !== "")) {
        const cut = end >= 0 ? end : this.#rest.length;
        const line = this.#rest.slice(0, cut);
        this.#rest = this.#rest.slice(cut + 1);
        return line.endsWith("\r") ? line.slice(0, -1) : line;
      }
      if (this.#ended) return null;
      const size = await orAborted(this.#source.read(buffer), signal);
      if (size === null) this.#ended = true;
      else this.#rest += this.#decoder.decode(buffer.subarray(0, size), { stream: true });
    }
  }
}

const YES = ["y", "yes", "true", "t", "1", "on"];
const NO = ["n", "no", "false", "f", "0", "off"];

/** True or false; the default for an empty answer; null for anything else: ask again. */
export function parseYesNo(answer: string, byDefault: boolean): boolean | null {
  const word = answer.trim().toLowerCase();
  if (word === "") return byDefault;
  if (YES.includes(word)) return true;
  return NO.includes(word) ? false : null;
}

/** Ask, and throw `aborted` unless the answer is yes. `skip` (the -y flag) asks nothing. */
export async function requireYes(
  out: Terminal,
  question: string,
  options: { default: boolean; skip?: boolean },
): Promise<void> {
  if (options.skip === true) return;
  if (!(await out.confirm(question, { default: options.default }))) throw new SkyError("aborted", "Aborted!");
}
