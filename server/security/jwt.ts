/**
 * The token's shape (wire.md §15.4): `sky_` + JWT signed with HMAC-SHA-256. Owns signing and reading; which tokens
 * exist is tokens.ts. Pure.
 */
import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";

export const TOKEN_PREFIX = "sky_";

export interface TokenClaims {
  readonly tokenId: string;
  readonly userId: string;
  /** Unix seconds. */
  readonly issuedAt: number;
  /** Unix seconds, null for never. */
  readonly expiresAt: number | null;
}

export function signToken(claims: TokenClaims, secret: string): string {
  const payload = {
    i: "sky",
    t: claims.issuedAt,
    u: claims.userId,
    k: claims.tokenId,
    y: "sa",
    ...(claims.expiresAt === null ? {} : { e: claims.expiresAt, exp: claims.expiresAt }),
  };
  const body = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(payload)}`;
  return `${TOKEN_PREFIX}${body}.${signature(body, secret)}`;
}

/** The claims of a token whose signature holds; null for anything else. Expiry is the caller's to judge. */
export function readToken(token: string, secret: string): TokenClaims | null {
  if (!token.startsWith(TOKEN_PREFIX)) return null;
  const parts = token.slice(TOKEN_PREFIX.length).split(".");
  const [header, payload, mac] = parts;
  if (parts.length !== 3 || header === undefined || payload === undefined || mac === undefined) return null;
  if (!isSame(mac, signature(`${header}.${payload}`, secret))) return null;
  const head = decode(header);
  const claims = decode(payload);
  if (head?.alg !== "HS256" || claims === null || claims.i !== "sky" || claims.y !== "sa") return null;
  const { k: tokenId, u: userId, t: issuedAt, e: expiresAt = null } = claims;
  if (typeof tokenId !== "string" || typeof userId !== "string" || typeof issuedAt !== "number") return null;
  if (expiresAt !== null && typeof expiresAt !== "number") return null;
  return { tokenId, userId, issuedAt, expiresAt };
}

/** Compares without telling by its time how much was equal. */
function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function signature(body: string, secret: string): string {
  return createHmac("sha256", secret).update(body).digest("base64url");
}

function encode(value: Record<string, unknown>): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function decode(part: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return value !== null && typeof value === "object" ? value as Record<string, unknown> : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null; // signed by us it would parse; this one was not
    throw error;
  }
}
