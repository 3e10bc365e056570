/** The first token of a server that other machines may reach: made once, told once (wire.md §11.4). */
import type { Registration } from "../../../api/wire.ts";
import { Http } from "../../../sdk/http.ts";
import { TIMING } from "../../../sdk/timing.ts";

const TOKENS = "/users/service-account-tokens";

/** Ask over the owner's own socket. Null when the server has tokens already. */
export async function firstToken(server: Registration): Promise<string | null> {
  using http = new Http({
    endpoint: server.url,
    socket: server.socket,
    token: null,
    cookies: null,
    clientType: null,
    fetch: globalThis.fetch,
    timing: TIMING,
    revive: null,
    notice: () => {},
  });
  const known = await http.json({ method: "GET", path: TOKENS });
  if (!Array.isArray(known) || known.length > 0) return null;
  const issued = await http.json({ method: "POST", path: TOKENS, json: { token_name: "admin" } });
  const { token } = issued as { token?: unknown };
  return typeof token === "string" ? token : null;
}
