/**
 * The listeners: a unix socket that only this user can reach, and TCP. Owns addresses and their errors; what is
 * answered is app.ts.
 */
import { delay } from "@std/async/delay";
import type { Hono } from "hono";
import { SkyError } from "../core/errors.ts";
import type { AppEnv } from "./deps.ts";
import { isLoopback } from "./security/peer.ts";

export interface ListenOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Null: none. */
  readonly socket: string | null;
  readonly onError: (error: unknown) => void;
}

export interface Listening {
  readonly url: string;
  readonly port: number;
  /** Waits for open exchanges, cuts off after `graceMs` those that have not ended, and listens no more. */
  close(options: { graceMs: number }): Promise<void>;
}

/** Throws server_start_failed when an address cannot be had. */
export function listen(app: Hono<AppEnv>, options: ListenOptions): Listening {
  const { host, port, socket, onError } = options;
  const failed = (error: unknown) => {
    onError(error);
    return new Response('{"detail":"Internal server error."}', { status: 500 });
  };
  const end = new AbortController();
  const shared = { signal: end.signal, onError: failed, onListen: () => {} };
  const exchanges = new Set<Promise<void>>();
  const answer = (request: Request, info: Deno.ServeHandlerInfo, bindings: AppEnv["Bindings"]) => {
    // The promise rejects when the client leaves early; either way it is over.
    const over = info.completed.catch(() => {}).finally(() => exchanges.delete(over));
    exchanges.add(over);
    return app.fetch(request, bindings);
  };
  const tcp = onTcp(options, () => {
    return Deno.serve(
      { ...shared, hostname: bindable(host), port },
      (request, info) => answer(request, info, { remote: info.remoteAddr, local: tcp.addr }),
    );
  });
  let unix: Deno.HttpServer<Deno.UnixAddr> | null = null;
  try {
    unix = socket === null ? null : onSocket(() => {
      return Deno.serve(
        { ...shared, path: socket },
        (request, info) => answer(request, info, { remote: { transport: "unix", path: socket } }),
      );
    });
  } catch (error) {
    end.abort();
    throw error;
  }
  let closed = false;
  return {
    port: tcp.addr.port,
    url: `http://${shownHost(host)}:${tcp.addr.port}`,
    async close({ graceMs }) {
      if (closed) return;
      closed = true;
      // Danger: Deno's own shutdown waits for open streams without end, and once it was called nothing can cut them
      // off any more (the abort then throws where nobody can catch it). So waiting is done here.
      const late = new AbortController();
      const patience = delay(graceMs, { signal: late.signal }).catch(() => {});
      await Promise.race([Promise.all(exchanges), patience]);
      late.abort();
      end.abort();
      await Promise.all([tcp.finished, unix?.finished]);
    },
  };
}

function onTcp({ host, port }: ListenOptions, serve: () => Deno.HttpServer<Deno.NetAddr>) {
  try {
    return serve();
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      throw startFailed(
        `Cannot listen on ${host}:${port}: another program has the port`,
        "Set SKY_PORT to another port, or end that program",
        error,
      );
    }
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.AddrNotAvailable) {
      throw startFailed(
        `Cannot listen on ${host}:${port}: ${error.message}`,
        "Choose another host or port",
        error,
      );
    }
    throw error;
  }
}

function onSocket<T>(serve: () => T): T {
  // The socket must not exist for a moment with more rights than these.
  const before = Deno.umask(0o177);
  try {
    return serve();
  } finally {
    Deno.umask(before);
  }
}

/** Whether a unix socket can be had at this path: Windows has none, and their paths are short. */
export function canHaveSocket(path: string): boolean {
  const longest = Deno.build.os === "darwin" ? 103 : 107;
  return Deno.build.os !== "windows" && new TextEncoder().encode(path).length <= longest;
}

function startFailed(message: string, hint: string, cause?: unknown): SkyError {
  return new SkyError("server_start_failed", message, { hint, cause });
}

function bindable(host: string): string {
  return host === "localhost" ? "127.0.0.1" : host.replace(/^\[|\]$/g, "");
}

/** A name by which this machine reaches the listener. */
function shownHost(host: string): string {
  const bare = bindable(host);
  if (bare === "0.0.0.0" || bare === "::") return "127.0.0.1";
  return bare.includes(":") ? `[${bare}]` : bare;
}

/** Whether other machines can connect. */
export function isBeyondLoopback(host: string): boolean {
  return !isLoopback(host);
}
