/**
 * A tap on the wire: a loopback HTTP proxy that passes every exchange on as it flows and keeps both halves of it. What
 * is left out of the record (hop headers, machine facts) is normal.ts's; who talks is record_wire.ts's.
 */

/** One exchange as it was seen, nothing normalised. */
export interface Taped {
  readonly method: string;
  /** Path with query. */
  readonly target: string;
  readonly requestHeaders: Headers;
  readonly requestBody: Uint8Array;
  status: number;
  responseHeaders: Headers;
  responseBody: Uint8Array;
  /** The client left before the answer's end. */
  cut: boolean;
}

const HOP = ["connection", "keep-alive", "transfer-encoding", "te", "upgrade", "host", "content-length"];

export class Tap implements AsyncDisposable {
  #taped: Taped[] = [];
  readonly #target: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  /** `target` is the server's URL without a slash at its end. */
  constructor(target: string) {
    this.#target = target;
    this.#server = Deno.serve(
      {
        hostname: "127.0.0.1",
        port: 0,
        onListen: () => {},
        // The client left, or the server is gone: the other side shall see just that.
        onError: () => new Response(null, { status: 502 }),
      },
      (request) => this.#pass(request),
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** What was seen since the last call, in the order in which it was asked. */
  take(): Taped[] {
    const taped = this.#taped;
    this.#taped = [];
    return taped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #pass(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const body = new Uint8Array(await request.arrayBuffer());
    const taped: Taped = {
      method: request.method,
      target: pathname + search,
      requestHeaders: new Headers(request.headers),
      requestBody: body,
      status: 0,
      responseHeaders: new Headers(),
      responseBody: new Uint8Array(),
      cut: false,
    };
    this.#taped.push(taped);
    const answer = await fetch(this.#target + taped.target, {
      method: request.method,
      headers: without(request.headers),
      ...(body.length > 0 ? { body } : {}),
      redirect: "manual",
      signal: request.signal,
    });
    taped.status = answer.status;
    taped.responseHeaders = new Headers(answer.headers);
    const headers = without(answer.headers);
    // what was compressed on the way here is plain now
    headers.delete("content-encoding");
    return new Response(answer.body === null ? null : keep(answer.body, taped), {
      status: answer.status,
      headers,
    });
  }
}

/** The body as it passes, copied. */
function keep(body: ReadableStream<Uint8Array>, taped: Taped): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  taped.cut = true;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) {
        taped.cut = false;
        controller.close();
        return;
      }
      const joined = new Uint8Array(taped.responseBody.length + value.length);
      joined.set(taped.responseBody);
      joined.set(value, taped.responseBody.length);
      taped.responseBody = joined;
      controller.enqueue(value);
    },
    async cancel(reason) {
      await reader.cancel(reason);
    },
  });
}

function without(headers: Headers): Headers {
  const kept = new Headers(headers);
  for (const name of HOP) kept.delete(name);
  return kept;
}
