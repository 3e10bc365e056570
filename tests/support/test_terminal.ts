/** A terminal over buffers: the real one with other file descriptors. */
import { createTerminal, type Sink, type Terminal } from "../../cli/terminal.ts";
import { stripAnsi } from "../../core/ansi.ts";
import type { Env } from "../../core/paths.ts";

export interface TestTerminal {
  readonly terminal: Terminal;
  /** Everything written to stdout so far, ANSI included. */
  out(): string;
  err(): string;
  /** stdout without ANSI. */
  text(): string;
}

export interface TestTerminalOptions {
  /** Default false. A true one paints spinners (and needs `restore()` at the end). */
  tty?: boolean;
  color?: boolean;
  /** What the person types, one entry per line, echoed as a terminal does; then EOF. */
  answers?: readonly string[];
  signal?: AbortSignal;
  /** Instead of EOF after the answers: wait until the signal. */
  hang?: boolean;
  env?: Record<string, string>;
}

export function testTerminal(options: TestTerminalOptions = {}): TestTerminal {
  const out: string[] = [];
  const err: string[] = [];
  const sink = (pieces: string[], tty: boolean): Sink => {
    const decoder = new TextDecoder();
    return {
      writeSync: (data) => {
        pieces.push(decoder.decode(data, { stream: true }));
        return data.length;
      },
      isTerminal: () => tty,
    };
  };
  const answers = [...(options.answers ?? [])];
  const environment: Record<string, string> = { COLUMNS: "80", ...options.env };
  if (options.color === true) environment.FORCE_COLOR = "1";
  const env: Env = (name) => environment[name];
  const terminal = createTerminal({
    stdout: sink(out, options.tty ?? false),
    stderr: sink(err, options.tty ?? false),
    stdin: {
      read: (buffer) => {
        const answer = answers.shift();
        if (answer === undefined) {
          return options.hang === true ? new Promise(() => {}) : Promise.resolve(null);
        }
        out.push(answer + "\n");
        return Promise.resolve(new TextEncoder().encodeInto(answer + "\n", buffer).written);
      },
    },
    env,
    signal: options.signal ?? new AbortController().signal,
    now: () => 0,
  });
  return {
    terminal,
    out: () => out.join(""),
    err: () => err.join(""),
    text: () => stripAnsi(out.join("")),
  };
}
