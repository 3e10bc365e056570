/**
 * A way to run POSIX shell text on a machine: all that RemoteRunner needs of a kind of infrastructure. Owns the
 * interface alone; pipe_shell.ts makes one of any program that carries a command's input and output (ssh, srun).
 */
import type { RunResult } from "../../cloud.ts";

export interface ShellOptions {
  /** Positional arguments of the script, any text without NUL. Never secrets: `ps` shows them. */
  readonly args?: readonly string[];
  /** Standard input of the script, closed after it. The only place for secrets. */
  readonly stdin?: string | Uint8Array;
  readonly signal: AbortSignal;
  /** Bytes kept of each output stream; the rest is dropped. Default 1 MiB. */
  readonly maxOutput?: number;
  /** Milliseconds after which it is ended and SkyError("timeout") thrown. Default: never. */
  readonly timeoutMs?: number;
  /** `<processes dir>/<request id>`, where local children are recorded (process.ts); null for none. */
  readonly processes?: string | null;
}

export interface DetachOptions extends ShellOptions {
  /**
   * Shell text that runs before, with the same arguments, and is the one that is given `stdin`. Its exit code
   * must be 0: else nothing is started and its code and output are the result. On shared file systems it may
   * run on another machine than the script.
   */
  readonly first?: string;
}

export interface OpenOptions extends Omit<ShellOptions, "stdin" | "maxOutput"> {
  readonly stdin?: ReadableStream<Uint8Array>;
  /** It ends by itself with its input and does nothing: on abort no proof of its end is sought. */
  readonly harmless?: boolean;
}

export interface OpenShell {
  /** To be read or cancelled. Fails if the connection breaks before all of it came. */
  readonly stdout: ReadableStream<Uint8Array>;
  /**
   * Settles when it is over: code, and the beginning of stderr (stdout is ''). Rejects as `exec` does, and with
   * the signal's reason. Never an unhandled rejection.
   */
  readonly ended: Promise<RunResult>;
}

export interface NodeShell {
  /** For messages, e.g. `10.77.0.1` or `n1 of slurm cluster t`. */
  readonly name: string;
  /**
   * Run `script`, constant text of ours. Its exit code is a result. Throws network when the machine can't be
   * reached or the connection broke before the exit code was received; permission_denied when it lets us not
   * in; on abort the signal's reason, after the remote process group was ended and that proven (at most 8 s;
   * if it can't be proven a note goes to the log). The script dies with its connection.
   */
  exec(script: string, options: ShellOptions): Promise<RunResult>;
  /** Long-lived output. Cancelling `stdout`, or the signal, ends the remote process. */
  open(script: string, options: OpenOptions): Promise<OpenShell>;
  /**
   * Start a script that outlives the connection and us, in a session of its own where possible, without input.
   * Back, with code 0 and what it printed, once it has closed its standard output and errors (which it must).
   */
  detach(script: string, options: DetachOptions): Promise<RunResult>;
  /**
   * For programs that start a remote shell themselves, as rsync's `-e` does: `argv` takes a host's name (which
   * doesn't matter) and a command. A place of the connection's limited sessions is held while `use` runs.
   */
  rsh?(use: (client: RemoteClient) => Promise<void>, options: { signal: AbortSignal }): Promise<void>;
}

export interface RemoteClient {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}
