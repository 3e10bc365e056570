/** A small HTTP client over raw sockets: cheap enough that the measured thing is the server. */

export interface Target {
  readonly hostname: string;
  readonly port: number;
}

export function targetOf(url: string): Target {
  const { hostname, port } = new URL(url);
  return { hostname, port: Number(port) };
}

const BODY = JSON.stringify({
  env_vars: { SKYPILOT_USER_ID: "be7c0000", SKYPILOT_USER: "bench" },
  entrypoint: "bench",
  entrypoint_command: "bench",
});

/** One keep-alive connection; `exchange` sends a request and resolves with status and body length seen. */
export class Connection implements Disposable {
  readonly #conn: Deno.Conn;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #left = "";

  private constructor(conn: Deno.Conn) {
    this.#conn = conn;
    this.#reader = conn.readable.getReader();
  }

  static async open(target: Target): Promise<Connection> {
    return new Connection(await Deno.connect(target));
  }

  async post(path: string, extra: Record<string, unknown> = {}): Promise<number> {
    const body = JSON.stringify({ ...JSON.parse(BODY), ...extra });
    return await this.exchange(
      `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${new TextEncoder().encode(body).length}\r\n\r\n${body}`,
    );
  }

  get(path: string): Promise<number> {
    return this.exchange(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
  }

  /** The HTTP status. Bodies by Content-Length or chunked are read to their end. */
  async exchange(request: string): Promise<number> {
    await this.#conn.write(new TextEncoder().encode(request));
    let text = this.#left;
    while (!text.includes("\r\n\r\n")) text += await this.#more();
    const end = text.indexOf("\r\n\r\n") + 4;
    const head = text.slice(0, end);
    let body = text.slice(end);
    const length = /content-length: (\d+)/i.exec(head)?.[1];
    if (length !== undefined) {
      while (body.length < Number(length)) body += await this.#more();
      this.#left = body.slice(Number(length));
    } else if (/transfer-encoding: chunked/i.test(head)) {
      while (!body.endsWith("0\r\n\r\n")) body += await this.#more();
      this.#left = "";
    }
    return Number(head.slice(9, 12));
  }

  async #more(): Promise<string> {
    const { value, done } = await this.#reader.read();
    if (done) throw new Error("Cannot measure: the server closed the connection");
    let text = "";
    for (const byte of value) text += String.fromCharCode(byte); // bytes as they are: only lengths matter
    return text;
  }

  [Symbol.dispose](): void {
    this.#reader.cancel().catch(() => {}); // closing is all that is wanted
  }
}

/** `count` exchanges over `concurrency` connections; latencies in ms. */
export async function hammer(
  target: Target,
  options: {
    count: number;
    concurrency: number;
    one: (connection: Connection, i: number) => Promise<number>;
  },
): Promise<{ latencies: number[]; seconds: number }> {
  const latencies: number[] = [];
  let next = 0;
  const began = performance.now();
  await Promise.all(Array.from({ length: options.concurrency }, async () => {
    using connection = await Connection.open(target);
    while (next < options.count) {
      const i = next++;
      const at = performance.now();
      const status = await options.one(connection, i);
      if (status !== 200) throw new Error(`Cannot measure: HTTP ${status}`);
      latencies.push(performance.now() - at);
    }
  }));
  return { latencies, seconds: (performance.now() - began) / 1000 };
}
