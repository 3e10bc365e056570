import { assertEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { SkyError } from "../../core/errors.ts";
import { bearerToken, cookieFile, cookieReader, removeCookies, saveCookies } from "../../sdk/credentials.ts";

Deno.test("bearerToken prefers the variable and refuses what is no service-account token", () => {
  const config = { api_server: { service_account_token: "sky_config" } };
  const variable = (value: string) => (name: string) =>
    name === "SKYPILOT_SERVICE_ACCOUNT_TOKEN" ? value : undefined;
  assertEquals(bearerToken(() => undefined, {}), null);
  assertEquals(bearerToken(() => undefined, config), "sky_config");
  assertEquals(bearerToken(variable("sky_env"), config), "sky_env");
  const error = assertThrows(() => bearerToken(variable("ghp_x"), config), SkyError);
  assertEquals(error.message, 'Invalid service account token format. Token must start with "sky_"');
});

Deno.test("cookies are kept and sent as a browser would", async () => {
  const home = await Deno.makeTempDir({ prefix: "sky-test-" });
  try {
    const env = (name: string) => name === "HOME" ? home : undefined;
    const now = 1_780_000_000_000;
    const at = (url: string, time = now) => cookieReader(env, () => time)(new URL(url));
    assertEquals(at("https://sky.example.org/api/get"), null);
    await Deno.mkdir(join(home, ".sky"));
    await Deno.writeTextFile(
      cookieFile(env),
      "# Netscape HTTP Cookie File\n" +
        "#HttpOnly_other.example.org\tFALSE\t/\tFALSE\t0\tsession\tabc\n" +
        "paths.example.org\tFALSE\t/api\tFALSE\t0\tdeep\t1\n" +
        ".sky.example.org\tTRUE\t\tTRUE\t1880000000\told\tbefore\n",
    );
    await saveCookies(env, { old: "after", fresh: "x=y" }, { endpoint: "https://sky.example.org", now });
    assertEquals(at("https://sky.example.org/status"), "old=after; fresh=x=y");
    assertEquals(at("https://a.sky.example.org/status"), "old=after; fresh=x=y");
    assertEquals(at("http://sky.example.org/status"), null);
    assertEquals(at("https://evilsky.example.org/status"), null);
    assertEquals(at("https://sky.example.org/status", now + 8 * 86_400_000), null);
    assertEquals(at("http://other.example.org/x"), "session=abc");
    assertEquals(at("http://paths.example.org/apix"), null);
    assertEquals(at("http://paths.example.org/api/x"), "deep=1");
    assertEquals(((await Deno.stat(cookieFile(env))).mode ?? 0) & 0o777, 0o600);
    await removeCookies(env);
    await removeCookies(env);
    assertEquals(at("https://sky.example.org/status"), null);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
