/** Errors of requests: as they are kept in the row, and the ones the engine makes itself. Pure. */
import { describe, isSkyError, SkyError } from "../core/errors.ts";
import type { RequestError } from "../core/request.ts";

/** A thrown value as the row keeps it; the stack only of what is a bug. */
export function keep(error: unknown): RequestError {
  if (!isSkyError(error)) return { code: "internal", message: describe(error), stack: stackOf(error) };
  const { code, message, hint, details } = error;
  return {
    code,
    message,
    ...hint !== undefined && { hint },
    ...Object.keys(details).length > 0 && isJson(details) && { details },
    ...code === "internal" && { stack: stackOf(error) },
  };
}

/** Stack and causes, as text of several lines. */
export function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return `Thrown: ${String(error)}`;
  const stack = error.stack ?? describe(error);
  return error.cause === undefined ? stack : `${stack}\nCaused by: ${stackOf(error.cause)}`;
}

export function interrupted(name: string): SkyError {
  return new SkyError("request_interrupted", `'${name}' was interrupted by a restart of the server`, {
    hint: "It cannot be taken up where it stopped. Run the command again",
  });
}

export function givenUp(name: string, attempts: number): SkyError {
  return new SkyError(
    "request_interrupted",
    `'${name}' was started ${attempts} times and the server ended each time before it was done`,
    { hint: "Look into the server's log for the reason, then run the command again" },
  );
}

export function stopping(): SkyError {
  return new SkyError("server_busy", "The server is stopping", { hint: "Try again in a moment" });
}

function isJson(value: unknown): boolean {
  try {
    return JSON.stringify(value) !== undefined;
  } catch {
    return false; // a cycle or a BigInt: details are for machines, the message tells people
  }
}
