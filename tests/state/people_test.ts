import { assert, assertEquals } from "@std/assert";
import { SettingStore } from "../../state/settings.ts";
import { TokenStore } from "../../state/tokens.ts";
import { UserStore } from "../../state/users.ts";
import { withDatabase } from "./fixture.ts";

Deno.test("TokenStore keeps no token text, verifies until expiry, rotation or revocation", async () => {
  await withDatabase(async (database, _folder, clock) => {
    const store = new TokenStore(database);
    const base = { name: "ci", userId: "sa-1", creatorId: "a" };
    await store.put({ ...base, id: "t1", expiresAt: null }, "sky_one");
    await store.put({ ...base, id: "t2", expiresAt: clock.now + 1000 }, "sky_two");
    assert(!JSON.stringify(await database.read("SELECT * FROM tokens")).includes("sky_one"));
    assertEquals((await store.verify("sky_one"))?.userId, "sa-1");
    assertEquals(await store.verify("sky_wrong"), null);
    assertEquals((await store.list())[0]?.lastUsedAt, clock.now);
    assertEquals((await store.verify("sky_two"))?.id, "t2");
    clock.now += 1000;
    assertEquals(await store.verify("sky_two"), null);
    await store.put({ ...base, id: "t1", expiresAt: null }, "sky_three");
    assertEquals(await store.verify("sky_one"), null);
    assertEquals((await store.verify("sky_three"))?.id, "t1");
    assertEquals(await store.sweep(clock.now + 1), 1);
    assertEquals((await store.list({ userId: "sa-1" })).map((each) => each.id), ["t1"]);
    assertEquals(await store.list({ userId: "other" }), []);
    assert(await store.delete("t1"));
    assertEquals(await store.delete("t1"), false);
    assertEquals(await store.verify("sky_three"), null);
  });
});

Deno.test("UserStore remembers users and their newest name", async () => {
  await withDatabase(async (database, _folder, clock) => {
    const store = new UserStore(database);
    assert(await store.upsert({ id: "a", name: "ann" }));
    assertEquals(await store.upsert({ id: "a", name: "ann" }), false);
    assert(await store.upsert({ id: "a", name: "anna" }));
    await store.upsert({ id: "s", name: "robot" }, { kind: "service" });
    assertEquals(await store.get("a"), { id: "a", name: "anna", kind: "person", createdAt: clock.now });
    assertEquals((await store.list()).map((user) => user.kind), ["person", "service"]);
    assertEquals(await store.get("none"), null);
    assert(await store.delete("s"));
  });
});

Deno.test("SettingStore keeps JSON values, sets once when asked", async () => {
  await withDatabase(async (database) => {
    const store = new SettingStore(database);
    assertEquals(await store.get("k"), undefined);
    await store.set("k", { a: [1, null, "é"] });
    assertEquals(await store.get("k"), { a: [1, null, "é"] });
    await store.set("k", null);
    assertEquals(await store.get("k"), null);
    const [one, two] = await Promise.all([store.setOnce("secret", "x"), store.setOnce("secret", "y")]);
    assertEquals([one, two], ["x", "x"]);
    assert(await store.delete("k"));
    assertEquals(await store.delete("k"), false);
  });
});
