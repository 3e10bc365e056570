/** Reading bodies of bounded size from peers that may be slow or stop. Owns limits; what a body means is its reader's. */
import { Refused, unprocessable } from "./refusal.ts";

export interface BodyLimits {
  /** Bytes of a JSON body. */
  readonly jsonBytes: number;
  /** Milliseconds without a byte after which a sender is given up. */
  readonly idleMs: number;
}

export const BODY_LIMITS: BodyLimits = { jsonBytes: 16 * 1024 * 1024, idleMs: 30_000 };

/** The body as parsed JSON, null when empty. Throws Refused 413, 408, 422. */
export async function readJson(request: Request, limits: BodyLimits): Promise<unknown> {
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (declared > limits.jsonBytes) throw tooLarge(limits.jsonBytes);
  if (request.body === null) return null;
  if (declared > 0 && declared <= SMALL_BYTES) return parse(await smallBody(request, limits.idleMs));
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of withDeadline(request.body, limits.idleMs)) {
    size += chunk.length;
    if (size > limits.jsonBytes) throw tooLarge(limits.jsonBytes);
    parts.push(chunk);
  }
  if (size === 0) return null;
  return parse(await new Blob(parts as Uint8Array<ArrayBuffer>[]).text());
}

/** Bodies up to this size are read in one piece: nearly all of them, and twice as fast. */
const SMALL_BYTES = 256 * 1024;

async function smallBody(request: Request, limitMs: number): Promise<string> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(tooSlow()), limitMs);
  const text = request.text().catch(() => {
    throw cutOff();
  });
  text.catch(() => {}); // a sender given up on may be cut off later, when nobody waits for it any more
  try {
    return await Promise.race([text, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The same bytes, but a pause of more than `idleMs` becomes Refused 408. Cancelled when its reader stops. */
export function withDeadline(body: ReadableStream<Uint8Array>, idleMs: number): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { promise: late, reject } = Promise.withResolvers<never>();
      const timer = setTimeout(
        () => reject(new Refused(408, "The request body did not arrive in time")),
        idleMs,
      );
      try {
        const { done, value } = await Promise.race([reader.read(), late]);
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        reader.cancel(error).catch(() => {}); // the sender is gone or too slow, there is nobody to tell
        throw error instanceof Refused ? error : cutOff();
      } finally {
        clearTimeout(timer);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // RangeError: nested deeper than the parser's stack.
    if (!(error instanceof SyntaxError) && !(error instanceof RangeError)) throw error;
    throw unprocessable([{ loc: ["body"], msg: "JSON decode error", type: "json_invalid" }]);
  }
}

function tooSlow(): Refused {
  return new Refused(408, "The request body did not arrive in time");
}

function cutOff(): Refused {
  return new Refused(400, "The request body was cut off");
}

function tooLarge(limit: number): Refused {
  return new Refused(413, `The request body exceeds ${limit} bytes`);
}
