/**
 * `GET /api/stream` (wire.md §4.3, §5.3): a request's log, or a log file of the server, live, in the form the caller
 * can read. Owns what is followed and in which form; the stream itself is streams/.
 */
import type { Context as HonoContext, Hono } from "hono";
import { FRAMES_TYPE, HEADERS } from "../../api/wire.ts";
import { SkyError } from "../../core/errors.ts";
import type { AppEnv, Deps } from "../deps.ts";
import { SHUTTING_DOWN } from "../middleware.ts";
import { Query } from "../query.ts";
import { Refused } from "../refusal.ts";
import { consoleEncoder, type Encoder, framesEncoder, plainEncoder } from "../streams/encoder.ts";
import { logPage } from "../streams/page.ts";
import { pump } from "../streams/pump.ts";
import { fileSource } from "./log_path.ts";
import { requestSource } from "./request_source.ts";
import type { Ask, Subject } from "./subject.ts";

export type Form = "console" | "plain" | "html" | "frames";

export function streamRoutes(app: Hono<AppEnv>, deps: Deps): void {
  app.get("/api/stream", async (c) => {
    const query = new Query(c.req.url);
    const path = query.text("log_path");
    const asked = query.text("request_id");
    if (path !== null && asked !== null) {
      throw new Refused(400, "Only one of request_id and log_path can be provided");
    }
    if (deps.draining.aborted) throw new Refused(503, SHUTTING_DOWN);
    const form = formOf(query, c.req.header("user-agent") ?? "");
    const ask = askOf(query);
    if (path !== null) {
      const subject = await fileSource(path, ask, deps);
      return form === "html" ? page(c, path) : respond(subject, { form, query, deps, name: path });
    }
    const id = asked === null ? await newestRequest(deps) : await deps.engine.resolve(asked);
    if (form === "html") return page(c, id);
    const subject = await requestSource(id, ask, deps);
    const response = respond(subject, { form, query, deps, name: `${id}.log` });
    response.headers.set(HEADERS.streamRequestId, asked ?? id);
    return response;
  });
}

/** `follow`, `tail`, `offset` of a query; a tail of 0 or less means all. */
export function askOf(query: Query): Ask {
  const tail = query.int("tail");
  const offset = query.int("offset") ?? 0;
  if (offset < 0) throw new Refused(400, "offset must not be negative");
  return { follow: query.flag("follow", true), tail: tail === null || tail <= 0 ? null : tail, offset };
}

function formOf(query: Query, agent: string): Form {
  const format = query.choice("format", ["auto", "plain", "html", "console", "frames"], "auto");
  if (query.text("download") !== null) return "plain";
  if (format !== "auto") return format;
  if (/mozilla|chrome|safari|edge/i.test(agent)) return "html";
  // People at a shell: control lines are nothing to look at. SkyPilot's own client always says what it wants.
  return /^(curl|wget)\//i.test(agent) ? "plain" : "console";
}

async function newestRequest(deps: Deps): Promise<string> {
  const [newest] = await deps.engine.list({ allStatus: true, limit: 1, brief: true });
  if (newest === undefined) throw new SkyError("request_not_found", "No request found");
  return newest.id;
}

/** The encoder of a form for a subject. */
export function encoderOf(form: Form, { offset, history }: Pick<Subject, "offset" | "history">): Encoder {
  if (form === "frames") return framesEncoder(offset);
  return form === "plain" ? plainEncoder() : consoleEncoder({ skipControls: history });
}

/** Headers of every log stream. `no-transform` also keeps Deno from compressing, which would buffer. */
export function streamHeaders(form: Form): Headers {
  return new Headers({
    "Content-Type": form === "frames" ? FRAMES_TYPE : "text/plain; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
  });
}

function respond(
  subject: Subject,
  { form, query, deps, name }: { form: Form; query: Query; deps: Deps; name: string },
): Response {
  const headers = streamHeaders(form);
  const { heartbeatMs, beatMs, pollMs } = deps.timing;
  let body = pump(subject.source, encoderOf(form, subject), {
    beatMs: form === "frames" ? beatMs : heartbeatMs,
    pollMs,
    open: deps.streams,
  });
  if (query.text("download") !== null) {
    headers.set("Content-Disposition", `attachment; filename="${fileName(query.text("download") ?? name)}"`);
  }
  if (query.text("compress") === "gz" && form !== "frames") {
    headers.set("Content-Type", "application/gzip");
    body = gzipped(body);
  }
  return new Response(body as ReadableStream<Uint8Array<ArrayBuffer>>, { headers });
}

/** One gzip member; nothing at all for nothing. */
function gzipped(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let packed: ReadableStreamDefaultReader<Uint8Array> | null = null;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (packed === null) {
        const { done, value } = await reader.read();
        if (done) return controller.close();
        packed = rest(value).pipeThrough(new CompressionStream("gzip")).getReader();
      }
      const { done, value } = await packed.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => (packed ?? reader).cancel(reason),
  }, { highWaterMark: 0 });

  function rest(first: Uint8Array): ReadableStream<Uint8Array<ArrayBuffer>> {
    let next: Uint8Array | null = first;
    return new ReadableStream({
      async pull(controller) {
        const { done, value } = next === null ? await reader.read() : { done: false, value: next };
        next = null;
        if (done) controller.close();
        else controller.enqueue(value as Uint8Array<ArrayBuffer>);
      },
      cancel: (reason) => reader.cancel(reason),
    });
  }
}

function fileName(text: string): string {
  return text.replace(/[^A-Za-z0-9._-]/g, "_").slice(0, 200);
}

function page(c: HonoContext<AppEnv>, title: string): Response {
  const { html, policy } = logPage(title);
  return c.html(html, 200, { "Content-Security-Policy": policy, "Cache-Control": "no-store" });
}
