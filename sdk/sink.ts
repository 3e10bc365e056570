/** Where followed logs go. */

export interface LogSink {
  /** Raw log bytes, in order, cut anywhere. */
  data(bytes: Uint8Array): void;
  /** Spinner text in rich markup, e.g. `[bold cyan]Launching[/]`; null hides it. */
  status(message: string | null): void;
}

/** A sink that forgets everything. */
export const NO_SINK: LogSink = { data() {}, status() {} };

/** Throws from inside a sink (e.g. a closed pipe) are the caller's and must not look like a cut stream. */
export class SinkFailure extends Error {
  constructor(cause: unknown) {
    super("the sink of a log failed", { cause });
  }
}

/** The sink with its errors marked as SinkFailure. */
export function guarded(sink: LogSink): LogSink {
  const guard = <A>(act: (arg: A) => void) => (arg: A) => {
    try {
      act(arg);
    } catch (error) {
      throw new SinkFailure(error);
    }
  };
  return {
    data: guard((bytes: Uint8Array) => sink.data(bytes)),
    status: guard((m: string | null) => sink.status(m)),
  };
}
