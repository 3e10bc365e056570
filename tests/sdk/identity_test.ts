import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import type { Env } from "../../core/paths.ts";
import { borrowUserHash, returnUserHash, userHash, userIdentity } from "../../sdk/identity.ts";

/** Computed with Python's hashlib by the recipe of wire.md, Appendix C. */
const EXPECTED = "c87c590e";

async function withHome(
  work: (env: (more?: Record<string, string>) => Env, file: string) => void,
): Promise<void> {
  const home = await Deno.makeTempDir({ prefix: "sky-test-" });
  try {
    work(
      (more = {}) => (name) => ({ HOME: home, USER: "alice", ...more } as Record<string, string>)[name],
      join(home, ".sky/user_hash"),
    );
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("userHash is md5 of user and the last four digits of the host's md5", () => {
  assertEquals(userHash("alice", "box1"), EXPECTED);
});

Deno.test("userIdentity computes once, keeps the hash, and prefers file and variable", async () => {
  await withHome((env, file) => {
    const first = userIdentity(env(), { hostname: "box1" });
    assertEquals(first, { id: EXPECTED, name: "alice" });
    assertEquals(Deno.readTextFileSync(file), EXPECTED);
    assertEquals(userIdentity(env(), { hostname: "box2" }).id, EXPECTED);
    Deno.writeTextFileSync(file, "deadbeef\n");
    assertEquals(userIdentity(env()).id, "deadbeef");
    assertEquals(userIdentity(env({ SKYPILOT_USER_ID: "sa-1", SKYPILOT_USER: "robot" })), {
      id: "sa-1",
      name: "robot",
    });
    assertEquals(userIdentity(env({ SKYPILOT_USER_ID: "../../etc" })).id, "deadbeef");
    Deno.writeTextFileSync(file, "  \n");
    assertEquals(userIdentity(env(), { hostname: "box1" }).id, EXPECTED);
  });
});

Deno.test("returnUserHash gives back who we were before any login", async () => {
  await withHome((env) => {
    borrowUserHash(env(), "sa-1");
    returnUserHash(env());
    assertEquals(userIdentity(env(), { hostname: "box1" }).id, "sa-1", "there was nobody before");
    borrowUserHash(env(), "sa-2");
    borrowUserHash(env(), "sa-3");
    assertEquals(userIdentity(env()).id, "sa-3");
    returnUserHash(env());
    assertEquals(userIdentity(env()).id, "sa-1");
    returnUserHash(env());
    assertEquals(userIdentity(env()).id, "sa-1");
  });
});
