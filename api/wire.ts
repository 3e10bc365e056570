/**
 * What every exchange shares: headers, version handshake, the request envelope and the payload of a request record
 * (wire.md §2, §3, §4.1, §1.3), and the server's registration file. Errors: errors.ts. Streams: frames.ts. Pure.
 */
import * as v from "valibot";
import { SkyError } from "../core/errors.ts";
import type { RequestRecord } from "../core/request.ts";
import { encodeError } from "./errors.ts";
import type { RequestPayload } from "./requests.ts";

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
  /** Ours: the same text makes a repeated POST of the same user the same request. */
  idempotencyKey: "Idempotency-Key",
  /** Ours, value `1` on a submission: answer with the finished RequestPayload if that comes soon. */
  wait: "X-Sky-Wait",
  /** Ours, value `1` on the answer to such a submission: the body is the RequestPayload of the finished request. */
  finished: "X-Sky-Finished",
} as const;

/** Content type of our framed log streams (frames.ts). */
export const FRAMES_TYPE = "application/x-sky-frames";

/** Base64 of a pickled None: what the fields that nobody reads must hold (wire.md §14.2). */
export const PICKLED_NONE = "gAROLg==";

/** The two headers that every message of both sides carries. */
export function versionHeaders(): Record<string, string> {
  return { [HEADERS.apiVersion]: String(API_VERSION), [HEADERS.version]: VERSION };
}

/**
 * The API version in a peer's headers; null when absent or not a whole number. Throws version_mismatch for one
 * below MIN_API_VERSION.
 */
export function peerVersion(headers: Headers, peer: "client" | "server"): number | null {
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

/** Fields that every JSON body carries beside its own (wire.md §3.3). Holds secrets: never log it. */
export const Envelope = v.object({
  env_vars: v.optional(v.nullable(v.record(v.string(), v.string())), null),
  entrypoint: v.optional(v.nullable(v.string()), null),
  entrypoint_command: v.optional(v.nullable(v.string()), null),
  using_remote_api_server: v.optional(v.nullable(v.boolean()), null),
  override_skypilot_config: v.optional(v.nullable(v.record(v.string(), v.unknown())), null),
  override_skypilot_config_path: v.optional(v.nullable(v.string()), null),
  file_mounts_blob_id: v.optional(v.nullable(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))), null),
  client_api_version: v.optional(v.nullable(v.number()), null),
});
export type Envelope = v.InferOutput<typeof Envelope>;

const ENVELOPE_KEYS: ReadonlySet<string> = new Set(Object.keys(Envelope.entries));

/** One finding of a schema, as in a 422 answer (wire.md §3.4). */
export interface BodyIssue {
  loc: (string | number)[];
  msg: string;
  type: string;
}

/**
 * Take the envelope off a body (absent or null: an empty one). Throws invalid_argument with `details.issues`
 * (BodyIssue[]), to be answered with 422.
 */
export function splitEnvelope(json: unknown): { envelope: Envelope; own: Record<string, unknown> } {
  if (json !== null && json !== undefined && (typeof json !== "object" || Array.isArray(json))) {
    throw invalidBody([{ loc: ["body"], msg: "Input should be an object", type: "object" }]);
  }
  const shared: Record<string, unknown> = {};
  const own: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(json ?? {})) {
    (ENVELOPE_KEYS.has(key) ? shared : own)[key] = value;
  }
  return { envelope: parseBody(Envelope, shared), own };
}

/** Check a body or query against a schema of the table. Throws invalid_argument with `details.issues`. */
export function parseBody<S extends v.GenericSchema<unknown, unknown>>(
  schema: S,
  value: unknown,
): v.InferOutput<S> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  throw invalidBody(result.issues.map((issue) => ({
    loc: [
      "body",
      ...(issue.path ?? []).map((step) => typeof step.key === "number" ? step.key : String(step.key)),
    ],
    msg: issue.message,
    type: issue.type,
  })));
}

function invalidBody(issues: BodyIssue[]): SkyError {
  const text = issues.map(({ loc, msg }) => `${loc.join(".")}: ${msg}`).join("; ");
  return new SkyError("invalid_argument", `Invalid request: ${text}`, { details: { issues } });
}

/**
 * The record on the wire. `get`: with result and error. `status`: the readable form without them; its body is only
 * told once the request is final, because until then it may hold secrets (wire.md §4.4).
 */
export function toPayload(record: RequestRecord, form: "get" | "status"): RequestPayload {
  const full = form === "get";
  return {
    request_id: record.id,
    name: record.name,
    entrypoint: full ? PICKLED_NONE : record.name.replace(/^sky\./, ""),
    request_body: full ? PICKLED_NONE : record.finishedAt === null ? "null" : record.body,
    status: record.status,
    created_at: record.createdAt / 1000,
    user_id: record.user.id,
    return_value: full ? record.result ?? "null" : "null",
    error: full && record.error !== null ? JSON.stringify(encodeError(record.error)) : "null",
    pid: null,
    schedule_type: record.lane,
    user_name: full ? null : record.user.name,
    cluster_name: record.clusterName,
    status_msg: record.statusMessage,
    should_retry: false,
    finished_at: record.finishedAt === null ? null : record.finishedAt / 1000,
    file_mounts_blob_id: null,
  };
}

/**
 * The 500 body of `/api/get` for a failed request: SkyPilot's sync client reads the payload under `detail`, its
 * async client at the top level (wire.md §18.12).
 */
export function failedBody(payload: RequestPayload): RequestPayload & { detail: RequestPayload } {
  return { ...payload, detail: payload };
}

/** Keep only the asked columns; the others carry defaults (wire.md §4.4). `request_id` and `name` are always told. */
export function restrictPayload(payload: RequestPayload, fields: readonly string[]): RequestPayload {
  const bare: RequestPayload = {
    request_id: payload.request_id,
    name: payload.name,
    entrypoint: "",
    request_body: "null",
    status: "PENDING",
    created_at: 0,
    user_id: "",
    return_value: "null",
    error: "null",
    pid: null,
    schedule_type: "short",
    user_name: null,
    cluster_name: null,
    status_msg: null,
    should_retry: false,
    finished_at: null,
    file_mounts_blob_id: null,
  };
  const kept = Object.entries(payload).filter(([key]) =>
    fields.includes(key) || (key === "user_name" && fields.includes("user_id"))
  );
  return { ...bare, ...Object.fromEntries(kept) };
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
