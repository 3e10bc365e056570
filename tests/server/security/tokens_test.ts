/** Service-account tokens over a real database: issue, prove, expire, revoke, forge. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { SkyError } from "../../../core/errors.ts";
import { readToken, signToken } from "../../../server/security/jwt.ts";
import { bearerToken, tokenAuthority } from "../../../server/security/tokens.ts";
import { Database } from "../../../state/database.ts";
import { SettingStore } from "../../../state/settings.ts";
import { TokenStore } from "../../../state/tokens.ts";
import { UserStore } from "../../../state/users.ts";

interface World extends AsyncDisposable {
  readonly file: string;
  readonly deps: Parameters<typeof tokenAuthority>[0];
  time: number;
}

async function world(): Promise<World> {
  const folder = await Deno.makeTempDir();
  const file = join(folder, "sky.db");
  const made = { time: 1_800_000_000_000 };
  const database = await Database.open({ path: file, now: () => made.time });
  return {
    file,
    get time() {
      return made.time;
    },
    set time(value) {
      made.time = value;
    },
    deps: {
      tokens: new TokenStore(database),
      users: new UserStore(database),
      settings: new SettingStore(database),
      now: () => made.time,
    },
    async [Symbol.asyncDispose]() {
      await database.close();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

const denied = async (promise: Promise<unknown>, text: string) => {
  const error = await assertRejects(() => promise, SkyError, text);
  assertEquals(error.code, "auth_required");
};

Deno.test("a token proves its service account, also over a restart, and its text is nowhere on disk", async () => {
  await using made = await world();
  const authority = tokenAuthority(made.deps);
  const issued = await authority.issue("ci", { creatorId: "abc", expiresInDays: null });
  assertMatch(issued.token, /^sky_[\w-]+\.[\w-]+\.[\w-]+$/);
  assertMatch(issued.userId, /^sa-[0-9a-f]{16}$/);
  assertEquals(await authority.prove(issued.token), { id: issued.userId, name: "ci" });
  const again = tokenAuthority(made.deps);
  assertEquals((await again.prove(issued.token)).id, issued.userId);
  for (const suffix of ["", "-wal"]) {
    const bytes = new TextDecoder("latin1").decode(await Deno.readFile(made.file + suffix));
    assert(!bytes.includes(issued.token));
    assert(!bytes.includes(issued.token.split(".")[2]!));
  }
});

Deno.test("an expired, revoked, forged or foreign token is refused, saying why", async () => {
  await using made = await world();
  const authority = tokenAuthority(made.deps);
  const short = await authority.issue("short", { creatorId: "abc", expiresInDays: 1 });
  await authority.prove(short.token);
  made.time += 86_400_000;
  await denied(authority.prove(short.token), "Service account token has expired");
  const gone = await authority.issue("gone", { creatorId: "abc", expiresInDays: 0 });
  assert(await authority.revoke(gone.tokenId));
  await denied(authority.prove(gone.token), "Service account token revoked or rotated");
  const [head, body] = gone.token.split(".");
  for (
    const forged of [
      `${gone.token}x`,
      `${head}.${body}.`,
      `${head}.${body}`,
      "sky_",
      "sky_a.b.c",
      `${head}.${body}.AAAA`,
    ]
  ) {
    await denied(authority.prove(forged), "Invalid or expired service account token");
  }
  const claims = { tokenId: "t", userId: "u", issuedAt: 1, expiresAt: null };
  await denied(
    authority.prove(signToken(claims, "another secret")),
    "Invalid or expired service account token",
  );
});

Deno.test("a token whose user is gone is refused", async () => {
  await using made = await world();
  const authority = tokenAuthority(made.deps);
  const issued = await authority.issue("lost", { creatorId: "abc", expiresInDays: null });
  await made.deps.users.delete(issued.userId);
  await denied(authority.prove(issued.token), "Service account user no longer exists");
});

Deno.test("readToken: payload as SkyPilot writes it; algorithm none is refused", () => {
  const claims = { tokenId: "k1", userId: "sa-1", issuedAt: 100, expiresAt: 200 };
  const token = signToken(claims, "s");
  const payload = JSON.parse(atob(token.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/")));
  assertEquals(payload, { i: "sky", t: 100, u: "sa-1", k: "k1", y: "sa", e: 200, exp: 200 });
  assertEquals(readToken(token, "s"), claims);
  assertEquals(readToken(token, "t"), null);
  const none = btoa(JSON.stringify({ alg: "none" })).replaceAll("=", "");
  assertEquals(readToken(`sky_${none}.${token.split(".")[1]}.`, "s"), null);
});

Deno.test("bearerToken reads sky_ tokens only", () => {
  const of = (authorization: string) => bearerToken(new Headers({ authorization }));
  assertEquals(of("Bearer sky_abc"), "sky_abc");
  assertEquals(of("bearer   sky_abc"), "sky_abc");
  assertEquals(of("Bearer abc"), null);
  assertEquals(of("Basic sky_abc"), null);
  assertEquals(bearerToken(new Headers()), null);
});
