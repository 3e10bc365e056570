/**
 * The border of errors: ErrorCode ↔ SkyPilot's class name ↔ HTTP status (wire.md §3.4, §14.6). The exit code of an
 * error belongs to cli/run.ts. Pure.
 */
import { describe, type ErrorCode, isSkyError, SkyError } from "../core/errors.ts";
import { dumpPickle, fromBase64, type PickleInput, toBase64 } from "./pickle.ts";
import { loadPickle } from "./unpickle.ts";

interface Row {
  /** The class people see: bare for Python's own, else of `sky.exceptions`. */
  readonly shown: string;
  /** Sent instead of `shown` where that class cannot be made from one text by SkyPilot's client. */
  readonly sent?: string;
  readonly status: number;
}

const ROWS: Record<ErrorCode, Row> = {
  usage: { shown: "ValueError", status: 400 },
  aborted: { shown: "RuntimeError", status: 400 },
  invalid_argument: { shown: "ValueError", status: 400 },
  invalid_task: { shown: "InvalidSkyPilotConfigError", status: 400 },
  invalid_cluster_name: { shown: "InvalidClusterNameError", status: 400 },
  invalid_config: { shown: "InvalidSkyPilotConfigError", status: 400 },
  file_not_found: { shown: "FileNotFoundError", status: 404 },
  not_implemented: { shown: "NotImplementedError", status: 501 },
  not_supported: { shown: "NotSupportedError", status: 400 },
  permission_denied: { shown: "PermissionDeniedError", status: 403 },
  cluster_not_found: { shown: "ClusterDoesNotExist", status: 404 },
  cluster_not_up: { shown: "ClusterNotUpError", status: 409 },
  cluster_owner_mismatch: { shown: "ClusterOwnerIdentityMismatchError", status: 403 },
  resources_unavailable: { shown: "ResourcesUnavailableError", status: 409 },
  resources_mismatch: { shown: "ResourcesMismatchError", status: 409 },
  no_infra_enabled: { shown: "NoCloudAccessError", status: 409 },
  command_failed: { shown: "CommandError", status: 500 },
  storage: { shown: "StorageError", status: 500 },
  request_not_found: { shown: "ClientError", status: 404 },
  request_ambiguous: { shown: "ClientError", status: 400 },
  request_cancelled: { shown: "RequestCancelled", status: 409 },
  request_interrupted: { shown: "RuntimeError", status: 500 },
  network: { shown: "NetworkError", status: 502 },
  timeout: { shown: "TimeoutError", status: 504 },
  server_unreachable: { shown: "ApiServerConnectionError", sent: "RuntimeError", status: 502 },
  server_busy: { shown: "ServerTemporarilyUnavailableError", status: 503 },
  server_start_failed: { shown: "RuntimeError", status: 500 },
  disk_full: { shown: "OSError", status: 507 },
  auth_required: { shown: "ApiServerAuthenticationError", sent: "RuntimeError", status: 401 },
  version_mismatch: { shown: "APIVersionMismatchError", sent: "RuntimeError", status: 400 },
  payload_too_large: { shown: "ValueError", status: 413 },
  stream_cut: { shown: "ClientError", status: 502 },
  database_corrupt: { shown: "RuntimeError", status: 500 },
  internal: { shown: "RuntimeError", status: 500 },
};

/** Python's own exception classes; all others are shown as `sky.exceptions.Name`. */
const BUILTIN =
  /^(?:Exception|OSError|EOFError|SystemExit|KeyboardInterrupt|(?:Value|Runtime|Key|Index|Type|Attribute|Name|Import|ModuleNotFound|Assertion|Timeout|Permission|FileNotFound|FileExists|IsADirectory|NotADirectory|NotImplemented|Connection|ConnectionRefused|ConnectionReset|BrokenPipe|Recursion|Memory|Overflow|ZeroDivision|Unicode|UnicodeDecode|Lookup|Arithmetic|Syntax|ChildProcess|Interrupted)Error)$/;

/** Class name → code, for classes with one clear meaning. */
const CODES: ReadonlyMap<string, ErrorCode> = new Map<string, ErrorCode>([
  ...(Object.entries(ROWS) as [ErrorCode, Row][])
    .filter(([, row]) => !["RuntimeError", "OSError", "ClientError"].includes(row.shown))
    .map(([code, row]): [string, ErrorCode] => [row.shown, code]),
  // Several codes share these classes: the plainest wins.
  ["ValueError", "invalid_argument"],
  ["InvalidSkyPilotConfigError", "invalid_config"],
  ["PermissionError", "permission_denied"],
  ["NoWorkspaceAccessError", "permission_denied"],
  ["CachedClusterUnavailable", "network"],
  ["ConcurrentWorkerExhaustedError", "server_busy"],
  ["ExecutionPoolFullError", "server_busy"],
]);

/** The HTTP status of a code. */
export function httpStatus(code: ErrorCode): number {
  return ROWS[code].status;
}

/** True when a text is one of our codes. */
export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === "string" && Object.hasOwn(ROWS, text);
}

/** How people see the error's class (cli.md §1.3), e.g. `ValueError`, `sky.exceptions.ClusterDoesNotExist`. */
export function qualifiedName(error: SkyError): string {
  const remote = error.details["type"];
  const name = typeof remote === "string" ? remote : ROWS[error.code].shown;
  return BUILTIN.test(name) || name.includes(".") ? name : `sky.exceptions.${name}`;
}

/** Code, hint and details: for our own clients, ignored by SkyPilot's. */
export interface OwnPart {
  code: ErrorCode;
  hint?: string;
  details?: Readonly<Record<string, unknown>>;
}

/** The `error` of a RequestPayload, before it becomes JSON text. */
export interface WireError {
  /** Base64 of a pickled dict. */
  object: string;
  type: string;
  message: string;
  sky: OwnPart;
}

/** The serialized exception as plain JSON: the `detail` of `/validate` (wire.md §14.6). */
export interface ErrorDict {
  type: string;
  message: string;
  args: PickleInput[];
  attributes: Record<string, PickleInput>;
  stacktrace: string | null;
}

/** An error in any form this room accepts: a SkyError, or one as kept in the database. */
export interface ErrorLike {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  /** Only told for internal errors. */
  readonly stack?: string | undefined;
}

/** Anything thrown as an ErrorLike; what is not a SkyError is `internal`, with its stack. */
export function toErrorLike(error: unknown): ErrorLike {
  if (isSkyError(error)) {
    return { code: error.code, message: error.message, hint: error.hint, details: error.details };
  }
  return {
    code: "internal",
    message: describe(error),
    stack: error instanceof Error ? error.stack : undefined,
  };
}

/** The plain form of an error. Every class is one that SkyPilot's client can rebuild. */
export function errorDict(error: ErrorLike): ErrorDict {
  const row = ROWS[error.code];
  const remote = error.details?.["type"];
  const type = typeof remote === "string" && error.code !== "command_failed" ? remote : row.sent ?? row.shown;
  const text = error.hint === undefined ? error.message : `${error.message}\n${error.hint}`;
  const base = { type, message: error.message, stacktrace: error.stack ?? null };
  if (type !== "CommandError") return { ...base, args: [text], attributes: {} };
  const details = error.details ?? {};
  const returncode = typeof details["returnCode"] === "number" ? details["returnCode"] : 1;
  return {
    ...base,
    args: [],
    attributes: {
      returncode,
      // an empty command makes SkyPilot's client show the message alone
      command: "",
      error_msg: text,
      detailed_reason: null,
      // No `failure`: old clients (0.11) don't take it, and the others make the same of the code.
    },
  };
}

/** The error of a failed request for RequestPayload.error (wire.md §14.6). */
export function encodeError(error: unknown): WireError {
  const like = isErrorLike(error) ? error : toErrorLike(error);
  const dict = errorDict(like);
  return {
    object: toBase64(dumpPickle({ ...dict })),
    type: dict.type,
    message: like.message,
    sky: ownPart(like),
  };
}

function isErrorLike(value: unknown): value is ErrorLike {
  return value !== null && typeof value === "object" && !(value instanceof Error) &&
    isErrorCode((value as { code?: unknown }).code);
}

function ownPart(error: ErrorLike): OwnPart {
  return {
    code: error.code,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.details === undefined || Object.keys(error.details).length === 0
      ? {}
      : { details: error.details }),
  };
}

/** The body of an HTTP error answer: SkyPilot's `detail` and, for our clients, `sky`. */
export interface ErrorBody {
  detail: string;
  sky: OwnPart;
}

/** Status and body for an error met within an exchange (wire.md §3.4). Internal ones say no more than that. */
export function errorBody(error: unknown): { status: number; body: ErrorBody } {
  const like = toErrorLike(error);
  return { status: httpStatus(like.code), body: { detail: like.message, sky: ownPart(like) } };
}

/**
 * The SkyError in an error of a RequestPayload, a plain error dict, or the body of an HTTP error answer. A class
 * that we have no code for becomes `internal` with `details.type`; the Python stack, if sent, `details.stacktrace`.
 */
export function decodeError(json: unknown): SkyError {
  if (typeof json === "string") return new SkyError("internal", json);
  if (json === null || typeof json !== "object") {
    return new SkyError("internal", "Unknown server error (no detail in response)");
  }
  const raw = json as Record<string, unknown>;
  const own = raw["sky"];
  const dict = typeof raw["object"] === "string" ? unpickled(raw["object"]) : raw;
  const message = messageOf(dict, raw);
  if (own !== null && typeof own === "object") {
    const { code, hint, details } = own as Partial<OwnPart>;
    if (isErrorCode(code)) return new SkyError(code, message, { hint, details });
  }
  // The dict is what SkyPilot's client shows; the type beside it may be that of the cause.
  const type = String(dict["type"] ?? raw["type"] ?? "RuntimeError");
  const code = CODES.get(type) ?? (type.startsWith("Storage") ? "storage" : "internal");
  const stacktrace = dict["stacktrace"];
  const details = {
    ...(ROWS[code].shown === type && type !== "RuntimeError" ? {} : { type }),
    ...(typeof stacktrace === "string" ? { stacktrace } : {}),
    ...(type === "CommandError" ? { returnCode: attribute(dict, "returncode") ?? 1 } : {}),
  };
  return new SkyError(code, message, { details });
}

/** The pickled dict of an official server; an unreadable one must not hide the type and message beside it. */
function unpickled(base64: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = loadPickle(fromBase64(base64));
  } catch (error) {
    if (!isSkyError(error, "internal")) throw error;
    return {};
  }
  if (typeof value === "string") return { message: value };
  return value !== null && typeof value === "object" ? value as Record<string, unknown> : {};
}

function messageOf(dict: Record<string, unknown>, raw: Record<string, unknown>): string {
  for (const source of [dict, raw]) {
    if (typeof source["message"] === "string" && source["message"] !== "") return source["message"];
  }
  const args = dict["args"];
  if (Array.isArray(args) && args.length > 0) return args.map(String).join(", ");
  const detail = raw["detail"];
  if (typeof detail === "string" && detail !== "") return detail;
  return "Unknown server error (no detail in response)";
}

function attribute(dict: Record<string, unknown>, name: string): unknown {
  const attributes = dict["attributes"];
  if (attributes === null || typeof attributes !== "object") return undefined;
  return (attributes as Record<string, unknown>)[name];
}
