/**
 * What error answers and finished records mean: HTTP answer → SkyError, RequestPayload → result or SkyError. Loaded
 * when there is one: it knows pickles.
 */
import { decodeError, isErrorCode } from "../api/errors.ts";
import type { RequestPayload } from "../api/requests.ts";
import { type ErrorCode, isSkyError, SkyError } from "../core/errors.ts";
import { needsLogin } from "./answers.ts";
import { plainResult } from "./handles.ts";
import type { ShortAnswer } from "./socket_http.ts";

export { decodeError } from "../api/errors.ts";

const CODES: Readonly<Record<number, ErrorCode>> = {
  400: "invalid_argument",
  403: "permission_denied",
  404: "file_not_found",
  413: "payload_too_large",
  421: "permission_denied",
  422: "invalid_argument",
  501: "not_implemented",
  502: "network",
  503: "server_busy",
  504: "timeout",
  507: "disk_full",
};

/** The SkyError of an answer that is not 2xx (wire.md §3.4). Reads the body. */
export async function answerError(response: ShortAnswer, endpoint: string): Promise<SkyError> {
  const text = await response.text().catch((cause: unknown) => {
    // a cut error answer still has its status
    if (cause instanceof TypeError) return "";
    throw cause;
  });
  const json = parse(text);
  if (response.status === 401) return needsLogin(endpoint, json);
  if (json !== null && typeof json === "object") {
    const { error, message, detail, sky } = json as Record<string, unknown>;
    if (error === "version_mismatch") return new SkyError("version_mismatch", String(message));
    if (sky !== null && typeof sky === "object" && isErrorCode((sky as { code?: unknown }).code)) {
      return decodeError(json);
    }
    if (Array.isArray(detail)) return new SkyError("invalid_argument", `Invalid request: ${issues(detail)}`);
    if (detail !== null && typeof detail === "object") return decodeError(detail);
    if (typeof detail === "string") return answered(response.status, detail);
  }
  const words = typeof json === "string"
    ? json
    : text.trim().startsWith("<")
    ? ""
    : text.trim().slice(0, 500);
  return answered(response.status, words || `HTTP ${response.status} ${response.statusText}`.trim());
}

/** An official server's plain 404 and 400 about a request id, as request_not_found and request_ambiguous. */
export function requestError(error: unknown, id: string): unknown {
  if (!isSkyError(error)) return error;
  const status = error.details["status"];
  if (status === 404) return new SkyError("request_not_found", error.message, { details: { id } });
  if (status === 400 && /multiple requests/i.test(error.message)) {
    return new SkyError("request_ambiguous", error.message, { details: { id } });
  }
  return error;
}

function answered(status: number, message: string): SkyError {
  return new SkyError(CODES[status] ?? "internal", message, { details: { status } });
}

function issues(list: unknown[]): string {
  return list.map((issue) => {
    const { loc, msg } = (issue ?? {}) as { loc?: unknown; msg?: unknown };
    return `${Array.isArray(loc) ? loc.join(".") : "body"}: ${String(msg)}`;
  }).join("; ");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null;
  }
}

/**
 * The result in a finished record. Throws its error, or request_cancelled. Stock servers' pickled handles become
 * JSON ones.
 */
export function resultOf(payload: RequestPayload): unknown {
  const error: unknown = JSON.parse(payload.error);
  if (error !== null) throw decodeError(error);
  if (payload.status === "CANCELLED") {
    throw new SkyError(
      "request_cancelled",
      `Current '${payload.name}' request (${payload.request_id}) is cancelled by another process.`,
    );
  }
  if (payload.status !== "SUCCEEDED") {
    throw new SkyError(
      "internal",
      `Request ${payload.request_id} ended ${payload.status} without saying why`,
    );
  }
  return plainResult(payload.name, JSON.parse(payload.return_value));
}
