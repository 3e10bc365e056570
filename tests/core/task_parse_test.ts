import { assertEquals } from "@std/assert";
import { checkTask, newTask, parseTask, taskFromCommand } from "../../core/task_parse.ts";
import { parse } from "../../core/yaml.ts";
import { assertRefuses } from "./refusal.ts";

const from = (text: string) => parseTask(parse(text, { asText: ["envs", "secrets"] }));
const malformed = (text: string, rest: string) =>
  assertRefuses(() => from(text), "invalid_task", `Invalid task YAML: ${rest}`);
const refused = (text: string, message: string | RegExp) =>
  assertRefuses(() => from(text), "invalid_argument", message);

Deno.test("parseTask takes an empty document as a task that asks for nothing", () => {
  assertEquals(parseTask(null), newTask());
  assertEquals(from("resources:\nenvs:\nrun:\n"), newTask());
});

Deno.test("parseTask reads every section", () => {
  const task = parseTask({
    name: "train.v1",
    workdir: { url: "https://x/y.git" },
    num_nodes: 2,
    resources: { cpus: 4 },
    envs: { A: 1.5, B: true, C: "x" },
    secrets: { T: "shh", "secrets:personal.K": null },
    managed_secrets: ["a", { B: { mount_path: "/x" } }],
    api_server_access: false,
    setup: "make",
    run: "echo hi",
    file_mounts: { "/data": "./data", out: { name: "b", mode: "copy" } },
    volumes: { "/v": "vol", "~/w": { size: "10Gi" } },
    event_callback: "true",
    inputs: { "s3://x": 1 },
    config: { kubernetes: { provision_timeout: 5 }, hooks: [{ run: "sync", events: ["stop"] }] },
    _metadata: { git_commit: "abc" },
    _user_specified_yaml: "name: train.v1\n",
    file_mounts_mapping: { "./data": "/abs/data" },
  });
  assertEquals(task, {
    name: "train.v1",
    workdir: { url: "https://x/y.git", ref: null },
    numNodes: 2,
    resources: task.resources,
    envs: { A: "1.5", B: "True", C: "x" },
    secrets: { T: "shh" },
    secretRefs: ["secrets:personal.K"],
    setup: "make",
    run: "echo hi",
    fileMounts: { "/data": "./data", out: { name: "b", mode: "copy" } },
    fileMountsMapping: { "./data": "/abs/data" },
    sections: {
      config: { kubernetes: { provision_timeout: 5 }, hooks: [{ run: "sync", events: ["stop"] }] },
      inputs: { "s3://x": 1 },
      event_callback: "true",
      managed_secrets: ["a", { B: { mount_path: "/x" } }],
      volumes: { "/v": "vol", "~/w": { size: "10Gi" } },
      _metadata: { git_commit: "abc" },
      api_server_access: false,
    },
    userYaml: "name: train.v1\n",
  });
  assertEquals(task.resources.candidates[0]?.cpus, "4");
});

Deno.test("parseTask tells unknown keys and wrong shapes in the words of domain.md 1.1", () => {
  malformed("resource: {}", "Instead of 'resource', did you mean 'resources'?");
  malformed("x: 1", "Found unsupported field 'x'.");
  malformed(
    "x: 1\nresource: {}",
    "Found unsupported field 'x'. Instead of 'resource', did you mean 'resources'?",
  );
  malformed("experimental: {}", "Found unsupported field 'experimental'.");
  malformed("run: 5", "5 is not of type 'string'. Check problematic field(s): $.run");
  malformed("run: [a]", "['a'] is not of type 'string'. Check problematic field(s): $.run");
  malformed("name: yes", "True is not of type 'string'. Check problematic field(s): $.name");
  malformed("num_nodes: abc", "'abc' is not of type 'integer'. Check problematic field(s): $.num_nodes");
  malformed("num_nodes: 1.5", "1.5 is not of type 'integer'. Check problematic field(s): $.num_nodes");
  malformed("envs: [a]", "['a'] is not of type 'dict'. Check problematic field(s): $.envs");
  malformed("resources: [a]", "['a'] is not of type 'dict'. Check problematic field(s): $.resources");
  malformed("workdir: {ref: main}", "'url' is a required property. Check problematic field(s): $.workdir");
  malformed("workdir: {url: x, branch: y}", "Found unsupported field 'branch'.");
  malformed(
    "inputs: {a: 1, b: 2}",
    "{'a': 1, 'b': 2} has too many properties. Check problematic field(s): $.inputs",
  );
  malformed(
    "file_mounts: {/a: [b]}",
    "['b'] is not of type 'string'. Check problematic field(s): $.file_mounts['/a']",
  );
  malformed(
    "file_mounts: {/a: }",
    "None is not of type 'string'. Check problematic field(s): $.file_mounts['/a']",
  );
  malformed(
    "config: {hooks: [{run: x, events: []}]}",
    "[] should be non-empty. Check problematic field(s): $.config.hooks[0].events",
  );
  malformed(
    "config: {hooks: [{run: x, events: [now]}]}",
    "'now' is not one of ['stop', 'preemption', 'down']. Check problematic field(s): $.config.hooks[0].events[0]",
  );
  malformed("config: {kubernetes: {networking: x}}", "Found unsupported field 'networking'.");
  malformed("config: {jobs: {}}", "Found unsupported field 'jobs'.");
  malformed(
    "volumes: {/v: {name: x, sub_path: ' '}}",
    "' ' does not match '^[a-zA-Z0-9._-][a-zA-Z0-9./_-]*$'. Check problematic field(s): $.volumes['/v'].sub_path",
  );
});

Deno.test("parseTask tells bad variable names", () => {
  const regex = "'^[a-zA-Z_][a-zA-Z0-9_]*$'";
  malformed(
    "envs: {A-B: x}",
    `The \`envs\` field contains invalid keys:\n'A-B' does not match any of the regexes: ${regex}`,
  );
  malformed(
    "envs: {ok: x, 'C D': x, A-B: x}",
    `The \`envs\` field contains invalid keys:\n'A-B', 'C D' do not match any of the regexes: ${regex}`,
  );
  malformed(
    "secrets: {A-B: x}",
    "The `secrets` field contains invalid keys:\n'A-B' does not match any of the regexes: " +
      "'^(?:secrets:.+|[a-zA-Z_][a-zA-Z0-9_]*)$'",
  );
});

Deno.test("parseTask refuses documents that are no maps", () => {
  refused("just text", "YAML loaded as str, not as dict. Is it correct? Content: 'just text'");
  refused("[a, b]", "YAML loaded as list, not as dict. Is it correct? Content: ['a', 'b']");
});

Deno.test("parseTask tells wrong values in the words of cli.md 2.1", () => {
  refused("num_nodes: -1", "num_nodes should be a positive int. Got: -1");
  refused("num_nodes: 0", "num_nodes should be a positive int. Got: 0");
  refused(
    "envs: {TOKEN: }",
    "Environment variable 'TOKEN' is None. Please set a value for it in task YAML or with --env flag. To set it to be " +
      `empty, use an empty string (TOKEN: "" in task YAML or --env TOKEN="" in CLI).`,
  );
  refused("secrets: {TOKEN: }", /^Secret variable 'TOKEN' is None\. .* --secret TOKEN="" in CLI\)\.$/);
  refused(
    "resources: {accelerators: 'A100:x'}",
    `The "accelerators" field as a str should be <name> or <name>:<cnt>. Found: 'A100:x'`,
  );
  for (const name of ["-a", "a-", "a---b", "a b", "", "a/b", "é"]) {
    refused(`name: ${JSON.stringify(name)}`, /^Invalid task name /);
  }
  for (const name of ["a", "1", "a.b_c-d", "a--b", "A1"]) assertEquals(from(`name: '${name}'`).name, name);
  refused(
    "service: {readiness_probe: /}\npool: {workers: 1}",
    "Cannot set both service and pool in the same task.",
  );
  refused("volumes: {v: x}", `Volume mount path must start with "/" or "~". Found: 'v'`);
  refused("volumes: {/v: {sub_path: x}}", "Volume at '/v' must have a name or a size.");
});

Deno.test("parseTask checks service and pool shapes", () => {
  assertRefuses(
    () => from("service: {replicaz: 1}"),
    "invalid_task",
    "Invalid service YAML: Instead of 'replicaz', did you mean 'replicas'?",
  );
  assertRefuses(
    () => from("service: {readiness_probe: {initial_delay_seconds: 5}}"),
    "invalid_task",
    "Invalid service YAML: 'path' is a required property. Check problematic field(s): $.readiness_probe",
  );
  assertRefuses(
    () => from("pool: {workers: -1}"),
    "invalid_task",
    "Invalid pool YAML: -1 is less than the minimum of 0. Check problematic field(s): $.workers",
  );
  const service =
    from("service: {readiness_probe: /health, replica_policy: {min_replicas: 1}, ports: 8080}").sections;
  assertEquals(service["service"], {
    readiness_probe: "/health",
    replica_policy: { min_replicas: 1 },
    ports: 8080,
  });
});

Deno.test("parseTask takes secrets as a map, as references, and refuses other forms", () => {
  const list = from("secrets: [secrets:A, 'secrets:workspace.B']");
  assertEquals([list.secrets, list.secretRefs], [{}, ["secrets:A", "secrets:workspace.B"]]);
  assertEquals(from("secrets: {'secrets:A': , B: x}").secrets, { B: "x" });
  malformed("secrets: hunter2", "'<redacted>' is not of type 'dict'. Check problematic field(s): $.secrets");
  refused("secrets: [TOKEN=hunter2]", /^Invalid secret in array form: 'TOKEN=<redacted>'/);
  refused("secrets: [A]", /^Invalid secret in array form: 'A'/);
  refused("secrets: ['secrets:a b']", /^Invalid secret in array form/);
  refused("secrets: {'secrets:A': x}", "Secret reference 'secrets:A' must not have a value.");
  const merged = parseTask({ secrets: ["secrets:A"] }, { secrets: { B: "x" } });
  assertEquals([merged.secrets, merged.secretRefs], [{ B: "x" }, ["secrets:A"]]);
});

Deno.test("parseTask substitutes in file_mounts, service, workdir and volumes only, after overrides", () => {
  const task = parseTask({
    envs: { SIZE: "13b", BUCKET: "b" },
    secrets: { BUCKET: "secret" },
    workdir: "~/p/$SIZE",
    setup: "echo $SIZE",
    run: "echo ${SIZE}",
    file_mounts: { "/m/${SIZE}b": "s3://$BUCKET/x", "/s": { name: "n", source: ["./$SIZE", "./${NO}"] } },
    volumes: { "/v/$SIZE": "vol-$SIZE" },
    service: { readiness_probe: "/$SIZE" },
    event_callback: "echo $SIZE",
  }, { envs: { SIZE: "7b" } });
  assertEquals(task.workdir, "~/p/7b");
  assertEquals([task.setup, task.run], ["echo $SIZE", "echo ${SIZE}"]);
  assertEquals(task.fileMounts, {
    "/m/7bb": "s3://secret/x",
    "/s": { name: "n", source: ["./7b", "./${NO}"] },
  });
  assertEquals(task.sections, {
    volumes: { "/v/7b": "vol-7b" },
    service: { readiness_probe: "/7b" },
    event_callback: "echo $SIZE",
  });
});

Deno.test("parseTask substitutes values with quotes and backslashes safely", () => {
  const task = parseTask({ envs: { Q: `a"b\\c'$&` }, workdir: "x/$Q" });
  assertEquals(task.workdir, `x/a"b\\c'$&`);
});

Deno.test("parseTask turns an autostop hook into a lifecycle hook and says so", () => {
  const warnings: string[] = [];
  const task = parseTask(
    { resources: { autostop: { idle_minutes: 5, down: true, hook: "save", hook_timeout: 7 } } },
    { warn: (message) => warnings.push(message) },
  );
  assertEquals(task.sections["config"], { hooks: [{ run: "save", events: ["down"], timeout: 7 }] });
  assertEquals(warnings, ["`autostop.hook` is deprecated. Use `config.hooks` instead."]);
});

Deno.test("parseTask holds docker logins together", () => {
  const vars = (names: string) =>
    Object.fromEntries(names.split(" ").map((name) => [`SKYPILOT_DOCKER_${name}`, "x"]));
  const all = vars("USERNAME PASSWORD SERVER");
  const apart =
    /^Docker login variables must be specified together in either envs or secrets: \['SKYPILOT_DOCKER_USERNAME'/;
  assertRefuses(() => parseTask({ envs: vars("USERNAME PASSWORD") }), "invalid_argument", apart);
  assertRefuses(
    () => parseTask({ envs: vars("USERNAME SERVER"), secrets: vars("PASSWORD") }),
    "invalid_argument",
    apart,
  );
  assertRefuses(() => parseTask({ envs: all, secrets: vars("PASSWORD") }), "invalid_argument", apart);
  const warnings: string[] = [];
  const warn = (message: string) => warnings.push(message);
  parseTask({ secrets: all, resources: { image_id: "docker:x" } }, { warn });
  assertEquals(warnings, []);
  parseTask({ secrets: all }, { warn });
  assertEquals(warnings, ["Docker login variables are ignored: no docker image is given in `image_id`."]);
});

Deno.test("parseTask keeps names that other languages give a meaning", () => {
  const task = from("envs: {constructor: a, toString: b, __proto__: c}\nsecrets: {hasOwnProperty: d}");
  assertEquals(Object.entries(task.envs), [["constructor", "a"], ["toString", "b"], ["__proto__", "c"]]);
  assertEquals(Object.entries(task.secrets), [["hasOwnProperty", "d"]]);
  malformed("constructor: x", "Found unsupported field 'constructor'.");
  malformed("toString: x", "Found unsupported field 'toString'.");
});

Deno.test("taskFromCommand names the task and takes any text", () => {
  assertEquals(taskFromCommand("echo it's"), newTask({ name: "sky-cmd", run: "echo it's" }));
  assertEquals(taskFromCommand("", { name: "x" }), newTask({ name: "x" }));
  const task = taskFromCommand("true", {
    envs: { A: "1" },
    secrets: { B: "2" },
    envFile: { A: "0", C: "3" },
  });
  assertEquals([task.envs, task.secrets], [{ A: "1", C: "3" }, { B: "2" }]);
  assertRefuses(
    () => taskFromCommand("x", { envs: { "A-B": "" } }),
    "invalid_argument",
    "Invalid env key: A-B",
  );
  assertRefuses(() => taskFromCommand("x", { name: "a b" }), "invalid_argument", /^Invalid task name 'a b'/);
  const long = "x".repeat(200_000);
  assertEquals(taskFromCommand(long).run, long);
});

Deno.test("checkTask repeats the checks that programs can get around", () => {
  assertRefuses(
    () => checkTask(newTask({ numNodes: 0 })),
    "invalid_argument",
    "num_nodes should be a positive int. Got: 0",
  );
  assertRefuses(() => checkTask(newTask({ name: "-" })), "invalid_argument", /^Invalid task name/);
  assertRefuses(
    () => checkTask(newTask({ fileMounts: { "/a/": "b" } })),
    "invalid_argument",
    /^Mount paths cannot end/,
  );
  assertRefuses(
    () => checkTask(from("resources: {image_id: x}")),
    "invalid_argument",
    "Cloud must be specified when image_id is provided.",
  );
});

Deno.test("parseTask bounds what variables expand to and how many unknown fields it tells", () => {
  const mounts = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`/m${i}`, "$A".repeat(10)]));
  const task = (length: number) => ({ envs: { A: "x".repeat(length) }, file_mounts: mounts });
  assertEquals(Object.values(parseTask(task(10)).fileMounts)[0], "x".repeat(100));
  assertRefuses(
    () => parseTask(task(1000)),
    "invalid_argument",
    "Environment variables expand to more than 4 MB in one section.",
  );
  const unknown = Object.fromEntries(Array.from({ length: 3_000 }, (_, i) => [`zzz${i}`, i]));
  assertRefuses(
    () => parseTask(unknown),
    "invalid_task",
    /^(?:(?:Invalid task YAML: )?Found unsupported field 'zzz\d+'\. ?){20}$/,
  );
});
