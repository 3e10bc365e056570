/** A request record as it goes over the wire: RequestPayload (wire.md §4.1). Pure. */
import type { RequestRecord } from "../core/request.ts";
import { encodeError } from "./errors.ts";
import type { RequestPayload } from "./requests.ts";

/** Base64 of a pickled None: what the fields that nobody reads must hold (wire.md §14.2). */
export const PICKLED_NONE = "gAROLg==";

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
