/** The health question and what its answers mean (wire.md §1.3, §1.4). */
import { HEADERS, type Health } from "../api/wire.ts";
import { isSkyError, SkyError } from "../core/errors.ts";
import { needsLogin } from "./answers.ts";
import type { Http } from "./http.ts";

const LIMIT_MS = 2_500;

export interface HealthOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for one try. */
  readonly limit?: number | undefined;
}

export interface HealthOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for one try. */
  readonly limit?: number | undefined;
}

/** Who answers, if it will serve us. Throws server_unreachable, auth_required, version_mismatch. */
export async function askHealth(http: Http, options: HealthOptions = {}): Promise<Health> {
  const { value, response } = await http.jsonAnswer({
    method: "GET",
    path: "/api/health",
    limit: options.limit ?? LIMIT_MS,
    signal: options.signal,
    headers: { Accept: "application/json" },
  }).catch((error: unknown) => {
    // no JSON, because an auth proxy led us to its login page
    const url = isSkyError(error, "server_unreachable") ? error.details["redirectedTo"] : undefined;
    if (typeof url === "string" && /login|oauth2/.test(url)) throw needsLogin(http.endpoint);
    throw error;
  });
  const health = value as Health | null;
  if (health?.status === "needs_auth") throw needsLogin(http.endpoint);
  if (!response.headers.has(HEADERS.apiVersion)) {
    throw new SkyError(
      "version_mismatch",
      `The SkyPilot API server at ${http.shown} is too old, or none at all`,
    );
  }
  if (health?.status !== "healthy") {
    throw new SkyError("server_unreachable", `The SkyPilot API server at ${http.shown} is not healthy`);
  }
  return health;
}
