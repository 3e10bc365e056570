/** Context: what every verb below the server is given. Pure types; requests/run.ts makes the real one. */
import type { SkyConfig } from "./config.ts";

export interface User {
  /** SkyPilot's user hash, e.g. `fcd1e5cf`. */
  readonly id: string;
  readonly name: string;
}

/** Where a running request writes. Lines go to the request's log file; status drives the client's spinner. */
export interface Log {
  /** Append one line (a newline is added). ANSI colours are allowed. */
  line(text: string): void;
  /** Show, change (text) or hide (null) the spinner. Text is rich markup, e.g. `[bold cyan]Launching[/]`. */
  status(message: string | null): void;
}

export interface Context {
  readonly requestId: string;
  readonly user: User;
  readonly workspace: string;
  /** `SKYPILOT_*` variables of the caller. Holds secrets: never log it. */
  readonly env: Readonly<Record<string, string>>;
  /** Server config overlaid by the caller's. */
  readonly config: SkyConfig;
  /** The caller's command line, secrets redacted, e.g. `sky launch -c c1 task.yaml`. */
  readonly command: string;
  /** Aborted on cancel and on drain; its reason says why. Goes to everything that waits. */
  readonly signal: AbortSignal;
  readonly log: Log;
  /**
   * Do a named piece of work at most once over all attempts of this request: a finished step's JSON result is
   * kept on disk and returned without running `work` again. A step that was cut short runs again, so `work`
   * must find what its half-done self made (by a name derived from `requestId`).
   */
  step<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Unix time in milliseconds. */
  now(): number;
}
