/** What proves who we are to a remote server: a service-account token, else cookies (wire.md §15.3, §15.6). */
import { lookup, type SkyConfig } from "../core/config.ts";
import { SkyError } from "../core/errors.ts";
import { below, dotSky, type Env } from "../core/paths.ts";

const COOKIE_LIFE_SECONDS = 604_800;

/** The configured token; null for none. Throws invalid_argument for one that is no service-account token. */
export function bearerToken(env: Env, config: SkyConfig): string | null {
  const token = env("SKYPILOT_SERVICE_ACCOUNT_TOKEN") || lookup(config, "api_server.service_account_token");
  if (typeof token !== "string" || token === "") return null;
  if (token.startsWith("sky_")) return token;
  throw new SkyError(
    "invalid_argument",
    'Invalid service account token format. Token must start with "sky_"',
  );
}

interface Cookie {
  readonly domain: string;
  readonly path: string;
  readonly secure: boolean;
  /** Unix seconds; 0 for the session. */
  readonly expires: number;
  readonly name: string;
  readonly value: string;
}

export function cookieFile(env: Env): string {
  return env("SKYPILOT_API_COOKIE_FILE") ?? below(dotSky(env), "cookies.txt");
}

/** Reads the jar when first asked. `now`: unix milliseconds. */
export function cookieReader(env: Env, now: () => number): (url: URL) => string | null {
  let jar: Cookie[] | null = null;
  return (url) => {
    jar ??= readJar(cookieFile(env));
    const fitting = jar.filter((cookie) => fits(cookie, url, now() / 1000));
    return fitting.length === 0 ? null : fitting.map(({ name, value }) => `${name}=${value}`).join("; ");
  };
}

function readJar(path: string): Cookie[] {
  try {
    return parseJar(Deno.readTextFileSync(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Netscape's format: seven fields with tabs between; `#HttpOnly_` is a prefix, other `#` lines are comments. */
function parseJar(text: string): Cookie[] {
  return text.split("\n").flatMap((line) => {
    const [domain, , path, secure, expires, name, value] = line.replace(/^#HttpOnly_/, "").split("\t");
    if (line.startsWith("# ") || domain === undefined || name === undefined || value === undefined) return [];
    return [{
      domain,
      path: path ?? "",
      secure: secure === "TRUE",
      expires: Number(expires) || 0,
      name,
      value: value.trimEnd(),
    }];
  });
}

function fits(cookie: Cookie, url: URL, seconds: number): boolean {
  if (cookie.expires !== 0 && cookie.expires < seconds) return false;
  if (cookie.secure && url.protocol !== "https:") return false;
  const domain = cookie.domain.replace(/^\./, "");
  if (url.hostname !== domain && !(cookie.domain.startsWith(".") && url.hostname.endsWith(`.${domain}`))) {
    return false;
  }
  const path = cookie.path.replace(/\/$/, "");
  return path === "" || url.pathname === path || url.pathname.startsWith(`${path}/`);
}

/** Keep the cookies of a login for a week; others of the jar stay. `now`: unix milliseconds. */
export async function saveCookies(
  env: Env,
  cookies: Readonly<Record<string, string>>,
  options: { endpoint: string; now: number },
): Promise<void> {
  const { protocol, hostname } = new URL(options.endpoint);
  const expires = Math.floor(options.now / 1000) + COOKIE_LIFE_SECONDS;
  const fresh = Object.entries(cookies).map(([name, value]): Cookie => ({
    domain: `.${hostname}`,
    path: "",
    secure: protocol === "https:",
    expires,
    name,
    value,
  }));
  const path = cookieFile(env);
  const kept = readJar(path).filter((old) =>
    !fresh.some((cookie) => cookie.domain === old.domain && cookie.name === old.name)
  );
  const lines = [...kept, ...fresh].map((cookie) =>
    [
      cookie.domain,
      cookie.domain.startsWith(".") ? "TRUE" : "FALSE",
      cookie.path,
      cookie.secure ? "TRUE" : "FALSE",
      cookie.expires,
      cookie.name,
      cookie.value,
    ].join("\t")
  );
  const { dirname } = await import("@std/path");
  await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${Deno.pid}.tmp`;
  await Deno.writeTextFile(temporary, ["# Netscape HTTP Cookie File", ...lines, ""].join("\n"), {
    mode: 0o600,
  });
  await Deno.rename(temporary, path);
}

/** Forget all cookies. */
export async function removeCookies(env: Env): Promise<void> {
  try {
    await Deno.remove(cookieFile(env));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
