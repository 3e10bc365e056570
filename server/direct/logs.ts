/**
 * Streaming operations (`/logs`, wire.md §5.4, §6.11): the request runs inside its exchange, its answer is the job's
 * log, and the client leaving cancels it.
 */
import type { Context as HonoContext } from "hono";
import type { Operation } from "../../api/operation.ts";
import { FRAMES_TYPE, HEADERS } from "../../api/wire.ts";
import { isFinal } from "../../core/request.ts";
import type { AppEnv, Deps } from "../deps.ts";
import type { LogSource } from "../streams/pump.ts";
import { pump } from "../streams/pump.ts";
import { submit } from "../submit.ts";
import { encoderOf, type Form, streamHeaders } from "./stream.ts";

export async function answerStreaming(
  operation: Operation,
  c: HonoContext<AppEnv>,
  deps: Deps,
): Promise<Response> {
  const { id, user } = await submit(operation, c, deps);
  const form: Form = (c.req.header("accept") ?? "").includes(FRAMES_TYPE) ? "frames" : "console";
  const gone = new AbortController();
  const over = deps.engine.wait(id, gone.signal);
  over.catch(() => {}); // without a reader nobody asks how it ended
  let done = false;
  const source: LogSource = {
    open: () => deps.exchanges.receive(id, over),
    async end() {
      // The work waits until its log is through; only then can it give its result.
      deps.exchanges.close(id);
      const record = await over;
      done = isFinal(record.status);
      const result: unknown = record.result === null ? null : JSON.parse(record.result);
      return { status: record.status, exitCode: typeof result === "number" ? result : null, notice: null };
    },
    closed() {
      gone.abort();
      if (done) return;
      // Cancelled first: a work that is let go of before would end as if its log had been read.
      deps.engine.cancel({ ids: [id] }, user)
        .catch((error) => deps.log.fault(`cancel ${id}`, error))
        .finally(() => deps.exchanges.close(id));
    },
  };
  const { beatMs, heartbeatMs } = deps.timing;
  const body = pump(source, encoderOf(form, { offset: 0, history: 0 }), {
    beatMs: form === "frames" ? beatMs : heartbeatMs,
    open: deps.streams,
    repeat: true,
  });
  const headers = streamHeaders(form);
  headers.set(HEADERS.requestId, id);
  return new Response(body as ReadableStream<Uint8Array<ArrayBuffer>>, { headers });
}
