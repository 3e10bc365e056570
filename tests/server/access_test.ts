/** Who gets in: transports × tokens × paths, peers, origins, drains (wire.md §15). */
import { assert, assertEquals } from "@std/assert";
import { HEADERS } from "../../api/wire.ts";
import type { PeerCheck } from "../../server/security/peer.ts";
import { ENV_VARS, makeRig, type Rig } from "./rig.ts";

const LOOPBACK: Deno.NetAddr = { transport: "tcp", hostname: "127.0.0.1", port: 50_000 };
const OUTSIDE: Deno.NetAddr = { transport: "tcp", hostname: "10.0.0.9", port: 50_000 };
const UNIX: Deno.UnixAddr = { transport: "unix", path: "/x" };
const HOST = { host: "127.0.0.1:46580" };

async function ask(
  rig: Rig,
  path: string,
  { remote, headers = {}, body }: { remote: Deno.Addr; headers?: Record<string, string>; body?: unknown },
): Promise<{ status: number; json: unknown; headers: Headers }> {
  const init: RequestInit = {
    headers: { ...(remote.transport === "tcp" ? HOST : {}), ...headers },
    ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
  };
  const response = await rig.app(path, init, {
    remote,
    local: { transport: "tcp", hostname: "127.0.0.1", port: 46580 },
  });
  return { status: response.status, json: JSON.parse(await response.text()), headers: response.headers };
}

const peersSaying = (uid: number | null): PeerCheck => ({
  uidOf: () => Promise.resolve(uid),
  [Symbol.dispose]: () => {},
});

Deno.test("beyond loopback every TCP caller needs a token; the unix socket does not", async () => {
  await using rig = await makeRig({
    works: { "sky.status": (_body, ctx) => Promise.resolve(ctx.user) },
    security: { tokensRequired: true, origin: { hosts: ["*"], beyondLoopback: true } },
  });
  const { token, userId } = await rig.deps.security.tokens.issue("ci", {
    creatorId: "x",
    expiresInDays: null,
  });
  const bearer = { authorization: `Bearer ${token}` };
  for (const remote of [LOOPBACK, OUTSIDE]) {
    for (
      const [path, body] of [
        ["/status", {}],
        ["/api/status", undefined],
        ["/api/get?request_id=x", undefined],
        ["/nowhere", undefined],
        ["/upload_v2/blob?user_hash=u&blob_id=x", undefined],
      ] as const
    ) {
      const refused = await ask(rig, path, { remote, body });
      assertEquals([path, refused.status, refused.json], [path, 401, { detail: "Authentication required" }]);
      assertEquals(refused.headers.get("www-authenticate"), "Bearer");
      assertEquals(refused.headers.get(HEADERS.apiVersion), "53");
    }
    assertEquals((await ask(rig, "/api/status", { remote, headers: bearer })).status, 200);
  }
  for (const bad of [`Bearer ${token}x`, "Bearer sky_a.b.c", `Bearer ${token.slice(0, -4)}AAAA`]) {
    const refused = await ask(rig, "/api/status", { remote: OUTSIDE, headers: { authorization: bad } });
    assertEquals([refused.status, refused.json && typeof refused.json === "object"], [401, true]);
  }
  for (const other of ["Bearer abc", "Basic eDp5", `Token ${token}`]) {
    assertEquals(
      (await ask(rig, "/api/status", { remote: OUTSIDE, headers: { authorization: other } })).status,
      401,
    );
  }
  assertEquals((await ask(rig, "/api/status", { remote: UNIX })).status, 200);

  // The token's user counts, whatever the envelope says.
  const submitted = await ask(rig, "/status", {
    remote: OUTSIDE,
    headers: bearer,
    body: { env_vars: ENV_VARS },
  });
  const payload = await rig.get(submitted.headers.get(HEADERS.requestId)!);
  assertEquals(JSON.parse(payload.return_value), { id: userId, name: "ci" });
  assertEquals(payload.user_id, userId);
});

Deno.test("health: healthy to all, needs_auth to a client without a token, its user to one with", async () => {
  await using rig = await makeRig({
    security: { tokensRequired: true, origin: { hosts: ["*"], beyondLoopback: true } },
  });
  const { token, userId } = await rig.deps.security.tokens.issue("ci", {
    creatorId: "x",
    expiresInDays: null,
  });
  const probe = await ask(rig, "/api/health", { remote: OUTSIDE });
  assertEquals([probe.status, probe.json], [200, { status: "healthy" }]);
  const version = { [HEADERS.apiVersion]: "53" };
  const client = await ask(rig, "/api/health", { remote: OUTSIDE, headers: version });
  assertEquals((client.json as { status: string }).status, "needs_auth");
  const known = await ask(rig, "/api/health", {
    remote: OUTSIDE,
    headers: { ...version, authorization: `Bearer ${token}` },
  });
  const { status, user } = known.json as { status: string; user: unknown };
  assertEquals([status, user], ["healthy", { id: userId, name: "ci", user_type: "sa" }]);
  const wrong = await ask(rig, "/api/health", {
    remote: OUTSIDE,
    headers: { ...version, authorization: "Bearer sky_x" },
  });
  assertEquals(wrong.status, 401);
});

Deno.test("on loopback another user of the machine is refused, root and we are not", async () => {
  const uid = 1000;
  const as = async (found: number | null, remote: Deno.Addr = LOOPBACK) => {
    await using rig = await makeRig({ security: { peers: peersSaying(found), uid } });
    const answer = await ask(rig, "/api/status", { remote });
    return answer.status;
  };
  assertEquals(await as(uid), 200);
  assertEquals(await as(0), 200);
  assertEquals(await as(1001), 403);
  assertEquals(await as(null), 403);
  assertEquals(await as(1001, UNIX), 200);
});

Deno.test("Host and Origin are checked on TCP before anything else", async () => {
  await using rig = await makeRig();
  const status = async (headers: Record<string, string>, remote: Deno.Addr = LOOPBACK) =>
    (await ask(rig, "/api/health", { remote, headers })).status;
  assertEquals(await status({}), 200);
  assertEquals(await status({ host: "evil.example" }), 421);
  assertEquals(await status({ origin: "http://evil.example" }), 403);
  assertEquals(await status({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" }), 403);
  assertEquals(await status({ host: "evil.example" }, UNIX), 200);
  const post = await ask(rig, "/check", { remote: LOOPBACK, headers: { origin: "null" }, body: {} });
  assertEquals(post.status, 403);
  assertEquals(await rig.engine.list({ allStatus: true }), []);
});

Deno.test("service-account tokens over HTTP: made, listed without their text, used, deleted", async () => {
  await using rig = await makeRig({
    security: { tokensRequired: true, origin: { hosts: ["*"], beyondLoopback: true } },
  });
  const tokens = "/users/service-account-tokens";
  const made = await ask(rig, tokens, { remote: UNIX, body: { token_name: "ci", expires_in_days: 30 } });
  assertEquals(made.status, 200);
  const { token, token_id } = made.json as { token: string; token_id: string };
  const list = await ask(rig, tokens, { remote: UNIX });
  assert(!JSON.stringify(list.json).includes(token));
  assertEquals((list.json as { token_name: string }[])[0]!.token_name, "ci");
  const bearer = { authorization: `Bearer ${token}` };
  assertEquals((await ask(rig, "/users/me/workspace", { remote: OUTSIDE, headers: bearer })).status, 200);
  const role = await ask(rig, "/users/role", { remote: OUTSIDE, headers: bearer });
  assertEquals((role.json as { name: string; role: string }).role, "admin");
  assertEquals((await ask(rig, `${tokens}/delete`, { remote: UNIX, body: { token_id } })).status, 200);
  assertEquals((await ask(rig, `${tokens}/delete`, { remote: UNIX, body: { token_id } })).status, 404);
  assertEquals((await ask(rig, "/users/role", { remote: OUTSIDE, headers: bearer })).status, 401);
  assertEquals((await ask(rig, tokens, { remote: UNIX, body: {} })).status, 422);
  assertEquals((await ask(rig, tokens, { remote: UNIX, body: { token_name: "../x" } })).status, 400);
});

Deno.test("without tokens nobody is authenticated: /users/me/workspace is 401, the role says admin", async () => {
  await using rig = await makeRig();
  const workspace = await ask(rig, "/users/me/workspace", { remote: UNIX });
  assertEquals([workspace.status, workspace.json], [401, { detail: "Not authenticated." }]);
  assertEquals((await ask(rig, "/users/role", { remote: UNIX })).json, { id: "", name: "", role: "admin" });
});
