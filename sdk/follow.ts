/** Opening the log streams: of a request or a file (GET), of a job or a provisioning (POST). Cuts: stream.ts. */
import { FRAMES_TYPE } from "../api/wire.ts";
import type { Exchange } from "./exchange.ts";
import type { Http } from "./http.ts";
import type { LogSink } from "./sink.ts";
import { followLog, type StreamEnd } from "./stream.ts";

export interface FollowOptions {
  /** Bytes of the log already seen. Only our servers can start anywhere. */
  offset?: number;
  /** Last lines only; 0 or null: all. */
  tail?: number | null;
  /** False: what is there now. */
  follow?: boolean;
  signal?: AbortSignal;
}

/** Follow `{ request_id }` or `{ log_path }`. */
export async function followSubject(
  http: Http,
  subject: Readonly<Record<string, string>>,
  sink: LogSink,
  options: FollowOptions,
): Promise<StreamEnd> {
  const follow = options.follow ?? true;
  const first = options.offset ?? null;
  return await followLog({
    sink,
    follow,
    timing: http.timing,
    signal: options.signal,
    repeatable: (options.tail ?? 0) === 0,
    open: async (reached) => {
      const offset = reached ?? first;
      const tail = reached === null ? options.tail : null;
      const ask = (format: "frames" | "console") =>
        http.send({
          method: "GET",
          path: "/api/stream",
          query: { ...subject, follow, format, tail, offset: format === "frames" ? offset : null },
          headers: { Accept: FRAMES_TYPE },
          signal: options.signal,
          limit: http.timing.silence,
          waitBusy: false,
          accept: format === "frames" ? [422] : [],
          revive: "follow",
        });
      if (http.own !== false) {
        const response = await ask("frames");
        if (response.status !== 422) return response;
        await response.body?.cancel(); // an official server: it knows no frames and no offsets
      }
      return await ask("console");
    },
  });
}

export interface PostPlan {
  readonly follow: boolean;
  readonly repeatable: boolean;
  readonly signal: AbortSignal | undefined;
  /** The question from a byte offset; null: as first asked. Every attempt is a new request. */
  exchange(offset: number | null): Exchange;
}

/** Follow a stream that is the answer to a POST. */
export function followPost(http: Http, sink: LogSink, plan: PostPlan): Promise<StreamEnd> {
  return followLog({
    sink,
    follow: plan.follow,
    repeatable: plan.repeatable,
    timing: http.timing,
    signal: plan.signal,
    open: (offset) => {
      const exchange = plan.exchange(offset);
      return http.send({
        ...exchange,
        headers: { ...exchange.headers, Accept: FRAMES_TYPE },
        signal: plan.signal,
        limit: http.timing.silence,
        repeat: "safe",
      });
    },
  });
}
