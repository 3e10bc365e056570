import { assertEquals } from "@std/assert";
import {
  checkEnvNames,
  dockerLogin,
  envPairs,
  imageInRegistry,
  mergeVars,
  parseDotenv,
  parseEnvFlags,
  substitute,
} from "../../core/envs.ts";
import { assertRefuses } from "./refusal.ts";

const shell = (name: string) => ({ HOME: "/home/me", EMPTY: "" })[name];

Deno.test("substitute gives the vectors of appendix A.8", () => {
  const vars = { SIZE: "7b" };
  const cases: [string, string][] = [
    ["/m/${SIZE}b", "/m/7bb"],
    ["$SIZE/x", "7b/x"],
    ["$SIZES", "$SIZES"],
    ["${UNSET}", "${UNSET}"],
    ["$$SIZE", "$7b"],
    ["${SIZE:-x}", "7b:-x}"],
    ["$constructor ${toString}", "$constructor ${toString}"],
    ["no variables", "no variables"],
  ];
  for (const [text, result] of cases) assertEquals(substitute(text, vars), result);
  const nested: unknown = { $SIZE: ["$SIZE", 1, null, { a: "$SIZE" }] };
  assertEquals(substitute(nested, vars), { "7b": ["7b", 1, null, { a: "7b" }] });
});

Deno.test("parseEnvFlags follows the table of cli.md 2.3", () => {
  assertEquals(parseEnvFlags(["A=b=c", "B=", "HOME", "EMPTY", "A=2"], shell), {
    A: "2",
    B: "",
    HOME: "/home/me",
    EMPTY: "",
  });
  assertRefuses(() => parseEnvFlags(["KEY"], shell), "usage", "KEY is not set in local environment.");
  assertRefuses(() => parseEnvFlags(["A-B=1"], shell), "invalid_argument", "Invalid env key: A-B");
  assertRefuses(() => parseEnvFlags(["=1"], shell), "invalid_argument", "Invalid env key: ");
});

Deno.test("envPairs refuses repeated names", () => {
  assertEquals(envPairs([["A", "1"], ["B", "2"]]), { A: "1", B: "2" });
  assertRefuses(() => envPairs([["A", "1"], ["A", "2"]]), "invalid_argument", "Duplicate env keys provided.");
  assertRefuses(() => checkEnvNames({ "1A": "" }), "invalid_argument", "Invalid env key: 1A");
});

Deno.test("parseDotenv reads quotes, comments, exports and variables", () => {
  const text = `# comment
A=1
export B = two words # trailing
C='single $\{A} \\' quote'
D="double\\n\\"line\\" # no comment"
E=
F
G=\${A}-\${HOME}-\${NONE:-default}-\${NONE}
H=a#b
I="multi
line"
  J=indented\r
K="x" # after
`;
  assertEquals(parseDotenv(text, shell), {
    A: "1",
    B: "two words",
    C: "single 1 ' quote",
    D: 'double\n"line" # no comment',
    E: "",
    G: "1-/home/me-default-",
    H: "a#b",
    I: "multi\nline",
    J: "indented",
    K: "x",
  });
  assertEquals(parseDotenv("", shell), {});
});

Deno.test("mergeVars lets flags win and keeps what an env file gives to secrets secret", () => {
  const merged = mergeVars(
    { envs: { A: "yaml", B: null, C: "yaml" }, secrets: { S: null, T: "yaml", U: null } },
    {
      envFile: { A: "file", B: "file", S: "file", T: "file" },
      envs: { A: "flag", N: "new" },
      secretFile: { T: "sfile", U: "sfile" },
      secrets: { U: "sflag" },
    },
  );
  assertEquals(merged, {
    envs: { A: "flag", B: "file", C: "yaml", N: "new" },
    secrets: { S: "file", T: "sfile", U: "sflag" },
  });
  assertRefuses(
    () => mergeVars({ envs: {}, secrets: {} }, { secretFile: { "a b": "" } }),
    "invalid_argument",
    /a b/,
  );
});

Deno.test("dockerLogin and imageInRegistry put the server in front", () => {
  const vars = {
    SKYPILOT_DOCKER_USERNAME: "me",
    SKYPILOT_DOCKER_PASSWORD: "pw",
    SKYPILOT_DOCKER_SERVER: "reg.example.com",
  };
  const login = { username: "me", password: "pw", server: "reg.example.com" };
  assertEquals(dockerLogin({ envs: vars, secrets: {} }), login);
  assertEquals(dockerLogin({ envs: {}, secrets: vars }), login);
  assertEquals(dockerLogin({ envs: {}, secrets: {} }), null);
  assertEquals(imageInRegistry("docker:team/x:1", login), "docker:reg.example.com/team/x:1");
  assertEquals(imageInRegistry("docker:reg.example.com/x", login), "docker:reg.example.com/x");
  assertEquals(imageInRegistry("docker:x", null), "docker:x");
});
