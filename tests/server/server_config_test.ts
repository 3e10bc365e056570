/** The server's config: reading, reading again, and what of a caller's counts. */
import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { SkyError } from "../../core/errors.ts";
import { retentionFrom } from "../../server/background.ts";
import { serverConfig } from "../../server/server_config.ts";
import { checkWorkspace, workspacesOf } from "../../server/workspaces.ts";

Deno.test("serverConfig reads the file, follows its changes, keeps the last good one", async () => {
  const home = await Deno.makeTempDir();
  try {
    const env = (name: string) => name === "HOME" ? home : undefined;
    const faults: unknown[] = [];
    const config = await serverConfig(env, (error) => faults.push(error));
    assertEquals([config.current(), faults], [{}, []]);
    await Deno.mkdir(join(home, ".sky"));
    const file = join(home, ".sky", "config.yaml");
    await Deno.writeTextFile(file, "api_server:\n  requests_retention_hours: 1\n");
    await config.refresh();
    assertEquals(config.current(), { api_server: { requests_retention_hours: 1 } });
    await Deno.writeTextFile(file, "a: [broken\n");
    await assertRejects(() => config.refresh(), SkyError);
    assertEquals(config.current(), { api_server: { requests_retention_hours: 1 } });
    await config.refresh();
    await Deno.remove(file);
    await config.refresh();
    assertEquals(config.current(), {});
    await Deno.writeTextFile(file, "a: [broken\n");
    assertEquals((await serverConfig(env, (error) => faults.push(error))).current(), {});
    assertEquals(faults.length, 1);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("workspaces: default always, others by the server's config", async () => {
  assertEquals(workspacesOf({}), { default: {} });
  const config = { workspaces: { b: { private: true }, a: null } };
  assertEquals(workspacesOf(config), { default: {}, b: { private: true }, a: {} });
  checkWorkspace("b", config);
  await assertRejects(
    () => Promise.resolve().then(() => checkWorkspace("x", config)),
    SkyError,
    "Workspace x does not exist. Use one of the following workspaces: a, b, default",
  );
});

Deno.test("retentionFrom: hours, never, bytes", () => {
  const of = (api_server: Record<string, unknown>) => retentionFrom({ api_server });
  assertEquals(of({}), {});
  assertEquals(of({ requests_retention_hours: 2 }), { maxAgeMs: 7_200_000 });
  assertEquals(of({ requests_retention_hours: -1 }).maxAgeMs! < 0, true);
  assertEquals(of({ requests_log_bytes: 1000 }), { maxLogBytes: 1000 });
  assertEquals(of({ requests_retention_hours: "x", requests_log_bytes: 0 }), {});
});
