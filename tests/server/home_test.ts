/** The home's lock and whose server it is. */
import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async/delay";
import { join } from "@std/path";
import { SkyError } from "../../core/errors.ts";
import { homePaths } from "../../core/paths.ts";
import { failpointOf } from "../../server/failpoint.ts";
import { lockHome, prepareHome } from "../../server/home.ts";
import { ownUser } from "../../server/own_user.ts";
import { serverLog } from "../../server/server_log.ts";

async function withHome(test: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    await test(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("lockHome waits for a holder that is going, refuses a registered one", () =>
  withHome(async (root) => {
    const home = homePaths(root);
    await prepareHome(home);
    const first = await lockHome(home);
    const second = lockHome(home, 5000);
    await delay(60);
    first[Symbol.dispose]();
    using held = await second;
    assertEquals(held.path, home.serverLock);
    await Deno.writeTextFile(home.registration, "{}");
    await assertRejects(() => lockHome(home, 5000), SkyError, `pid ${Deno.pid}`);
    await Deno.remove(home.registration);
    await assertRejects(() => lockHome(home, 50), SkyError, `pid ${Deno.pid}`);
  }));

Deno.test("ownUser: given, kept, or computed as an official client would", () =>
  withHome(async (root) => {
    const of = (more: Record<string, string> = {}) => {
      const values: Record<string, string> = { HOME: root, USER: "alice", ...more };
      return ownUser((name) => values[name]);
    };
    assertMatch((await of()).id, /^[0-9a-f]{8}$/);
    assertEquals(await of({ SKYPILOT_USER_ID: "abc", SKYPILOT_USER: "bob" }), { id: "abc", name: "bob" });
    await Deno.mkdir(join(root, ".sky"));
    await Deno.writeTextFile(join(root, ".sky", "user_hash"), "fcd1e5cf\n");
    assertEquals(await of(), { id: "fcd1e5cf", name: "alice" });
    assertEquals((await of({ SKYPILOT_USER_ID: "../x" })).id, "fcd1e5cf");
  }));

Deno.test("failpointOf does nothing at other names, nor before its turn", () => {
  const point = failpointOf("after_insert:2");
  point("before_insert");
  point("after_insert"); // the second would end this process
  failpointOf(undefined)("after_insert");
  failpointOf("")("");
});

Deno.test("serverLog: one line per event, errors with stack and causes, known ones short", () => {
  let text = "";
  const log = serverLog((bytes) => text += new TextDecoder().decode(bytes), () => 0);
  log.line("hello");
  log.fault("what", new SkyError("timeout", "too slow"));
  log.fault("bug", new Error("outer", { cause: new Error("inner") }));
  log.fault("odd", "a string");
  assertStringIncludes(text, "1970-01-01T00:00:00.000Z hello\n");
  assertStringIncludes(text, "what: timeout: too slow\n");
  assertStringIncludes(text, "caused by Error: inner");
  assertStringIncludes(text, "odd: a string\n");
});
