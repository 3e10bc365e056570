import { assert, assertEquals, assertLess } from "@std/assert";
import { closeMatches, similarity } from "../../core/closest.ts";

Deno.test("closeMatches finds what difflib finds", () => {
  const known = ["name", "workdir", "num_nodes", "resources", "envs", "secrets", "setup", "run"];
  assertEquals(closeMatches("resource", known), ["resources"]);
  assertEquals(closeMatches("nme", known), ["name"]);
  assertEquals(closeMatches("env", known), ["envs"]);
  assertEquals(closeMatches("x", known), []);
  assertEquals(closeMatches("appel", ["ape", "apple", "peach", "puppy"], { count: 3 }), ["apple", "ape"]);
  assertEquals(closeMatches("anything", []), []);
});

Deno.test("similarity is 1 for equal and 0 for disjoint words", () => {
  assertEquals(similarity("", ""), 1);
  assertEquals(similarity("abc", "abc"), 1);
  assertEquals(similarity("abc", "xyz"), 0);
  // difflib's documented value for its own example.
  assert(Math.abs(similarity("abcd", "bcde") - 0.75) < 1e-9);
});

Deno.test("closeMatches is not slowed by a very long word", () => {
  const start = performance.now();
  assertEquals(closeMatches("a".repeat(1_000_000), ["aaa"]), []);
  assertLess(performance.now() - start, 1000);
});
