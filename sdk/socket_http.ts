/**
 * A short HTTP/1.1 exchange over a unix socket, by hand: connect, ask, read to the end, close. `fetch` would take three
 * times as long to get going, which is a good part of a short command. Streams, TCP and TLS are fetch's (http.ts).
 */
import { ConnectionFailure } from "./timing.ts";

export interface SocketExchange {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly signal: AbortSignal;
}

const CRLF = "\r\n";
const utf8 = new TextEncoder();

/** As much of a Response as a short answer is asked for: the real one takes a millisecond to get going. */
export type ShortAnswer =
  & Pick<Response, "status" | "statusText" | "ok" | "redirected" | "url">
  & { readonly headers: Pick<Headers, "get" | "has">; text(): Promise<string> };

/** The whole answer. Throws ConnectionFailure, or the signal's reason. */
export async function socketExchange(path: string, exchange: SocketExchange): Promise<ShortAnswer> {
  const { signal } = exchange;
  signal.throwIfAborted();
  let connection: Deno.UnixConn;
  try {
    connection = await Deno.connect({ transport: "unix", path });
  } catch (error) {
    throw new ConnectionFailure("connect", error);
  }
  // Ends a read or write that waits.
  const leave = () => connection.close();
  signal.addEventListener("abort", leave, { once: true });
  try {
    await writeAll(connection, utf8.encode(requestText(exchange)));
    return parseAnswer(await readToEnd(connection));
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (error instanceof ConnectionFailure) throw error;
    throw new ConnectionFailure("cut", error);
  } finally {
    signal.removeEventListener("abort", leave);
    if (!signal.aborted) connection.close();
  }
}

function requestText({ method, target, headers, body }: SocketExchange): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${header(value)}${CRLF}`);
  const length = body === undefined ? "" : `Content-Length: ${utf8.encode(body).length}${CRLF}`;
  return `${method} ${target} HTTP/1.1${CRLF}Host: localhost${CRLF}Connection: close${CRLF}` +
    `${lines.join("")}${length}${CRLF}${body ?? ""}`;
}

/** Nothing that a header must not hold: a line break in one would be a header of its own. */
function header(value: string): string {
  if (!/^[\t\x20-\x7e]*$/.test(value)) throw new TypeError("A header holds what it must not");
  return value;
}

async function writeAll(connection: Deno.UnixConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

async function readToEnd(connection: Deno.UnixConn): Promise<Uint8Array<ArrayBuffer>> {
  let bytes = new Uint8Array(16 * 1024);
  let length = 0;
  for (;;) {
    const count = await connection.read(bytes.subarray(length));
    if (count === null) return bytes.subarray(0, length);
    length += count;
    if (length < bytes.length) continue;
    const larger = new Uint8Array(bytes.length * 4);
    larger.set(bytes);
    bytes = larger;
  }
}

/** Throws ConnectionFailure when the bytes are not a whole answer. */
export function parseAnswer(bytes: Uint8Array<ArrayBuffer>): ShortAnswer {
  const end = endOfHead(bytes);
  const [first = "", ...lines] = latin1(bytes.subarray(0, end)).split(CRLF);
  const [, code, statusText = ""] = /^HTTP\/1\.\d (\d{3})(?: (.*))?$/.exec(first) ?? [];
  if (code === undefined) throw cut();
  const fields = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const headers = {
    get: (name: string) => fields.get(name.toLowerCase()) ?? null,
    has: (name: string) => fields.has(name.toLowerCase()),
  };
  const rest = bytes.subarray(end + 4);
  const chunked = headers.get("transfer-encoding")?.toLowerCase() === "chunked";
  const body = chunked ? unchunked(rest) : rest;
  const length = headers.get("content-length");
  if (!chunked && length !== null && body.length !== Number(length)) throw cut();
  const status = Number(code);
  const text = () => Promise.resolve(new TextDecoder().decode(body));
  return { status, statusText, ok: status >= 200 && status < 300, headers, text, redirected: false, url: "" };
}

/** Where the empty line that ends the head begins. */
function endOfHead(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(13); at >= 0; at = bytes.indexOf(13, at + 1)) {
    if (bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at;
  }
  throw cut();
}

function unchunked(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(bytes.length);
  let length = 0;
  for (let at = 0;;) {
    const end = bytes.indexOf(13, at);
    const [digits] = /^[0-9a-f]+/i.exec(end < 0 ? "" : latin1(bytes.subarray(at, end))) ?? [];
    if (digits === undefined) throw cut();
    const size = Number.parseInt(digits, 16);
    if (size === 0) return whole.subarray(0, length);
    const from = end + 2;
    at = from + size + 2;
    if (at > bytes.length) throw cut();
    whole.set(bytes.subarray(from, from + size), length);
    length += size;
  }
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function cut(): ConnectionFailure {
  return new ConnectionFailure("cut", new Error("The answer ended early"));
}
