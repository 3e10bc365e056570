/**
 * `sky api login`: use another server from now on (cli.md §5.6, wire.md §15.6). Servers that need no login, service
 * account tokens, and tokens pasted from a server's login page; this client opens no browser.
 */
import { lookup } from "../../../core/config.ts";
import { isSkyError, SkyError } from "../../../core/errors.ts";
import { saveEndpoint } from "../../../sdk/config_files.ts";
import { connect } from "../../../sdk/connect.ts";
import { saveCookies } from "../../../sdk/credentials.ts";
import { borrowUserHash } from "../../../sdk/identity.ts";
import type { Command, Input, Io } from "../../command.ts";
import { CONFIG } from "../../options.ts";
import { usage } from "../../parse.ts";
import { refuseEnvEndpoint } from "./logout.ts";

export const command: Command = {
  name: "login",
  summary: "Log in to an API server.",
  help:
    "Use the API server at this endpoint from now on. If it demands a login, give a service account token with " +
    "-t, or paste the token that its login page shows.",
  examples: ["sky api login -e http://1.2.3.4:46580", "sky api login -e https://sky.example.com -t sky_..."],
  args: [],
  options: [
    { name: "endpoint", short: "e", kind: "text", help: "URL of the API server." },
    { name: "relogin", kind: "flag", help: "Log in anew, even if the stored login still works." },
    {
      name: "token",
      short: "t",
      aliases: ["service-account-token"],
      kind: "text",
      help: "A service account token (sky_...).",
    },
    { name: "no-browser", kind: "flag", help: "Open no browser (this client never does)." },
    ...CONFIG,
  ],
  run,
};

interface Credentials {
  readonly endpoint: string;
  readonly token: string | null;
}

async function run(io: Io, input: Input): Promise<number> {
  const { out, env } = io;
  refuseEnvEndpoint(io, "login to");
  const current = lookup(io.config(), "api_server.endpoint");
  const byDefault = typeof current === "string" ? { default: current } : {};
  const asked = input.text("endpoint") ??
    await out.prompt("Enter your SkyPilot API server endpoint", byDefault);
  const endpoint = asked.trim().replace(/\/+$/, "");
  if (!/^https?:\/\/[^/]/.test(endpoint) || !URL.canParse(endpoint)) {
    throw usage("Invalid value: Endpoint must be a valid URL.");
  }
  const token = input.text("token") ?? null;
  if (token !== null && !token.startsWith("sky_")) {
    throw usage("Invalid value: The service account token must start with 'sky_'.");
  }
  const kept = input.flag("relogin") || current !== endpoint
    ? null
    : lookup(io.config(), "api_server.service_account_token");
  let login: Credentials = { endpoint, token: token ?? (typeof kept === "string" ? kept : null) };
  let user = await whoAmI(io, login);
  if (user === "needs_auth" || (input.flag("relogin") && token === null)) {
    if (token !== null) throw new SkyError("auth_required", "Authentication failed.");
    login = await pastedLogin(io, endpoint);
    user = await whoAmI(io, login);
  }
  if (user === "needs_auth") throw new SkyError("auth_required", "Authentication failed.");
  await saveEndpoint(env, endpoint, login.token);
  if (user.known) borrowUserHash(env, user.id);
  const { dim, green } = out.style;
  out.line(green(`Logged into SkyPilot API server at: ${endpoint}`));
  out.line(`${dim("├── ")}User: ${user.name} (${user.id})`);
  out.line(`${dim("└── ")}Dashboard: ${endpoint}/dashboard`);
  return 0;
}

interface Known {
  readonly id: string;
  readonly name: string;
  /** The server says so; otherwise it believes us. */
  readonly known: boolean;
}

/** Ask the server with these credentials. Throws when it is not there or speaks another version. */
async function whoAmI(io: Io, { endpoint, token }: Credentials): Promise<Known | "needs_auth"> {
  const { api_server: _, ...config } = io.config();
  using sky = await connect({
    env: io.env,
    cwd: io.cwd,
    command: "sky api login",
    config: {
      ...config,
      api_server: { endpoint, ...(token === null ? {} : { service_account_token: token }) },
    },
    start: true,
    now: () => io.now(),
  });
  if (sky === undefined) {
    throw new SkyError("server_unreachable", `Could not connect to SkyPilot API server at ${endpoint}`);
  }
  try {
    const { user } = await sky.health({ signal: io.signal });
    return { ...(user ?? sky.user), known: user !== null };
  } catch (error) {
    if (isSkyError(error, "auth_required")) return "needs_auth";
    throw error;
  }
}

/** What the person got from the server's login page: a service account token, or cookies as base64 of JSON. */
async function pastedLogin(io: Io, endpoint: string): Promise<Credentials> {
  io.out.line(`Visit this URL to get the token: ${endpoint}/token`);
  const text = (await io.out.prompt("Paste the token")).trim();
  if (text.startsWith("sky_")) return { endpoint, token: text };
  const { user, cookies } = decodeCookies(text);
  await saveCookies(io.env, cookies, { endpoint, now: io.now() });
  if (typeof user === "string") borrowUserHash(io.env, user);
  return { endpoint, token: null };
}

function decodeCookies(text: string): { user: unknown; cookies: Record<string, string> } {
  const invalid = (cause: unknown) =>
    new SkyError("auth_required", "Authentication failed: this is no token of a SkyPilot API server", {
      cause,
    });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(text), (char) => char.charCodeAt(0))));
  } catch (error) {
    throw invalid(error);
  }
  const { v, user, cookies } = (value ?? {}) as { v?: unknown; user?: unknown; cookies?: unknown };
  // Older servers send the cookies alone.
  const found = v === undefined ? value : cookies;
  if (found === null || typeof found !== "object") throw invalid(undefined);
  const entries = Object.entries(found).filter((pair): pair is [string, string] =>
    typeof pair[1] === "string"
  );
  return { user, cookies: Object.fromEntries(entries) };
}
