import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { redactTask, redactYaml } from "../../core/redact.ts";
import { dumpDag, parseDag } from "../../core/task_yaml.ts";
import { parse } from "../../core/yaml.ts";

Deno.test("redactYaml hides secrets and keeps everything else byte for byte", () => {
  const text = `# my task
name:   x
envs: {A: shown, SKYPILOT_DOCKER_PASSWORD: hunter2}
secrets:
  TOKEN: hunter2   # rotate me
  MULTI: |
    hunter2
    hunter2
  secrets:REF:
  QUOTED: "hunter2"

resources:
  _docker_login_config: {username: u, password: hunter2, server: s}
run: |
  echo   $TOKEN
`;
  const redacted = redactYaml(text);
  assert(!redacted.includes("hunter2"), redacted);
  assertEquals(
    redacted,
    `# my task
name:   x
envs: {A: shown, SKYPILOT_DOCKER_PASSWORD: <redacted>}
secrets:
  TOKEN: <redacted>   # rotate me
  MULTI: <redacted>
  secrets:REF:
  QUOTED: <redacted>

resources:
  _docker_login_config: {username: u, password: <redacted>, server: s}
run: |
  echo   $TOKEN
`,
  );
  assertEquals(redactYaml(redacted), redacted);
});

Deno.test("redactYaml hides what anchors, merge keys, lists and documents carry", () => {
  const texts = [
    "run: x\nsecrets: {A: &a hunter2, B: *a}",
    "file_mounts: &m {A: hunter2x}\nsecrets: *m".replace("hunter2x", "shown"),
    "secrets:\n  <<: {A: hunter2}\n  B: hunter2",
    "secrets: {A: hunter2}\n---\nsecrets: {B: hunter2}\n",
    "resources:\n  any_of:\n  - _docker_login_config: {username: u, password: hunter2, server: s}",
    "? secrets\n: {A: hunter2}",
    "'secrets': {'A': !!str hunter2}",
    "secrets: {A: [hunter2, {b: hunter2}]}",
    "secrets: hunter2",
    '"sec\\u0072ets": {A: hunter2}',
  ];
  for (const text of texts) assert(!redactYaml(text).includes("hunter2"), redactYaml(text));
  assertEquals(redactYaml("secrets: [secrets:A]\nrun: x"), "secrets: [secrets:A]\nrun: x");
});

Deno.test("redactYaml hides text that it cannot understand", () => {
  assertEquals(redactYaml("secrets: {A: hunter2"), "<redacted>");
  assertEquals(redactYaml("secrets: {A: hunter2, A: hunter2}"), "<redacted>");
});

Deno.test("redactYaml looks into the user's text inside a dumped DAG", () => {
  const dumped = dumpDag(
    parseDag("name: x\nsecrets: {A: hunter2}\nrun: echo", { secrets: { B: "hunter2" } }),
  );
  assertStringIncludes(dumped, "hunter2");
  const redacted = redactYaml(dumped);
  assert(!redacted.includes("hunter2"), redacted);
  const [task] = parseDag(redacted).tasks;
  assertEquals(task?.secrets, { A: "<redacted>", B: "<redacted>" });
  assertEquals(task?.userYaml, "name: x\nsecrets: {A: <redacted>}\nrun: echo");
});

Deno.test("redactTask hides secrets in every field", () => {
  const [task] = parseDag(`secrets: {A: hunter2, 'secrets:B': }
envs: {E: shown}
resources: {_docker_login_config: {username: u, password: hunter2, server: s}}
run: x`).tasks;
  const redacted = redactTask(task!);
  assert(!JSON.stringify(redacted).includes("hunter2"), JSON.stringify(redacted));
  assertEquals([redacted.secrets, redacted.secretRefs, redacted.envs], [{ A: "<redacted>" }, ["secrets:B"], {
    E: "shown",
  }]);
  assertEquals(redacted.run, "x");
  assertEquals((parse(redacted.userYaml ?? "") as Record<string, unknown>)["run"], "x");
});
