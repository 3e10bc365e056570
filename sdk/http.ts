/**
 * One exchange with the server: headers, unix socket, time limits, retries (wire.md §3.1, §3.5) and the translation
 * of failures into SkyErrors. What is asked, and what an answer means, is the caller's.
 */
import { API_VERSION, HEADERS, peerVersion, VERSION } from "../api/wire.ts";
import { SkyError } from "../core/errors.ts";
import { answerError, unreachable, withoutPassword } from "./answers.ts";
import { backoff, pause } from "./pause.ts";
import { failureOf, TimedOut, type Timing, within } from "./timing.ts";

/** Where the server is. With a socket, the endpoint is only what people are shown. */
export interface Target {
  readonly endpoint: string;
  readonly socket: string | null;
}

/** Called when the server cannot be reached: start or find it again; null: leave it. */
export type Revive = (reason: "submit" | "follow") => Promise<Target | null>;

export interface HttpOptions extends Target {
  readonly token: string | null;
  /** Value of the Cookie header for a URL; used only without a token. */
  readonly cookies: ((url: URL) => string | null) | null;
  readonly clientType: string | null;
  readonly fetch: typeof fetch;
  readonly timing: Timing;
  readonly revive: Revive | null;
  /** Tells people that the client waits, and (null) that it no longer does. */
  readonly notice: (message: string | null) => void;
}

export interface Exchange {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** Undefined and null values are left out; arrays are repeated. */
  readonly query?: Readonly<Record<string, unknown>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** A raw body, made anew for every attempt. */
  readonly body?: () => BodyInit | Promise<BodyInit>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until the headers of the answer must be here; null: no limit. Default `timing.answer`. */
  readonly limit?: number | null;
  /** Whether a repeat cannot do harm. `own`: only if the server is ours (it honours Idempotency-Key). */
  readonly repeat?: "safe" | "own" | "never";
  /** Wait out 503 answers. Default true. */
  readonly waitBusy?: boolean;
  /** Statuses that the caller wants to see; all other errors are thrown. */
  readonly accept?: readonly number[];
  /** Why the server may be started when it is not there. */
  readonly revive?: "submit" | "follow";
  /** Chunk uploads carry no version headers (wire.md §2.1). */
  readonly bare?: boolean;
}

// Deno's RequestInit has a `client` that the DOM's lacks.
type Init = RequestInit & { client?: Deno.HttpClient };

export class Http {
  readonly #options: HttpOptions;
  #target: Target;
  #client: Deno.HttpClient | null = null;
  /** Null until the first answer. */
  #own: boolean | null;

  constructor(options: HttpOptions) {
    this.#options = options;
    this.#target = { endpoint: options.endpoint, socket: options.socket };
    // only our own server listens on a socket
    this.#own = options.socket === null ? null : true;
  }

  get endpoint(): string {
    return this.#target.endpoint;
  }

  /** The endpoint as people may see it. */
  get shown(): string {
    return withoutPassword(this.#target.endpoint);
  }

  get timing(): Timing {
    return this.#options.timing;
  }

  /** Whether the server is ours; null before the first answer of a server on TCP. */
  get own(): boolean | null {
    return this.#own;
  }

  /**
   * Do an exchange. The answer's body is the caller's to read or cancel. Throws server_unreachable, auth_required,
   * version_mismatch, timeout, server_busy, or whatever error the answer tells.
   */
  async send(exchange: Exchange): Promise<Response> {
    const { timing } = this.#options;
    const started = performance.now();
    const spent = () => performance.now() - started;
    let busyTries = 0;
    let cutTries = 0;
    let revived = false;
    let sentOnce = false;
    for (;;) {
      let response: Response;
      try {
        response = await this.#attempt(exchange);
      } catch (error) {
        const failure = failureOf(error);
        if (failure === null) throw error;
        sentOnce ||= failure !== "connect";
        if (failure === "connect" && exchange.revive !== undefined && !revived) {
          revived = true;
          if (await this.#revive(exchange.revive)) continue;
        }
        const allowed = failure === "connect" && !sentOnce
          ? spent() < timing.connect
          : this.#mayRepeat(exchange) &&
            spent() < timing.resend;
        if (!allowed) {
          if (failure === "timeout") throw error;
          throw unreachable(this.#target.endpoint, { cause: error, sent: sentOnce });
        }
        await pause(backoff(cutTries++, { first: 50, factor: 2, cap: 1_000 }), exchange.signal);
        continue;
      }
      if (response.status === 503 && exchange.waitBusy !== false && spent() < timing.busyTotal) {
        const error = await answerError(response, this.#target.endpoint);
        this.#options.notice(error.message);
        const wait = backoff(busyTries++, {
          first: timing.busyFirst,
          factor: 1.6,
          cap: timing.busyCap,
          jitter: 0.4,
        });
        await pause(wait, exchange.signal).finally(() => this.#options.notice(null));
        continue;
      }
      if (response.ok || exchange.accept?.includes(response.status)) return response;
      throw await answerError(response, this.#target.endpoint);
    }
  }

  /** The parsed JSON of an exchange. Throws server_unreachable when the answer is no JSON. */
  async json(exchange: Exchange): Promise<unknown> {
    const { value } = await this.jsonAnswer(exchange);
    return value;
  }

  /** As `json`, with the headers. A body that is cut is asked for again where a repeat is safe. */
  async jsonAnswer(exchange: Exchange): Promise<{ value: unknown; response: Response }> {
    for (let tries = 0;; tries++) {
      const response = await this.send(exchange);
      let text: string;
      try {
        text = await within(
          response.text(),
          exchange.limit === undefined ? this.timing.answer : exchange.limit,
        );
      } catch (error) {
        if (exchange.signal?.aborted) throw exchange.signal.reason;
        if (tries < 5 && this.#mayRepeat(exchange)) continue;
        throw unreachable(this.#target.endpoint, { cause: error, sent: true });
      }
      try {
        return { value: JSON.parse(text), response };
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        throw new SkyError(
          "server_unreachable",
          `The answer of ${this.shown}${exchange.path} is not from a SkyPilot API server`,
          { cause: error, details: response.redirected ? { redirectedTo: response.url } : {} },
        );
      }
    }
  }

  /** Let go of connections. */
  close(): void {
    this.#client?.close();
    this.#client = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #mayRepeat(exchange: Exchange): boolean {
    const repeat = exchange.repeat ?? (exchange.method === "GET" ? "safe" : "never");
    return repeat === "safe" || (repeat === "own" && this.#own === true);
  }

  async #revive(reason: "submit" | "follow"): Promise<boolean> {
    const target = await this.#options.revive?.(reason) ?? null;
    if (target === null) return false;
    this.close();
    this.#target = target;
    return true;
  }

  async #attempt(exchange: Exchange): Promise<Response> {
    const limit = exchange.limit === undefined ? this.#options.timing.answer : exchange.limit;
    const timer = new AbortController();
    const timeout = limit === null ? undefined : setTimeout(() => timer.abort(new TimedOut(limit)), limit);
    const signal = exchange.signal === undefined
      ? timer.signal
      : AbortSignal.any([exchange.signal, timer.signal]);
    try {
      const url = this.#url(exchange);
      const init: Init = {
        method: exchange.method,
        headers: this.#headers(exchange, url),
        signal,
        ...await bodyOf(exchange),
      };
      const client = this.#httpClient();
      if (client !== null) init.client = client;
      const response = await this.#options.fetch(url, init);
      if (this.#own === null || response.headers.has(HEADERS.server)) {
        this.#own = response.headers.has(HEADERS.server);
      }
      peerVersion(response.headers, "server");
      return response;
    } catch (error) {
      if (exchange.signal?.aborted) throw exchange.signal.reason;
      throw error;
    } finally {
      clearTimeout(timeout);
    }
  }

  #httpClient(): Deno.HttpClient | null {
    const path = this.#target.socket;
    if (path === null || this.#options.fetch !== globalThis.fetch) return null;
    this.#client ??= Deno.createHttpClient({ proxy: { transport: "unix", path } });
    return this.#client;
  }

  #url(exchange: Exchange): string {
    const base = new URL(this.#target.socket === null ? this.#target.endpoint : "http://localhost");
    base.username = "";
    base.password = "";
    const url = new URL(base.href.replace(/\/+$/, "") + exchange.path);
    for (const [key, value] of Object.entries(exchange.query ?? {})) {
      for (const item of Array.isArray(value) ? value : [value]) {
        if (item !== null && item !== undefined) url.searchParams.append(key, String(item));
      }
    }
    return url.href;
  }

  #headers(exchange: Exchange, url: string): Record<string, string> {
    const { token, cookies, clientType } = this.#options;
    const headers: Record<string, string> = { ...exchange.headers };
    if (exchange.bare !== true) {
      headers[HEADERS.apiVersion] = String(API_VERSION);
      headers[HEADERS.version] = VERSION;
      if (clientType !== null) headers[HEADERS.clientType] = clientType;
    }
    if (exchange.json !== undefined) headers["Content-Type"] = "application/json";
    const { username, password } = new URL(this.#target.endpoint);
    if (token !== null) headers["Authorization"] = `Bearer ${token}`;
    else if (username !== "") {
      headers["Authorization"] = `Basic ${
        btoa(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`)
      }`;
    }
    if (token === null) {
      const cookie = cookies?.(new URL(url)) ?? null;
      if (cookie !== null) headers["Cookie"] = cookie;
    }
    return headers;
  }
}

async function bodyOf(exchange: Exchange): Promise<{ body?: BodyInit }> {
  if (exchange.body !== undefined) return { body: await exchange.body() };
  return exchange.json === undefined ? {} : { body: JSON.stringify(exchange.json) };
}
