/**
 * Following what the server does: streams and spinner, what Ctrl+C means while doing so (cli.md §1.10), and the
 * block of --async. The wire is sdk's; what a second Ctrl+C does is main.ts's.
 */
import type { Input, OperationKey, Result } from "../api/operations.ts";
import { SkyError } from "../core/errors.ts";
import type { LogSink, RequestId, Sky } from "../sdk/client.ts";
import type { Io } from "./command.ts";
import { orAborted } from "./interrupt.ts";

/** Where to look for a request, in the words of the lines that tell of it. */
function shortId(id: string): string {
  return id.slice(0, 8);
}

function visitUrl(sky: Sky, id: string): string {
  return `${sky.endpoint}/api/stream?request_id=${shortId(id)}`;
}

/** The block of an asynchronous submit. `label` is e.g. `sky.launch`. */
export function submitted(io: Io, sky: Sky, id: string, label: string): void {
  const { out } = io;
  const { bold, dim, green } = out.style;
  out.line(green(`Submitted ${label} request: ${id}`));
  out.line(dim("├── Check logs with: ") + bold(`sky api logs ${shortId(id)}`));
  out.line(dim(`├── Or, visit: ${visitUrl(sky, id)}`));
  out.line(dim("└── To cancel the request, run: ") + bold(`sky api cancel ${shortId(id)}`));
  out.line();
}

function goesOn(io: Io, sky: Sky, id: string): void {
  const { out } = io;
  const { bold, dim } = out.style;
  out.line("⚙︎ Request will continue running asynchronously.");
  out.line(dim("├── View logs: ") + bold(`sky api logs ${shortId(id)}`));
  out.line(dim(`├── Or, visit: ${visitUrl(sky, id)}`));
  out.line(dim("└── To cancel the request, run: ") + bold(`sky api cancel ${shortId(id)}`));
  out.line();
}

export interface FollowOptions {
  /** Say, at Ctrl+C, that the request goes on and how to come back. Default true; false for quick questions. */
  readonly tellOnInterrupt?: boolean;
  /** End the log with an empty line, unless the server did. */
  readonly gap?: boolean;
  /** Given the log's text as it comes. */
  readonly heard?: (text: string) => void;
}

/**
 * Stream a request's log to the terminal and return its result; throws its error. Ctrl+C leaves it running,
 * says so, and throws `aborted`.
 */
export async function followRequest<R>(
  io: Io,
  sky: Sky,
  id: RequestId<R>,
  options: FollowOptions = {},
): Promise<R> {
  let end = "\n\n";
  const decoder = new TextDecoder();
  try {
    const result = await streaming(io, (sink, signal) => {
      const watched: LogSink = {
        data: (bytes) => {
          options.heard?.(decoder.decode(bytes));
          end = (end + decoder.decode(bytes.subarray(-2))).slice(-2);
          sink.data(bytes);
        },
        status: (message) => sink.status(message),
      };
      return sky.streamAndGet(id, watched, { signal });
    });
    if (options.gap === true && end !== "\n\n") io.out.line();
    return result;
  } catch (error) {
    if (io.signal.aborted && options.tellOnInterrupt !== false) goesOn(io, sky, id);
    throw error;
  }
}

/** Ask something quick: submit and return the result, in one exchange where the server can. Shows no log. */
export async function ask<K extends OperationKey>(
  io: Io,
  sky: Sky,
  key: K,
  input: Input<K>,
): Promise<Result<K>> {
  return await interruptible(io, () => sky.call(key, input, { signal: io.signal }));
}

/** Wait for a submitted request and return its result without showing its log. */
export async function requestResult<R>(io: Io, sky: Sky, id: RequestId<R>): Promise<R> {
  return await interruptible(io, () => sky.get(id, { signal: io.signal }));
}

/** Throws `aborted` at Ctrl+C, whatever the work is doing. */
export async function interruptible<T>(io: Io, work: () => Promise<T>): Promise<T> {
  return await orAborted(work(), io.signal);
}

export interface FollowJob {
  readonly cluster: string;
  /** Null for the latest. */
  readonly jobId: number | null;
  /** Last lines to begin with; 0 for all. */
  readonly tail?: number;
  /** Default true. */
  readonly follow?: boolean;
}

/** Stream a job's log. Returns the exit code that tells how the job ended (cli.md §1.3). The job outlives us. */
export async function followJob(io: Io, sky: Sky, job: FollowJob): Promise<number> {
  const input = {
    cluster_name: job.cluster,
    job_id: job.jobId,
    follow: job.follow ?? true,
    tail: job.tail ?? 0,
  };
  return await streaming(io, (sink, signal) => sky.tailLogs(input, sink, { signal }));
}

/**
 * Run something that writes to the terminal. Ctrl+C becomes `aborted`. A closed pipe ends the stream at once: an
 * error thrown into a stream's reader could be taken for a cut connection and tried again.
 */
export async function streaming<T>(
  io: Io,
  work: (sink: LogSink, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const gone = new AbortController();
  let broken: unknown;
  const sink: LogSink = {
    data: (bytes) => {
      try {
        io.out.bytes(bytes);
      } catch (error) {
        broken ??= error;
        gone.abort(error);
      }
    },
    status: (message) => io.out.spinner(message),
  };
  try {
    return await work(sink, AbortSignal.any([io.signal, gone.signal]));
  } catch (error) {
    if (broken !== undefined) throw broken;
    throw io.signal.aborted ? new SkyError("aborted", "Aborted!") : error;
  } finally {
    io.out.spinner(null);
  }
}
