/**
 * One exchange with the server: headers, unix socket, time limits, retries (wire.md §3.1, §3.5) and the translation
 * of failures into SkyErrors. What is asked, and what an answer means, is the caller's.
 */
import { API_VERSION, HEADERS, peerVersion, VERSION } from "../api/wire.ts";
import { SkyError } from "../core/errors.ts";
import { unreachable, withoutPassword } from "./answers.ts";
import type { Exchange, HttpOptions, Target } from "./exchange.ts";
import { backoff, pause } from "./pause.ts";
import { type ShortAnswer, socketExchange } from "./socket_http.ts";
import { failureOf, TimedOut, type Timing, within } from "./timing.ts";

/** What a request over a socket calls its host. */
const LOCALHOST = "http://localhost";

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
    return await this.#send(exchange, (signal) => this.#fetch(exchange, signal));
  }

  /** As `send`, for answers that are read whole anyway: quicker over a socket. */
  async sendShort(exchange: Exchange): Promise<ShortAnswer> {
    return await this.#send<ShortAnswer>(
      exchange,
      (signal) => this.#overSocket(exchange, signal) ?? this.#fetch(exchange, signal),
    );
  }

  async #send<A extends ShortAnswer>(
    exchange: Exchange,
    go: (signal: AbortSignal) => Promise<A>,
  ): Promise<A> {
    const { timing } = this.#options;
    const started = performance.now();
    const spent = () => performance.now() - started;
    let busyTries = 0;
    let cutTries = 0;
    let revived = false;
    let sentOnce = false;
    for (;;) {
      let response: A;
      try {
        response = await this.#attempt(exchange, go);
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
        const error = await this.#errorOf(response);
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
      throw await this.#errorOf(response);
    }
  }

  /** The parsed JSON of an exchange. Throws server_unreachable when the answer is no JSON. */
  async json(exchange: Exchange): Promise<unknown> {
    const { value } = await this.jsonAnswer(exchange);
    return value;
  }

  /** As `json`, with the headers. A body that is cut is asked for again where a repeat is safe. */
  async jsonAnswer(exchange: Exchange): Promise<{ value: unknown; response: ShortAnswer }> {
    for (let tries = 0;; tries++) {
      const response = await this.sendShort(exchange);
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

  async #errorOf(response: ShortAnswer): Promise<SkyError> {
    const { answerError } = await import("./decode.ts");
    return await answerError(response, this.#target.endpoint);
  }

  async #attempt<A extends ShortAnswer>(
    exchange: Exchange,
    go: (signal: AbortSignal) => Promise<A>,
  ): Promise<A> {
    const limit = exchange.limit === undefined ? this.#options.timing.answer : exchange.limit;
    const timer = new AbortController();
    const timeout = limit === null ? undefined : setTimeout(() => timer.abort(new TimedOut(limit)), limit);
    const signal = exchange.signal === undefined
      ? timer.signal
      : AbortSignal.any([exchange.signal, timer.signal]);
    try {
      const response = await go(signal);
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

  /** Null where it has to be fetch. */
  #overSocket(exchange: Exchange, signal: AbortSignal): Promise<ShortAnswer> | null {
    const path = this.#target.socket;
    if (path === null || exchange.body !== undefined || this.#options.fetch !== globalThis.fetch) return null;
    return socketExchange(path, {
      method: exchange.method,
      target: exchange.query === undefined ? exchange.path : this.#url(exchange).slice(LOCALHOST.length),
      headers: this.#headers(exchange, () => LOCALHOST + exchange.path),
      body: exchange.json === undefined ? undefined : JSON.stringify(exchange.json),
      signal,
    });
  }

  async #fetch(exchange: Exchange, signal: AbortSignal): Promise<Response> {
    const url = this.#url(exchange);
    const init: Init = {
      method: exchange.method,
      headers: this.#headers(exchange, () => url),
      signal,
      ...await bodyOf(exchange),
    };
    const client = this.#httpClient();
    if (client !== null) init.client = client;
    return await this.#options.fetch(url, init);
  }

  #httpClient(): Deno.HttpClient | null {
    const path = this.#target.socket;
    if (path === null || this.#options.fetch !== globalThis.fetch) return null;
    this.#client ??= Deno.createHttpClient({ proxy: { transport: "unix", path } });
    return this.#client;
  }

  #url(exchange: Exchange): string {
    const base = new URL(this.#target.socket === null ? this.#target.endpoint : LOCALHOST);
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

  #headers(exchange: Exchange, url: () => string): Record<string, string> {
    const { token, cookies, clientType } = this.#options;
    const headers: Record<string, string> = { ...exchange.headers };
    if (exchange.bare !== true) {
      headers[HEADERS.apiVersion] = String(API_VERSION);
      headers[HEADERS.version] = VERSION;
      headers[HEADERS.client] = VERSION;
      if (clientType !== null) headers[HEADERS.clientType] = clientType;
    }
    if (exchange.json !== undefined) headers["Content-Type"] = "application/json";
    const { endpoint } = this.#target;
    if (token !== null) headers["Authorization"] = `Bearer ${token}`;
    else if (endpoint.includes("@")) {
      const { username, password } = new URL(endpoint);
      const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
      if (username !== "") headers["Authorization"] = `Basic ${btoa(login)}`;
    }
    if (token === null && cookies !== null) {
      const cookie = cookies(new URL(url()));
      if (cookie !== null) headers["Cookie"] = cookie;
    }
    return headers;
  }
}

async function bodyOf(exchange: Exchange): Promise<{ body?: BodyInit }> {
  if (exchange.body !== undefined) return { body: await exchange.body() };
  return exchange.json === undefined ? {} : { body: JSON.stringify(exchange.json) };
}
