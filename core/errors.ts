/**
 * SkyError: the one error people see. Owns the closed list of codes; the borders (HTTP status and SkyPilot
 * class name in api/errors.ts, exit code in cli/run.ts) translate them. Anything that is not a SkyError is a bug.
 */

/** Machine-readable reasons. A new one needs a row in api/errors.ts. */
export type ErrorCode =
  | "usage" // bad option or argument: exit 2
  | "aborted" // prompt declined, EOF or Ctrl+C: exit 1
  | "invalid_argument" // ValueError
  | "invalid_task" // InvalidSkyPilotConfigError
  | "invalid_cluster_name"
  | "invalid_config"
  | "file_not_found"
  | "not_implemented"
  | "not_supported"
  | "permission_denied"
  | "cluster_not_found"
  | "cluster_not_up"
  | "cluster_owner_mismatch"
  | "resources_unavailable"
  | "resources_mismatch"
  | "no_infra_enabled"
  | "command_failed"
  | "storage"
  | "request_not_found"
  | "request_ambiguous"
  | "request_cancelled"
  | "request_interrupted" // ended by a server restart that could not resume it
  | "network" // a machine could not be reached: says nothing about whether it lives
  | "timeout"
  | "server_unreachable"
  | "server_busy" // 503: try again
  | "server_start_failed"
  | "disk_full"
  | "auth_required"
  | "version_mismatch"
  | "payload_too_large"
  | "stream_cut" // a log stream ended without its end marker
  | "database_corrupt"
  | "internal";

export interface SkyErrorOptions {
  /** A command to run, or what to do next; shown on its own line. */
  hint?: string | undefined;
  /** Plain JSON for machines, e.g. `{ failoverHistory: [] }` or `{ type: "SomeRemoteClass" }`. */
  details?: Readonly<Record<string, unknown>> | undefined;
  cause?: unknown;
}

/** Message formula: "Cannot stop cluster 'a': it is being launched" (thing, reason; no final period of our own). */
export class SkyError extends Error {
  override readonly name = "SkyError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: SkyErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.details = options.details ?? {};
  }
}

/** True for SkyErrors, optionally of one code. */
export function isSkyError(error: unknown, code?: ErrorCode): error is SkyError {
  return error instanceof SkyError && (code === undefined || error.code === code);
}

/** The one-line text of any thrown value. */
export function describe(error: unknown): string {
  if (error instanceof Error) return error.message || error.name;
  return String(error);
}
