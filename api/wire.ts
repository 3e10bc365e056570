/**
 * What every exchange shares: headers and version handshake (wire.md §2, §3, §1.3), and the server's registration
 * file. Envelope: envelope.ts. Payloads: payload.ts. Errors: errors.ts. Streams: frames.ts. Pure.
 */
import { SkyError } from "../core/errors.ts";

/** The version of the wire that we speak, and the oldest peer that we accept (wire.md §2). */
export const API_VERSION = 53;
export const MIN_API_VERSION = 24;
/** Our own version. `dev` keeps SkyPilot's clients from nagging about upgrades (wire.md §2.5). */
export const VERSION = "1.0.0-dev0";

export const HEADERS = {
  apiVersion: "X-SkyPilot-API-Version",
  version: "X-SkyPilot-Version",
  /** The id of the request that a submission made. */
  requestId: "X-Skypilot-Request-ID",
  /** On `/api/stream`: echoes the client's own text, even a prefix. */
  streamRequestId: "X-SkyPilot-Stream-Request-ID",
  clientType: "X-SkyPilot-Client-Type",
  /** On `/download`: absolute home of the server. */
  homePath: "X-Home-Path",
  /** Ours, on every answer: value VERSION. Tells the client that Idempotency-Key is honoured. */
  server: "X-Sky-Server",
  /** Ours, on every message of our clients: value VERSION. They read what SkyPilot's do not know. */
  client: "X-Sky-Client",
  /** Ours: the same text makes a repeated POST of the same user the same request. */
  idempotencyKey: "Idempotency-Key",
  /** Ours, value `1` on a submission: answer with the finished RequestPayload if that comes soon. */
  wait: "X-Sky-Wait",
  /** Ours, value `1` on the answer to such a submission: the body is the RequestPayload of the finished request. */
  finished: "X-Sky-Finished",
} as const;

/** Content type of our framed log streams (frames.ts). */
export const FRAMES_TYPE = "application/x-sky-frames";

/** The two headers that every message of both sides carries. */
export function versionHeaders(): Record<string, string> {
  return { [HEADERS.apiVersion]: String(API_VERSION), [HEADERS.version]: VERSION };
}

/**
 * The API version in a peer's headers; null when absent or not a whole number. Throws version_mismatch for one
 * below MIN_API_VERSION.
 */
export function peerVersion(headers: Pick<Headers, "get">, peer: "client" | "server"): number | null {
  const text = headers.get(HEADERS.apiVersion);
  if (text === null || !/^\d+$/.test(text)) return null;
  const version = Number(text);
  if (version >= MIN_API_VERSION) return version;
  const name = headers.get(HEADERS.version) ?? "unknown";
  throw new SkyError(
    "version_mismatch",
    peer === "client"
      ? `Your SkyPilot client version is too old: ${name} (API version ${version}, the server needs at least ${MIN_API_VERSION})`
      : `Your SkyPilot API server version is too old: ${name} (API version ${version}, this client needs at least ${MIN_API_VERSION})`,
    { details: { apiVersion: version, version: name } },
  );
}

/** Body of `GET /api/health` (wire.md §1.3). */
export interface Health {
  status: "healthy" | "unhealthy" | "version_mismatch" | "needs_auth";
  /** Text, not a number: SkyPilot's client insists. */
  api_version: string;
  version: string;
  /** Never null: equal to `version`. */
  version_on_disk: string;
  commit: string;
  basic_auth_enabled: boolean;
  user: { id: string; name: string; user_type?: string; preferred_workspace?: string | null } | null;
  service_account_token_enabled: boolean;
  ingress_basic_auth_enabled: boolean;
  external_proxy_auth_enabled: boolean;
  latest_version: string | null;
  telemetry_enabled: boolean;
  /** Ours: the `id` of the registration file, so that a client knows which server answers. */
  server_id?: string;
}

/** `<home>/server.json` (mode 0600): written by the server once it listens, read by local clients. */
export interface Registration {
  /** E.g. `http://127.0.0.1:46580`. */
  url: string;
  /** Path of the unix socket; null where there is none. */
  socket: string | null;
  pid: number;
  /** Field 22 of `/proc/<pid>/stat` as text, against pid reuse; empty where there is no `/proc`. */
  startTime: string;
  version: string;
  /** Random per start. */
  id: string;
  port: number;
}
