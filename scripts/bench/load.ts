/** A small HTTP client over raw sockets: cheap enough that the measured thing is the server. Runs in load_worker.ts. */

export interface Target {
  readonly hostname: string;
  readonly port: number;
}

/** One exchange; `#` in the body stands for its number. */
export interface Exchange {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: Record<string, unknown>;
}

export interface Hammering {
  readonly exchange: Exchange;
  readonly count: number;
  readonly concurrency: number;
  /** Number of the first exchange. */
  readonly from: number;
}

export interface Hammered {
  /** Milliseconds of each exchange. */
  readonly latencies: number[];
  readonly seconds: number;
}

const CALLER = {
  env_vars: { SKYPILOT_USER_ID: "be7c0000", SKYPILOT_USER: "bench" },
  entrypoint: "bench",
  entrypoint_command: "bench",
};
const utf8 = new TextEncoder();
const latin1 = new TextDecoder("latin1"); // bytes as they are: only lengths matter

export function targetOf(url: string): Target {
  const { hostname, port } = new URL(url);
  return { hostname, port: Number(port) };
}

/** The bytes of an exchange. */
export function requestBytes({ method, path, body }: Exchange, number: number): Uint8Array {
  const head = `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n`;
  if (body === undefined) return utf8.encode(`${head}\r\n`);
  const json = JSON.stringify({ ...CALLER, ...body }).replaceAll("#", String(number));
  return utf8.encode(
    `${head}Content-Type: application/json\r\nContent-Length: ${json.length}\r\n\r\n${json}`,
  );
}

/** One keep-alive connection. */
export class Connection implements Disposable {
  readonly #conn: Deno.Conn;
  readonly #buffer = new Uint8Array(64 * 1024);
  #left = "";

  private constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  static async open(target: Target): Promise<Connection> {
    return new Connection(await Deno.connect(target));
  }

  /** The HTTP status. Bodies by Content-Length or chunked are read to their end. */
  async exchange(request: Uint8Array): Promise<number> {
    for (let done = 0; done < request.length;) done += await this.#conn.write(request.subarray(done));
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
    const count = await this.#conn.read(this.#buffer);
    if (count === null) throw new Error("Cannot measure: the server closed the connection");
    return latin1.decode(this.#buffer.subarray(0, count));
  }

  [Symbol.dispose](): void {
    this.#conn.close();
  }
}

/** `count` exchanges over `concurrency` connections. */
export async function hammer(
  target: Target,
  { exchange, count, concurrency, from }: Hammering,
): Promise<Hammered> {
  const latencies: number[] = [];
  let next = 0;
  const began = performance.now();
  await Promise.all(Array.from({ length: concurrency }, async () => {
    using connection = await Connection.open(target);
    while (next < count) {
      const request = requestBytes(exchange, from + next++);
      const at = performance.now();
      const status = await connection.exchange(request);
      if (status !== 200) throw new Error(`Cannot measure: HTTP ${status}`);
      latencies.push(performance.now() - at);
    }
  }));
  return { latencies, seconds: (performance.now() - began) / 1000 };
}

/** Open streams whose lines carry the time at which they were printed, as `@<nanoseconds>@`. */
export class Followers {
  readonly #connections: Deno.Conn[] = [];
  readonly #readers: Promise<void>[] = [];
  #lags: number[] = [];

  /** Resolves when all are connected. */
  async open(target: Target, { exchange, count }: { exchange: Exchange; count: number }): Promise<void> {
    const request = requestBytes(exchange, 0);
    for (let i = 0; i < count; i++) {
      const connection = await Deno.connect(target);
      this.#connections.push(connection);
      await connection.write(request);
      this.#readers.push(this.#read(connection));
      // In small groups: a full backlog would make the kernel try again after a second.
      if (i % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Lags in ms seen since the last time this was asked. */
  take(): number[] {
    const lags = this.#lags;
    this.#lags = [];
    return lags;
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.close();
    await Promise.all(this.#readers);
  }

  async #read(connection: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(4096);
    for (;;) {
      const count = await connection.read(buffer).catch(() => null); // closed by the bench itself
      if (count === null) return;
      const now = performance.timeOrigin + performance.now();
      const text = latin1.decode(buffer.subarray(0, count));
      const end = text.lastIndexOf("@");
      const begin = text.lastIndexOf("@", end - 1);
      if (end - begin === 20) this.#lags.push(now - Number(text.slice(begin + 1, end)) / 1e6);
    }
  }
}
