import { assert, assertEquals, assertLess } from "@std/assert";
import {
  checkNotReserved,
  cleanUserName,
  generatedClusterName,
  isGlob,
  looksLikeFilePath,
  matchesGlob,
  matchNames,
  nameOnCloud,
} from "../../core/names.ts";
import { checkClusterName } from "../../core/cluster.ts";
import { assertRefuses } from "./refusal.ts";

Deno.test("nameOnCloud gives the vectors of appendix A.7", () => {
  const long = "a-very-long-cluster-name-for-training-llama-70b";
  const cases: [string, number, string][] = [
    ["x", 35, "x-abcdef12"],
    ["My.Cluster_1", 42, "my-cluster-1-abcdef12"],
    [long, 42, "a-very-long-cluster-name-for-t-9f-abcdef12"],
    [long, 35, "a-very-long-cluster-nam-9f-abcdef12"],
  ];
  for (const [name, limit, result] of cases) {
    assertEquals(nameOnCloud(name, { userHash: "abcdef12", limit }), result);
    assert(result.length <= limit);
  }
});

Deno.test("cleanUserName and generatedClusterName clean as cli.md 2.5 says", () => {
  assertEquals(cleanUserName("Alice"), "alice");
  assertEquals(cleanUserName("1-2Bob.Smith@x-"), "bobsmithx");
  assertEquals(cleanUserName("a".repeat(80)).length, 63);
  assertEquals(generatedClusterName("Alice", "3f2a"), "sky-3f2a-alice");
});

Deno.test("checkNotReserved refuses controller names", () => {
  assertRefuses(
    () => checkNotReserved("sky-jobs-controller-abc", "Launching tasks"),
    "not_supported",
    "Cluster sky-jobs-controller-abc is reserved for managed jobs controller. Launching tasks on it is not allowed.",
  );
  assertRefuses(
    () => checkNotReserved("sky-serve-controller-1", "Executing task"),
    "not_supported",
    "Cluster sky-serve-controller-1 is reserved for sky serve controller. Executing task on it is not allowed.",
  );
  checkNotReserved("my-cluster", "Launching tasks");
});

Deno.test("checkClusterName names the regex", () => {
  checkClusterName("a");
  checkClusterName("My-cluster_1.x");
  for (const bad of ["a_b@c", "1a", "-a", "a-", "", "a b", "a\n"]) {
    assertRefuses(
      () => checkClusterName(bad),
      "invalid_cluster_name",
      /^Cluster name ".*" is invalid; ensure/s,
    );
  }
});

Deno.test("looksLikeFilePath sees YAML and JSON files", () => {
  assertEquals(["a.yaml", "a.yml", "dir/a.json", "a.txt", "yaml"].map(looksLikeFilePath), [
    true,
    true,
    true,
    false,
    false,
  ]);
});

Deno.test("matchesGlob matches whole names as fnmatch does", () => {
  const yes = [
    "*|abc",
    "a*|abc",
    "*c|abc",
    "a?c|abc",
    "a[bx]c|abc",
    "a[!x]c|abc",
    "a[a-c]c|abc",
    "abc|abc",
    "*|",
    "a[]]|a]",
    "a[|a[",
  ];
  const no = ["a|abc", "A*|abc", "a?|abc", "a[x]c|abc", "a[!b]c|abc", "|a", "a[d-f]c|abc", "?|"];
  for (const each of yes) assert(matchesGlob(...(each.split("|") as [string, string])), each);
  for (const each of no) assert(!matchesGlob(...(each.split("|") as [string, string])), each);
});

Deno.test("matchesGlob is not slowed by many stars", () => {
  const start = performance.now();
  assert(!matchesGlob(`${"*a".repeat(200)}b`, "a".repeat(5000)));
  assertLess(performance.now() - start, 5000);
});

Deno.test("matchNames merges duplicates and reports only literals that are missing", () => {
  assertEquals(matchNames(["b*", "a", "b1", "zzz", "q*", "zzz"], ["a", "b1", "b2", "c"]), {
    matched: ["a", "b1", "b2"],
    missing: ["zzz"],
  });
  assertEquals([isGlob("a*"), isGlob("a?"), isGlob("[ab]"), isGlob("ab")], [true, true, true, false]);
});
