/**
 * A server that answers from a recorded conversation: to each question with the answer that was given to the same
 * question then, once. What was never asked is answered 418 and kept in `strange`.
 */
import { assertEquals } from "@std/assert";
import { type Conversation, type GoldenBody, goldenBody, type GoldenExchange, type Scrub } from "./golden.ts";
import { fromBase64 } from "../../api/pickle.ts";

/** The id that stands for a number when a record is replayed to a client. */
export function replayId(number: number): string {
  return `${String(number).padStart(8, "0")}-0000-4000-8000-000000000000`;
}

export class RecordedServer implements AsyncDisposable {
  /** Questions that the record does not know. */
  readonly strange: string[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #scrub: Scrub | null = null;
  #left: GoldenExchange[] = [];

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#answer(request),
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Answer from this conversation from now on. */
  play(conversation: Conversation, scrub: Scrub): void {
    this.#left = [...conversation.exchanges];
    this.#scrub = scrub;
    this.strange.length = 0;
  }

  /** What was asked in the record and not asked again. */
  get unasked(): string[] {
    return this.#left.map(({ method, path }) => `${method} ${path}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const scrub = this.#scrub!;
    const { pathname, search } = new URL(request.url);
    const path = scrub.text(pathname + search);
    const body = goldenBody(new Uint8Array(await request.arrayBuffer()), scrub);
    const found = this.#left.findIndex((exchange) =>
      exchange.method === request.method && exchange.path === path && sameBody(exchange.body, body)
    );
    const [exchange] = found < 0 ? [] : this.#left.splice(found, 1);
    if (exchange === undefined) {
      this.strange.push(`${request.method} ${path} ${JSON.stringify(body)}`);
      return new Response("never asked", { status: 418 });
    }
    if (exchange.status === 0) {
      // The client did not wait for the answer.
      await new Promise((left) => request.signal.addEventListener("abort", left, { once: true }));
      return new Response(null, { status: 502 });
    }
    const headers = new Headers(
      Object.entries(exchange.answerHeaders).map(([name, value]) => [name, this.#live(value)]),
    );
    return new Response(bytesOf(exchange.answer, (text) => this.#live(text)), {
      status: exchange.status,
      headers,
    });
  }

  #live(text: string): string {
    return text
      .replace(/<id-(\d+)>/g, (_, number) => replayId(Number(number)))
      .replace(/<short-(\d+)>/g, (_, number) => replayId(Number(number)).slice(0, 8))
      .replaceAll("<server>", this.url);
  }
}

/** Bytes of an archive hold times: which files they are, the path already tells. */
function sameBody(recorded: GoldenBody, asked: GoldenBody): boolean {
  if (recorded !== null && "base64" in recorded) return asked !== null && "base64" in asked;
  try {
    assertEquals(asked, recorded);
    return true;
  } catch {
    return false; // another question with the same path
  }
}

/** A recorded body with this machine's words in it. */
export function bytesOf(body: GoldenBody, live: (text: string) => string): Uint8Array<ArrayBuffer> | null {
  if (body === null) return null;
  if ("base64" in body) return fromBase64(body.base64) as Uint8Array<ArrayBuffer>;
  const text = "text" in body ? body.text : JSON.stringify(body.json);
  return new TextEncoder().encode(live(text));
}
