/**
 * Who the caller is, and the tokens of service accounts (wire.md §11.2–§11.4). Users, roles and workspaces of several
 * people are a later matter: everyone who gets in is an admin of the workspace `default`.
 */
import type { Context as HonoContext, Hono } from "hono";
import { splitEnvelope } from "../../api/envelope.ts";
import { SkyError } from "../../core/errors.ts";
import type { TokenRecord } from "../../state/tokens.ts";
import { readJson } from "../bodies.ts";
import type { AppEnv, Deps } from "../deps.ts";
import { Refused, unprocessable } from "../refusal.ts";
import { checked } from "../submit.ts";

const TOKENS = "/users/service-account-tokens";

export function userRoutes(app: Hono<AppEnv>, deps: Deps): void {
  app.get("/users/me/workspace", (c) => {
    // SkyPilot's client tolerates this answer and goes on with `default`.
    if (c.get("caller").user === null) throw new Refused(401, "Not authenticated.");
    return c.json({
      workspace: "default",
      source: "default-fallback",
      note: null,
      preferred: null,
      accessible: ["default"],
    });
  });
  app.get("/users/role", (c) => {
    const { user } = c.get("caller");
    return c.json({ id: user?.id ?? "", name: user?.name ?? "", role: "admin" });
  });
  app.get(TOKENS, async (c) => c.json((await deps.security.tokens.list()).map(tokenView)));
  app.post(TOKENS, async (c) => {
    const { token_name: name, expires_in_days: days = null } = await ownFields(c, deps);
    if (typeof name !== "string") throw missing("token_name");
    if (days !== null && typeof days !== "number") throw missing("expires_in_days");
    const creator = c.get("caller").user ?? deps.user;
    const issued = await deps.security.tokens.issue(name, { creatorId: creator.id, expiresInDays: days });
    return c.json({
      token_id: issued.tokenId,
      token_name: name,
      token: issued.token,
      expires_at: seconds(issued.expiresAt),
      service_account_user_id: issued.userId,
      creator_user_id: creator.id,
      message: "Please save this token - it will not be shown again!",
    });
  });
  app.post(`${TOKENS}/delete`, async (c) => {
    const { token_id: id } = await ownFields(c, deps);
    if (typeof id !== "string") throw missing("token_id");
    if (!await deps.security.tokens.revoke(id)) throw new SkyError("file_not_found", "Token not found");
    return c.json({ message: "Token deleted successfully" });
  });
}

function tokenView(record: TokenRecord): Record<string, unknown> {
  return {
    token_id: record.id,
    token_name: record.name,
    created_at: seconds(record.createdAt),
    last_used_at: seconds(record.lastUsedAt),
    expires_at: seconds(record.expiresAt),
    creator_user_hash: record.creatorId,
    service_account_user_id: record.userId,
    creator_name: record.creatorId,
    service_account_name: record.name,
    service_account_roles: ["admin"],
  };
}

async function ownFields(c: HonoContext<AppEnv>, deps: Deps): Promise<Record<string, unknown>> {
  const json = await readJson(c.req.raw, deps.limits);
  return checked("body", () => splitEnvelope(json).own);
}

function missing(name: string): Refused {
  return unprocessable([{ loc: ["body", name], msg: "Field required", type: "missing" }]);
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : Math.floor(ms / 1000);
}
