/** Who the caller is: user hash and name, as an official install has them (wire.md §15.1). */
import { builtin } from "../core/builtin.ts";
import type { User } from "../core/context.ts";
import { below, dotSky, type Env } from "../core/paths.ts";

const HASH = /^[a-zA-Z0-9][a-zA-Z0-9-]*$/;

export interface IdentityOptions {
  /** For tests. */
  readonly hostname?: string;
}

/**
 * `SKYPILOT_USER_ID`, else `~/.sky/user_hash`, else a hash of user and host, which is then written there. The name:
 * `SKYPILOT_USER`, else the operating system's.
 */
export function userIdentity(env: Env, options: IdentityOptions = {}): User {
  const name = osUser(env);
  const given = env("SKYPILOT_USER_ID");
  const id = given !== undefined && HASH.test(given) ? given : storedHash(env, () => {
    return userHash(name, options.hostname ?? Deno.hostname());
  });
  return { id, name: env("SKYPILOT_USER") || name };
}

/** First 8 hex digits of md5(`<user>-<last 4 hex digits of md5(host)>`). */
export function userHash(user: string, hostname: string): string {
  return md5(`${user}-${md5(hostname).slice(-4)}`).slice(0, 8);
}

/**
 * Be who a server knows us as (wire.md §15.6), until `returnUserHash`: the clusters of this machine's own server
 * belong to who we are here.
 */
export function borrowUserHash(env: Env, id: string): void {
  Deno.mkdirSync(dotSky(env), { recursive: true, mode: 0o700 });
  try {
    // Fails when it is there from an earlier login: then what we have now is borrowed, too.
    Deno.linkSync(hashFile(env), ownFile(env));
    Deno.removeSync(hashFile(env));
  } catch (error) {
    const fine = error instanceof Deno.errors.AlreadyExists || error instanceof Deno.errors.NotFound;
    if (!fine) throw error;
  }
  saveUserHash(env, id);
}

/** Be ourselves again, at logout. */
export function returnUserHash(env: Env): void {
  try {
    Deno.renameSync(ownFile(env), hashFile(env));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // nothing was borrowed
  }
}

function saveUserHash(env: Env, id: string): void {
  Deno.mkdirSync(dotSky(env), { recursive: true, mode: 0o700 });
  Deno.writeTextFileSync(hashFile(env), id);
}

function ownFile(env: Env): string {
  return `${hashFile(env)}.own`;
}

function hashFile(env: Env): string {
  return below(dotSky(env), "user_hash");
}

function storedHash(env: Env, compute: () => string): string {
  try {
    const stored = Deno.readTextFileSync(hashFile(env)).trim();
    if (HASH.test(stored)) return stored;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const id = compute();
  try {
    saveUserHash(env, id);
  } catch (error) {
    // A home that cannot be written: the hash is the same every time it is computed.
    if (!(error instanceof Deno.errors.PermissionDenied) && !isReadOnly(error)) throw error;
  }
  return id;
}

function isReadOnly(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EROFS";
}

function osUser(env: Env): string {
  for (const variable of ["LOGNAME", "USER", "LNAME", "USERNAME"]) {
    const value = env(variable);
    if (value) return value;
  }
  return builtin("node:os").userInfo().username;
}

function md5(text: string): string {
  return builtin("node:crypto").createHash("md5").update(text).digest("hex");
}
