/**
 * What every exchange goes through before its handler: version headers, where it came from, who is at the other end,
 * drain; and how thrown errors become answers. Leaves what is asked to the handlers.
 */
import type { Context as HonoContext, Hono, MiddlewareHandler } from "hono";
import { errorBody, httpStatus } from "../api/errors.ts";
import { HEADERS, peerVersion, VERSION, versionHeaders } from "../api/wire.ts";
import { isSkyError } from "../core/errors.ts";
import type { AppEnv, Caller, Deps } from "./deps.ts";
import { Refused } from "./refusal.ts";
import { refuseOrigin } from "./security/origin.ts";
import { isLoopback } from "./security/peer.ts";
import { bearerToken } from "./security/tokens.ts";
import { answerUnknown } from "./unsupported.ts";

export const SHUTTING_DOWN = "Server is shutting down, please try again later.";
/** Answered without knowing who asks (wire.md §1.3). */
const OPEN_PATHS = ["/api/health"];

/** Install everything of this file. */
export function guard(app: Hono<AppEnv>, deps: Deps): void {
  app.use(versions);
  app.use(admission(deps));
  app.onError((error, c) => answerError(error, c, deps));
  app.notFound((c) => answerUnknown(c, deps));
}

/** Both version headers on every answer, also on refusals (wire.md §2.1). */
const versions: MiddlewareHandler<AppEnv> = async (c, next) => {
  await next();
  for (const [name, value] of Object.entries(versionHeaders())) c.header(name, value);
  c.header(HEADERS.server, VERSION);
  c.header("X-Content-Type-Options", "nosniff");
};

function admission(deps: Deps): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const { remote } = c.env ?? {};
    const tcp = remote?.transport === "tcp" ? remote : null;
    if (tcp !== null) {
      const refusal = refuseOrigin(c.req.raw.headers, deps.security.origin);
      if (refusal !== null) throw new Refused(refusal.status, refusal.message);
    }
    const caller = await identify(c, deps, tcp);
    c.set("caller", caller);
    if (deps.draining.aborted && !c.req.path.startsWith("/api/")) throw new Refused(503, SHUTTING_DOWN);
    await next();
  };
}

/** Who asks. Throws auth_required, permission_denied, version_mismatch. */
async function identify(c: HonoContext<AppEnv>, deps: Deps, tcp: Deno.NetAddr | null): Promise<Caller> {
  const { headers } = c.req.raw;
  const { security } = deps;
  const version = { apiVersion: peerVersion(headers, "client"), own: headers.has(HEADERS.client) };
  const token = bearerToken(headers);
  // A token is proven wherever it is shown: a caller who shows one wants to be its user.
  if (token !== null) return { user: await security.tokens.prove(token), ...version };
  // The unix socket lies in a directory of ours alone, mode 0600: reaching it is proof enough.
  if (tcp === null) return { user: null, ...version };
  if (security.tokensRequired) {
    if (OPEN_PATHS.includes(c.req.path)) return { user: null, ...version };
    throw new Refused(401, { detail: "Authentication required" }, { "WWW-Authenticate": "Bearer" });
  }
  if (security.peers !== null && isLoopback(tcp.hostname)) {
    const uid = c.env.local === undefined ? null : await security.peers.uidOf(tcp, c.env.local);
    if (uid !== 0 && uid !== security.uid) {
      throw new Refused(
        403,
        "This API server belongs to another user of this machine. " +
          "Its owner can admit others with the config key api_server.allow_other_local_users.",
      );
    }
  }
  return { user: null, ...version };
}

/** Any thrown value as an answer; what is neither refusal nor SkyError is our fault and goes to the server's log. */
function answerError(error: Error, c: HonoContext<AppEnv>, deps: Deps): Response {
  if (error instanceof Refused) {
    return c.json(error.body as Record<string, unknown>, error.status as 400, error.headers);
  }
  if (isSkyError(error, "version_mismatch")) {
    return c.json({ error: "version_mismatch", message: error.message }, 400);
  }
  if (isSkyError(error)) {
    if (error.code === "internal") deps.log.fault(`${c.req.method} ${c.req.path}`, error);
    const headers: Record<string, string> = error.code === "auth_required"
      ? { "WWW-Authenticate": "Bearer" }
      : {};
    return c.json(errorBody(error).body, httpStatus(error.code) as 400, headers);
  }
  deps.log.fault(`${c.req.method} ${c.req.path}`, error);
  return c.json({ detail: "Internal server error. The server's log has the details." }, 500);
}
