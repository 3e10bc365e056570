/**
 * Service-account tokens: making, proving, revoking (wire.md §11.4, §15). A token's text is told once and never kept;
 * rows and hashes are state/tokens.ts, the text's shape is jwt.ts.
 */
import type { User } from "../../core/context.ts";
import { SkyError } from "../../core/errors.ts";
import type { SettingStore } from "../../state/settings.ts";
import type { TokenRecord, TokenStore } from "../../state/tokens.ts";
import type { UserStore } from "../../state/users.ts";
import { readToken, signToken, TOKEN_PREFIX } from "./jwt.ts";

export interface TokenDeps {
  readonly tokens: TokenStore;
  readonly users: UserStore;
  readonly settings: SettingStore;
  /** Unix ms. */
  now(): number;
}

export interface Issued {
  readonly token: string;
  readonly tokenId: string;
  readonly userId: string;
  /** Unix ms, null for never. */
  readonly expiresAt: number | null;
}

export interface IssueOptions {
  readonly creatorId: string;
  /** Null or 0: never expires. */
  readonly expiresInDays: number | null;
}

export interface TokenAuthority {
  /** Who a token speaks for. Throws auth_required, saying why, for anything but a valid one. */
  prove(token: string): Promise<User>;
  /** A token for a new service account of that name. */
  issue(name: string, options: IssueOptions): Promise<Issued>;
  list(): Promise<TokenRecord[]>;
  /** False if there was none. */
  revoke(tokenId: string): Promise<boolean>;
}

const DAY_MS = 86_400_000;
const NAME = /^[A-Za-z0-9][A-Za-z0-9 _.@-]{0,63}$/;

/** The authority over this server's tokens; its secret is made at the first use and lies in the database. */
export function tokenAuthority(deps: TokenDeps): TokenAuthority {
  // Not at the start: it is a write that the first command of all would wait for.
  const secret = () => deps.settings.setOnce("token_secret", randomHex(32));
  return {
    async prove(token) {
      const claims = readToken(token, await secret());
      if (claims === null) throw unauthorized("Invalid or expired service account token");
      if (claims.expiresAt !== null && claims.expiresAt * 1000 <= deps.now()) {
        throw unauthorized("Service account token has expired");
      }
      const record = await deps.tokens.verify(token);
      if (record === null || record.id !== claims.tokenId) {
        throw unauthorized("Service account token revoked or rotated");
      }
      const user = await deps.users.get(record.userId);
      if (user === null) throw unauthorized("Service account user no longer exists");
      return { id: user.id, name: user.name };
    },
    async issue(name, { creatorId, expiresInDays }) {
      if (!NAME.test(name)) throw new SkyError("invalid_argument", `Invalid token name: '${name}'`);
      if (expiresInDays !== null && (!Number.isFinite(expiresInDays) || expiresInDays < 0)) {
        throw new SkyError("invalid_argument", `Invalid lifetime: ${expiresInDays} days`);
      }
      const issuedAt = Math.floor(deps.now() / 1000);
      const lifetime = expiresInDays === null || expiresInDays === 0 ? null : expiresInDays * DAY_MS / 1000;
      const expiresAt = lifetime === null ? null : issuedAt + Math.ceil(lifetime);
      const tokenId = randomHex(12);
      const userId = `sa-${randomHex(8)}`;
      const token = signToken({ tokenId, userId, issuedAt, expiresAt }, await secret());
      await deps.users.upsert({ id: userId, name }, { kind: "service" });
      const until = expiresAt === null ? null : expiresAt * 1000;
      await deps.tokens.put({ id: tokenId, name, userId, creatorId, expiresAt: until }, token);
      return { token, tokenId, userId, expiresAt: until };
    },
    list: () => deps.tokens.list(),
    revoke: (tokenId) => deps.tokens.delete(tokenId),
  };
}

/** The service-account token of an Authorization header; null when there is none. */
export function bearerToken(headers: Headers): string | null {
  const match = /^Bearer +(\S+)$/i.exec(headers.get("authorization") ?? "");
  return match !== null && match[1]!.startsWith(TOKEN_PREFIX) ? match[1]! : null;
}

function unauthorized(message: string): SkyError {
  return new SkyError("auth_required", message);
}

function randomHex(bytes: number): string {
  return Array.from(
    crypto.getRandomValues(new Uint8Array(bytes)),
    (byte) => byte.toString(16).padStart(2, "0"),
  )
    .join("");
}
