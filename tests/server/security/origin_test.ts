/** Host, Origin and fetch metadata: what is served and what is refused. */
import { assertEquals } from "@std/assert";
import { type OriginRules, refuseOrigin } from "../../../server/security/origin.ts";

const LOCAL: OriginRules = { hosts: [], beyondLoopback: false };
const OPEN: OriginRules = { hosts: ["sky.example.com"], beyondLoopback: true };
const status = (headers: Record<string, string>, rules = LOCAL) =>
  refuseOrigin(new Headers(headers), rules)?.status ?? 200;

Deno.test("refuseOrigin serves loopback names on any port", () => {
  for (
    const host of ["127.0.0.1:46580", "localhost:1", "LOCALHOST", "[::1]:46580", "0.0.0.0:46580", "127.0.0.9"]
  ) {
    assertEquals([host, status({ host })], [host, 200]);
  }
});

Deno.test("refuseOrigin refuses foreign, odd and missing Host headers", () => {
  for (
    const host of [
      "evil.example",
      "evil.example:46580",
      "127.0.0.1.evil.example",
      "10.0.0.5",
      "a b",
      "x@127.0.0.1",
      "127.0.0.1, evil.example",
    ]
  ) {
    assertEquals([host, status({ host })], [host, 421]);
  }
  assertEquals(status({}), 400);
});

Deno.test("refuseOrigin beyond loopback serves literals and configured names", () => {
  for (const host of ["10.0.0.5:46580", "[fe80::1]:46580", "sky.example.com", "localhost"]) {
    assertEquals([host, status({ host }, OPEN)], [host, 200]);
  }
  assertEquals(status({ host: "evil.example" }, OPEN), 421);
  assertEquals(status({ host: "evil.example" }, { hosts: ["*"], beyondLoopback: true }), 200);
});

Deno.test("refuseOrigin refuses foreign origins, also null and other ports", () => {
  const host = "127.0.0.1:46580";
  assertEquals(status({ host, origin: "http://127.0.0.1:46580" }), 200);
  for (
    const origin of [
      "http://evil.example",
      "null",
      "http://127.0.0.1:8080",
      "http://127.0.0.1:46580.evil.example",
    ]
  ) {
    assertEquals([origin, status({ host, origin })], [origin, 403]);
  }
});

Deno.test("refuseOrigin refuses cross-site fetches without Origin, but lets links through", () => {
  const host = "localhost:46580";
  assertEquals(status({ host, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" }), 403);
  assertEquals(status({ host, "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors" }), 403);
  assertEquals(status({ host, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }), 200);
  assertEquals(status({ host, "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors" }), 200);
});
