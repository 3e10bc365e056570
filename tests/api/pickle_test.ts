import { assertEquals, assertThrows } from "@std/assert";
import { dumpPickle, fromBase64, PythonCall, toBase64 } from "../../api/pickle.ts";
import { loadPickle } from "../../api/unpickle.ts";
import { SkyError } from "../../core/errors.ts";

Deno.test("dumpPickle writes the vectors of wire.md 14.2 and 14.6", () => {
  assertEquals(toBase64(dumpPickle(null)), "gAJOLg==");
  const boom = { type: "ValueError", message: "boom", args: ["boom"], attributes: {}, stacktrace: null };
  assertEquals(
    toBase64(dumpPickle(boom)),
    "gAJ9KFgEAAAAdHlwZVgKAAAAVmFsdWVFcnJvclgHAAAAbWVzc2FnZVgEAAAAYm9vbVgEAAAAYXJnc10oWAQAAABib29tZVgKAAAAYXR0cmlidXRlc31YCgAAAHN0YWNrdHJhY2VOdS4=",
  );
  assertEquals(dumpPickle(boom).length, 104);
  assertEquals(
    toBase64(dumpPickle({ type: "ClusterDoesNotExist", args: ["Cluster 'c1' does not exist."] })),
    "gAJ9KFgEAAAAdHlwZVgTAAAAQ2x1c3RlckRvZXNOb3RFeGlzdFgEAAAAYXJnc10oWBwAAABDbHVzdGVyICdjMScgZG9lcyBub3QgZXhpc3QuZXUu",
  );
});

Deno.test("dumpPickle writes calls with options as CPython reads them", () => {
  const days = new PythonCall("datetime", "timedelta", { days: 2 });
  // CPython makes [{'a': [1, 'x'], 'b': datetime.timedelta(days=2)}] of it.
  assertEquals(
    toBase64(dumpPickle([new PythonCall("builtins", "dict", { a: [1, "x"], b: days })])),
    "gAJdKGNmdW5jdG9vbHMKcGFydGlhbAooY2J1aWx0aW5zCmRpY3QKdFIoY2J1aWx0aW5zCmRpY3QKKX0oWAEAAABhXShKAQAAAFgBAAAAeGVYAQAAAGJjZnVuY3Rvb2xzCnBhcnRpYWwKKGNkYXRldGltZQp0aW1lZGVsdGEKdFIoY2RhdGV0aW1lCnRpbWVkZWx0YQopfShYBAAAAGRheXNKAgAAAHVOdGIpUnVOdGIpUmUu",
  );
});

Deno.test("loadPickle reads None of all three protocols", () => {
  for (const text of ["gAROLg==", "gAJOLg==", "Ti4="]) assertEquals(loadPickle(fromBase64(text)), null);
});

Deno.test("loadPickle reads back what dumpPickle writes", () => {
  const value = {
    "": [null, true, false, 0, -1, 2147483647, -2147483647, 4294967296, 0.5, -1e300],
    text: "héllo \u{1f600}\n",
    nested: { empty: {}, list: [[], [[]]] },
  };
  assertEquals(loadPickle(dumpPickle(value)), value);
});

/** Made by CPython's pickle module from the classes of the same shape. */
const HANDLE =
  "gASV6wAAAAAAAACMB3BpY2tsZXOUjAZIYW5kbGWUk5QpgZR9lCiMCF92ZXJzaW9ulEsMjAxjbHVzdGVyX25hbWWUjAJjMZSMA2lwc5RdlIwIMTAuMC4wLjWUjAsyMDMuMC4xMTMuN5SGlGGMBXBvcnRzlF2UKEsWTV4BZYwEcGFpcpRoCEsBiIeUjANiaWeUigYAAAAAAAGMA25lZ5RK+////4wFZmxvYXSURz/4AAAAAAAAjANzZXSUj5QoSwGQjARkYXRhlEMCAP+UjARub25llE6MBnN0YXR1c5RoAIwGU3RhdHVzlJOUjAJVUJSFlFKUdWIu";

Deno.test("loadPickle describes objects as class, args and state and never makes one", () => {
  const value = loadPickle(fromBase64(HANDLE)) as {
    class: string;
    args: unknown[];
    state: Record<string, unknown>;
  };
  assertEquals(value.class, "pickles.Handle");
  assertEquals(value.args, []);
  const state = value.state;
  assertEquals(state["_version"], 12);
  assertEquals(state["ips"], [["10.0.0.5", "203.0.113.7"]]);
  assertEquals(state["ports"], [22, 350]);
  assertEquals(state["big"], 2 ** 40);
  assertEquals(state["neg"], -5);
  assertEquals(state["float"], 1.5);
  assertEquals(state["set"], [1]);
  assertEquals(state["data"], new Uint8Array([0, 255]));
  assertEquals(state["status"], { class: "pickles.Status", args: ["UP"], state: null });
});

Deno.test("loadPickle keeps a key __proto__ as data", () => {
  const value = loadPickle(dumpPickle(JSON.parse('{"__proto__": {"polluted": true}}'))) as object;
  assertEquals(Object.keys(value), ["__proto__"]);
  assertEquals(({} as Record<string, unknown>)["polluted"], undefined);
});

Deno.test("loadPickle refuses what it does not know, cut and empty input", () => {
  const cases = [
    "",
    "\x80\x04",
    "\x80\x04X\xff\xff\xff\xff.", // a length beyond the end
    "cos\nsystem\n(S'id'\ntR.", // the classic: calls are only described, S is not an opcode we know
    "\x80\x02e.",
    "\x80\x02.",
    "\x80\x02h\x05.",
    "\x80\x02N}b.",
  ];
  for (const text of cases) {
    const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
    assertThrows(() => loadPickle(bytes), SkyError, "pickled");
  }
});

Deno.test("loadPickle only describes a call of a global", () => {
  const bytes = new TextEncoder().encode("cos\nsystem\n(X\x02\x00\x00\x00idtR.");
  assertEquals(loadPickle(bytes), { class: "os.system", args: ["id"], state: null });
});

Deno.test("fromBase64 refuses text that is not base64", () => {
  assertThrows(() => fromBase64("*"), SkyError, "base64");
});
