/** `GET /api/health` (wire.md §1.3): asked before nearly every command. Touches neither database nor disk. */
import type { Hono } from "hono";
import { API_VERSION, HEADERS, type Health, VERSION } from "../../api/wire.ts";
import type { AppEnv, Deps } from "../deps.ts";

export function healthRoutes(app: Hono<AppEnv>, deps: Deps): void {
  app.get("/api/health", (c) => {
    const { user } = c.get("caller");
    const { tokensRequired } = deps.security;
    const anonymous = tokensRequired && user === null && c.env?.remote?.transport === "tcp";
    // A probe that claims no version learns nothing more than that somebody is in.
    if (anonymous && c.req.header(HEADERS.apiVersion) === undefined) return c.json({ status: "healthy" });
    const health: Health = {
      status: anonymous ? "needs_auth" : "healthy",
      api_version: String(API_VERSION),
      version: VERSION,
      version_on_disk: VERSION,
      commit: deps.commit,
      basic_auth_enabled: false,
      user: user === null ? null : { id: user.id, name: user.name, user_type: "sa" },
      service_account_token_enabled: tokensRequired,
      ingress_basic_auth_enabled: false,
      external_proxy_auth_enabled: false,
      latest_version: null,
      telemetry_enabled: false,
      server_id: deps.serverId,
    };
    return c.json(health);
  });
}
