/**
 * Following a log over cuts: reopen where it stopped, until its end marker (frames) or the clean end of the body
 * (console text of official servers). Gives up after three failures in a row without progress (wire.md §3.5).
 */
import { type Frame, FrameParser, nextOffset } from "../api/frames.ts";
import { FRAMES_TYPE, HEADERS } from "../api/wire.ts";
import { isSkyError, SkyError } from "../core/errors.ts";
import { ConsoleDecoder, type ConsolePlace } from "./console.ts";
import { backoff, pause } from "./pause.ts";
import { guarded, type LogSink, SinkFailure } from "./sink.ts";
import { failureOf, type Timing } from "./timing.ts";

const MAX_FAILURES = 3;

/** How a stream ended. Nulls where the server did not say: ask `/api/get`. */
export interface StreamEnd {
  readonly status: string | null;
  readonly exitCode: number | null;
  /** The request of a streaming submission. */
  readonly requestId: string | null;
}

export interface FollowPlan {
  /** Ask for the stream from a byte offset; null: as first asked for. */
  open(offset: number | null): Promise<Response>;
  readonly sink: LogSink;
  readonly timing: Timing;
  /** Ends only when what is followed is over: then an end marker that says otherwise is a cut. */
  readonly follow: boolean;
  /** Whether a console stream may be asked for again from its start. */
  readonly repeatable: boolean;
  readonly signal: AbortSignal | undefined;
}

interface Place extends ConsolePlace {
  /** Null until a frame told it. */
  offset: number | null;
  moved: boolean;
}

/**
 * Follow until the end. Throws stream_cut when it cannot be followed to its end, the error of the answer when the
 * server refuses it, the signal's reason when aborted, and whatever the sink throws.
 */
export async function followLog(plan: FollowPlan): Promise<StreamEnd> {
  const place: Place = { offset: null, lines: 0, moved: false };
  const sink = guarded(plan.sink);
  for (let failures = 0;;) {
    place.moved = false;
    let cut: SkyError;
    let asked = false;
    try {
      const end = await followOnce(plan, sink, place);
      if (end !== "retry") return end;
      asked = true;
      cut = new SkyError("stream_cut", "The SkyPilot API server interrupted the log stream");
    } catch (error) {
      if (plan.signal?.aborted) throw plan.signal.reason;
      if (error instanceof SinkFailure) throw error.cause;
      cut = asCut(error);
    }
    failures = place.moved ? 1 : failures + 1;
    if (failures >= MAX_FAILURES || (place.lines > 0 && !plan.repeatable)) throw cut;
    const { streamFirst: first, streamCap: cap } = plan.timing;
    if (!asked) await pause(backoff(failures - 1, { first, factor: 1.6, cap }), plan.signal);
  }
}

const TRANSIENT = ["stream_cut", "server_busy", "server_unreachable", "network", "timeout"] as const;

/** The failure as stream_cut or server_unreachable, if trying again may help. Throws the others. */
function asCut(error: unknown): SkyError {
  if (isSkyError(error)) {
    const status = error.details["status"];
    if (TRANSIENT.some((code) => code === error.code) || (typeof status === "number" && status >= 500)) {
      return error;
    }
    throw error;
  }
  if (failureOf(error) === null) throw error;
  return new SkyError("stream_cut", "The log stream was cut: the connection was lost", { cause: error });
}

async function followOnce(plan: FollowPlan, sink: LogSink, place: Place): Promise<StreamEnd | "retry"> {
  const response = await plan.open(place.offset);
  const requestId = response.headers.get(HEADERS.requestId);
  const body = response.body;
  if (body === null) throw new SkyError("stream_cut", "The log stream was cut: it has no body");
  const reader = body.getReader();
  const framed = response.headers.get("Content-Type")?.startsWith(FRAMES_TYPE) === true;
  try {
    return framed
      ? await readFrames(plan, sink, place, { reader, requestId })
      : await readConsole(plan, sink, place, { reader, requestId });
  } finally {
    await reader.cancel().catch((error: unknown) => {
      // cancelling a body that already failed fails again: it is over either way
      if (!(error instanceof Error)) throw error;
    });
  }
}

interface Source {
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly requestId: string | null;
}

async function readFrames(plan: FollowPlan, sink: LogSink, place: Place, source: Source): Promise<StreamEnd> {
  const parser = new FrameParser();
  for (;;) {
    const { done, value } = await readWithin(source.reader, plan.timing.silence);
    if (done) throw new SkyError("stream_cut", "The log stream was cut: it ended without its end marker");
    for (const frame of parser.push(value)) {
      const end = take(frame, sink, place);
      if (end === null) continue;
      const over = end.exitCode !== null || (end.status !== "PENDING" && end.status !== "RUNNING");
      if (over || !plan.follow) return { ...end, requestId: source.requestId };
      throw new SkyError("stream_cut", "The log stream was cut: the SkyPilot API server is going away");
    }
  }
}

function take(frame: Frame, sink: LogSink, place: Place): { status: string; exitCode: number | null } | null {
  if (frame.kind === "data") {
    // a reopened stream may begin earlier than asked: never show a byte twice
    const known = place.offset === null ? 0 : Math.max(0, place.offset - frame.offset);
    if (known < frame.bytes.length) sink.data(known === 0 ? frame.bytes : frame.bytes.subarray(known));
  } else if (frame.kind === "status") sink.status(frame.message);
  // a status is sent at once on every connect: it proves nothing
  if (frame.kind === "data" || frame.kind === "beat") place.moved = true;
  place.offset = Math.max(place.offset ?? 0, nextOffset(frame));
  return frame.kind === "end" ? { status: frame.status, exitCode: frame.exitCode } : null;
}

async function readConsole(
  plan: FollowPlan,
  sink: LogSink,
  place: Place,
  source: Source,
): Promise<StreamEnd | "retry"> {
  const before = place.lines;
  const decoder = new ConsoleDecoder(sink, place);
  try {
    for (;;) {
      const { done, value } = await readWithin(source.reader, plan.timing.consoleSilence);
      if (done) break;
      if (decoder.push(value) === "retry") return "retry";
    }
  } finally {
    if (place.lines > before) place.moved = true;
  }
  decoder.end();
  return { status: null, exitCode: null, requestId: source.requestId };
}

/** Read, or throw stream_cut after `ms` milliseconds of silence. */
async function readWithin(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  ms: number,
): Promise<ReadableStreamReadResult<Uint8Array>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new SkyError("stream_cut", `The log stream was cut: nothing came for ${ms / 1000} s`));
    }, ms);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } finally {
    clearTimeout(timer);
  }
}
