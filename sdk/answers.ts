/** The plain part of what answers mean: unreachable, login, the shape of a record. Errors and results: decode.ts. */
import type { RequestPayload } from "../api/requests.ts";
import { SkyError } from "../core/errors.ts";

/** The server could not be reached (cli.md §1.9). `sent`: the request may have arrived. */
export function unreachable(endpoint: string, options: { cause?: unknown; sent?: boolean } = {}): SkyError {
  const shown = withoutPassword(endpoint);
  return new SkyError(
    "server_unreachable",
    options.sent === true
      ? `Lost the connection to SkyPilot API server at ${shown}`
      : `Could not connect to SkyPilot API server at ${shown}. Please ensure that the server is running. Try: curl ${shown}/api/health`,
    { cause: options.cause, details: { endpoint: shown } },
  );
}

/** Credentials in a URL are not for the screen. */
export function withoutPassword(endpoint: string): string {
  return endpoint.replace(/^(\w+:\/\/)[^/@]*@/, "$1");
}

/** The server asks who we are. */
export function needsLogin(endpoint: string, json: unknown = null): SkyError {
  const shown = withoutPassword(endpoint);
  const detail = json !== null && typeof json === "object" ? (json as { detail?: unknown }).detail : json;
  return new SkyError(
    "auth_required",
    `Authentication required for SkyPilot API server at ${shown}. Please run:`,
    { hint: `sky api login -e ${shown}`, details: typeof detail === "string" ? { detail } : {} },
  );
}

/** Check the shape of a RequestPayload; null when the value is none. */
export function asPayload(value: unknown): RequestPayload | null {
  if (value === null || typeof value !== "object") return null;
  const { request_id, name, status, return_value, error } = value as Partial<RequestPayload>;
  const texts = [request_id, name, status, return_value, error];
  return texts.every((text) => typeof text === "string") ? value as RequestPayload : null;
}
