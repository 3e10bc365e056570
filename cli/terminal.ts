/**
 * Terminal: the only place of the program that prints. Owns stdout, stderr, stdin, colour rules (cli.md §1.4),
 * prompts, the spinner and the progress bar. Markup rules are markup.ts's, answer rules prompt.ts's,
 * the look of spinner and bar live_line.ts's.
 */
import { stripAnsi } from "../core/ansi.ts";
import { SkyError } from "../core/errors.ts";
import type { Env } from "../core/paths.ts";
import { cropToWidth, progressBar, spinnerFrame } from "./live_line.ts";
import { AnsiFilter, plainMarkup, renderMarkup, stripColours } from "./markup.ts";
import { LineReader, type LineSource, parseYesNo } from "./prompt.ts";

type Paint = (text: string) => string;

/** Each returns the text decorated, or as it is when the terminal shows no colours. */
export interface Style {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly red: Paint;
  readonly green: Paint;
  readonly yellow: Paint;
  readonly blue: Paint;
  readonly magenta: Paint;
  readonly cyan: Paint;
  readonly white: Paint;
  readonly brightBlack: Paint;
}

export interface Terminal {
  /** Is stdout a terminal? */
  readonly isTty: boolean;
  readonly color: boolean;
  readonly columns: number;
  readonly style: Style;
  /** To stdout with a newline. ANSI is stripped when !color. */
  line(text?: string): void;
  /** To stdout without a newline. */
  write(text: string): void;
  /** Raw log bytes to stdout, ANSI stripped when !color whatever the chunking. */
  bytes(data: Uint8Array): void;
  /** To stderr with a newline. */
  error(text: string): void;
  /** Indented by 2, to stdout. */
  json(value: unknown): void;
  /** Ask until yes or no. Throws `aborted` at EOF and on Ctrl+C; a "no" is the caller's business. */
  confirm(question: string, options: { default: boolean }): Promise<boolean>;
  /** Any text; Enter takes the default. Throws `aborted` at EOF and on Ctrl+C. */
  prompt(question: string, options?: { default?: string }): Promise<string>;
  /** Show or change the spinner (rich markup), null hides it. Silent when stdout is no terminal. */
  spinner(message: string | null): void;
  /**
   * The bar of cli.md §1.6. It stays below what is printed until it is final: at done === total, or when
   * `final` says so (some failed). Without a terminal only the final state is printed.
   */
  progress(label: string, done: number, total: number, options?: { final?: boolean }): void;
  /** Remove spinner and bar, show the cursor. For every way out; may be called twice. */
  restore(): void;
}

/** A file descriptor: Deno.stdout, or a buffer in tests. */
export interface Sink {
  writeSync(data: Uint8Array): number;
  isTerminal(): boolean;
}

export interface TerminalOptions {
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly stdin: LineSource;
  readonly env: Env;
  /** Aborted by Ctrl+C: ends a waiting prompt. */
  readonly signal: AbortSignal;
  now(): number;
}

const FRAME_MS = 80;
const encoder = new TextEncoder();

export function createTerminal(options: TerminalOptions): Terminal {
  return new LiveTerminal(options);
}

class LiveTerminal implements Terminal {
  readonly isTty: boolean;
  readonly color: boolean;
  readonly style: Style;
  readonly #options: TerminalOptions;
  readonly #errorColor: boolean;
  readonly #filter: AnsiFilter;
  readonly #input: LineReader;
  /** What is repainted at the bottom; null for nothing. */
  #live: (() => string) | null = null;
  #paintedLines = 0;
  #atLineStart = true;
  #timer: number | undefined;
  #frame = 0;
  #barSince = 0;
  #brokenPipe = false;

  constructor(options: TerminalOptions) {
    const { env, stdout, stderr } = options;
    const force = (env("FORCE_COLOR") ?? "") !== "";
    const allowed = force || ((env("NO_COLOR") ?? "") === "" && env("TERM") !== "dumb");
    this.#options = options;
    this.isTty = stdout.isTerminal();
    this.color = force || (allowed && this.isTty);
    this.#errorColor = force || (allowed && stderr.isTerminal());
    this.style = makeStyle(this.color);
    this.#filter = new AnsiFilter({ all: !this.isTty });
    this.#input = new LineReader(options.stdin);
  }

  get columns(): number {
    const fromEnv = Number(this.#options.env("COLUMNS"));
    if (Number.isInteger(fromEnv) && fromEnv > 0) return fromEnv;
    if (!this.isTty) return 80;
    try {
      // Some pseudo-terminals have no size and say 0.
      return Deno.consoleSize().columns || 80;
    } catch {
      return 80; // a terminal that does not tell its size
    }
  }

  line(text = ""): void {
    this.write(text + "\n");
  }

  write(text: string): void {
    this.#put(this.#options.stdout, encoder.encode(this.#plain(text)));
  }

  bytes(data: Uint8Array): void {
    this.#put(this.#options.stdout, this.color ? data : this.#filter.push(data));
  }

  error(text: string): void {
    this.#put(this.#options.stderr, encoder.encode((this.#errorColor ? text : stripAnsi(text)) + "\n"));
  }

  json(value: unknown): void {
    this.line(JSON.stringify(value, null, 2));
  }

  async confirm(question: string, options: { default: boolean }): Promise<boolean> {
    for (;;) {
      const answer = parseYesNo(
        await this.#ask(`${question} ${options.default ? "[Y/n]" : "[y/N]"}: `),
        options.default,
      );
      if (answer !== null) return answer;
      this.line("Error: invalid input");
    }
  }

  async prompt(question: string, options: { default?: string } = {}): Promise<string> {
    const shown = options.default === undefined ? "" : ` [${options.default}]`;
    for (;;) {
      const answer = await this.#ask(`${question}${shown}: `);
      if (answer !== "") return answer;
      if (options.default !== undefined) return options.default;
    }
  }

  spinner(message: string | null): void {
    if (!this.isTty) return;
    this.#setLive(
      message === null ? null : () => {
        const text = this.color ? renderMarkup(message) : plainMarkup(message);
        return `${this.style.green(spinnerFrame(this.#frame))} ${text}`;
      },
    );
  }

  progress(label: string, done: number, total: number, options: { final?: boolean } = {}): void {
    const final = options.final ?? done >= total;
    if (this.#live === null) this.#barSince = this.#options.now();
    const bar = () => {
      return progressBar(this.style, { label, done, total, spentMs: this.#options.now() - this.#barSince });
    };
    if (this.isTty) this.#setLive(final ? null : bar);
    if (final) this.line(bar());
  }

  restore(): void {
    if (this.#brokenPipe || this.#live === null) return;
    try {
      this.#setLive(null);
    } catch {
      clearInterval(this.#timer); // the terminal hung up: nothing is left to restore
    }
  }

  async #ask(question: string): Promise<string> {
    this.#setLive(null);
    this.write(question);
    const answer = await this.#input.next(this.#options.signal);
    this.#atLineStart = true; // the typed newline was echoed by the terminal
    if (answer === null) throw new SkyError("aborted", "Aborted!");
    return answer;
  }

  #plain(text: string): string {
    if (this.color) return text;
    return this.isTty ? stripColours(text) : stripAnsi(text).replaceAll("\r\n", "\n");
  }

  #setLive(live: (() => string) | null): void {
    const { stdout } = this.#options;
    if (live !== null && this.#live === null) {
      writeAll(stdout, encoder.encode("\x1b[?25l"));
      this.#timer = setInterval(() => this.#tick(), FRAME_MS);
    }
    this.#erase();
    if (live === null && this.#live !== null) {
      clearInterval(this.#timer);
      writeAll(stdout, encoder.encode("\x1b[?25h"));
    }
    this.#live = live;
    this.#paint();
  }

  #tick(): void {
    this.#frame++;
    try {
      this.#erase();
      this.#paint();
    } catch {
      clearInterval(this.#timer); // the terminal is gone; the next real write says so
    }
  }

  #paint(): void {
    if (this.#live === null || !this.#atLineStart) return;
    const lines = this.#live().split("\n").map((line) => cropToWidth(line, this.columns - 1));
    this.#paintedLines = lines.length;
    writeAll(this.#options.stdout, encoder.encode(lines.join("\r\n")));
  }

  #erase(): void {
    if (this.#paintedLines === 0) return;
    const up = "\x1b[1A\x1b[2K".repeat(this.#paintedLines - 1);
    this.#paintedLines = 0;
    writeAll(this.#options.stdout, encoder.encode("\r\x1b[2K" + up));
  }

  #put(sink: Sink, data: Uint8Array): void {
    if (data.length === 0) return;
    if (this.#brokenPipe) throw new Deno.errors.BrokenPipe();
    try {
      this.#erase();
      writeAll(sink, data);
      if (sink === this.#options.stdout || sink.isTerminal()) this.#atLineStart = data.at(-1) === 0x0a;
      this.#paint();
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) {
        this.#brokenPipe = true;
        clearInterval(this.#timer);
      }
      throw error;
    }
  }
}

function makeStyle(color: boolean): Style {
  const paint = (code: number): Paint => (text) =>
    color && text !== "" ? `\x1b[${code}m${text}\x1b[0m` : text;
  return {
    bold: paint(1),
    dim: paint(2),
    red: paint(31),
    green: paint(32),
    yellow: paint(33),
    blue: paint(34),
    magenta: paint(35),
    cyan: paint(36),
    white: paint(37),
    brightBlack: paint(90),
  };
}

/** A pipe may take less than offered, or (when someone made it non-blocking) nothing for a while. */
function writeAll(sink: Sink, data: Uint8Array): void {
  let rest = data;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(sink.writeSync(rest));
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
}
