/** Fakes for the sdk's tests: a fetch made of a plain Request → Response function, and clients over it. */
import { encodeFrame, type Frame } from "../../api/frames.ts";
import type { RequestPayload } from "../../api/requests.ts";
import { FRAMES_TYPE, HEADERS, VERSION, versionHeaders } from "../../api/wire.ts";
import { createSky, type LogSink, type Sky, type SkyOptions } from "../../sdk/client.ts";
import type { Timing } from "../../sdk/timing.ts";

export const QUICK: Timing = {
  answer: 2_000,
  connect: 60,
  resend: 1_000,
  busyFirst: 1,
  busyCap: 4,
  busyTotal: 2_000,
  streamFirst: 1,
  streamCap: 4,
  silence: 2_000,
  consoleSilence: 2_000,
  get: 2_000,
};

export type Answer = (request: Request, url: URL) => Response | Promise<Response>;

/** A fetch that never leaves the process. It obeys the signal, as the real one does. */
export function fetchOf(answer: Answer): typeof fetch {
  return async (input, init) => {
    const { signal } = init as { signal?: AbortSignal };
    const request = new Request(input, init as RequestInit);
    const aborted = new Promise<never>((_, reject) => {
      const fail = () => reject(signal?.reason);
      if (signal?.aborted) fail();
      else signal?.addEventListener("abort", fail, { once: true });
    });
    aborted.catch(() => {}); // only one of the two is awaited
    return await Promise.race([answer(request, new URL(request.url)), aborted]);
  };
}

export function makeSky(answer: Answer, options: Partial<SkyOptions> = {}): Sky {
  return createSky({
    endpoint: "http://sky.test:46580",
    user: { id: "fcd1e5cf", name: "alice" },
    env: () => undefined,
    config: {},
    command: "sky test",
    remote: true,
    fetch: fetchOf(answer),
    timing: QUICK,
    ...options,
  });
}

/** Headers of our server; those of an official one lack `X-Sky-Server`. */
export function ours(headers: Record<string, string> = {}): Record<string, string> {
  return { ...versionHeaders(), [HEADERS.server]: VERSION, ...headers };
}

export function payload(over: Partial<RequestPayload> = {}): RequestPayload {
  return {
    request_id: "11111111-1111-4111-8111-111111111111",
    name: "sky.test",
    entrypoint: "gAROLg==",
    request_body: "gAROLg==",
    status: "SUCCEEDED",
    created_at: 1,
    user_id: "fcd1e5cf",
    return_value: "null",
    error: "null",
    pid: null,
    schedule_type: "short",
    user_name: null,
    cluster_name: null,
    status_msg: null,
    should_retry: false,
    finished_at: 2,
    file_mounts_blob_id: null,
    ...over,
  };
}

/** What a dropped connection looks like to a caller of fetch. */
export function connectionLost(): TypeError {
  return new TypeError("error sending request for url (x): client error (SendRequest): connection closed");
}

export function connectionRefused(): TypeError {
  return new TypeError(
    "error sending request for url (x): client error (Connect): Connection refused (os error 111)",
  );
}

/** A body of these bytes in chunks of `size`, which is cut (as a lost connection) after `cut` bytes. */
export function bodyOf(
  bytes: Uint8Array,
  options: { size?: number; cut?: number } = {},
): ReadableStream<Uint8Array> {
  const { size = 7, cut = Infinity } = options;
  let at = 0;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      const to = Math.min(at + size, cut, bytes.length);
      if (to > at) controller.enqueue(bytes.subarray(at, to));
      at = to;
      if (at >= cut) controller.error(new TypeError("error reading a body from connection"));
      else if (at >= bytes.length) controller.close();
    },
  }, { highWaterMark: 0 });
}

export function framesBody(frames: readonly Frame[]): Uint8Array<ArrayBuffer> {
  const parts = frames.map(encodeFrame);
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function framed(body: BodyInit, headers: Record<string, string> = {}): Response {
  return new Response(body, { headers: ours({ "Content-Type": FRAMES_TYPE, ...headers }) });
}

/** Remembers what a log showed. */
export class Shown implements LogSink {
  readonly bytes: number[] = [];
  readonly statuses: (string | null)[] = [];

  data(bytes: Uint8Array): void {
    for (const byte of bytes) this.bytes.push(byte);
  }
  status(message: string | null): void {
    this.statuses.push(message);
  }
  get text(): string {
    return new TextDecoder().decode(Uint8Array.from(this.bytes));
  }
}

/** Reproducible random numbers below 1. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}
