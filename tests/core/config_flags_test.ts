import { assertEquals } from "@std/assert";
import { parseConfigFlags } from "../../core/config_flags.ts";
import { checkConfig } from "../../core/config_schema.ts";
import { assertRefuses } from "./refusal.ts";

const details = (flags: string[], tuple: string, reason: string) =>
  assertRefuses(
    () => parseConfigFlags(flags),
    "usage",
    `Invalid value for '--config': Invalid config override: ${tuple}. Check if config file exists or if the dotlist is ` +
      `formatted as: key1=value1,key2=value2.\nDetails: ${reason}`,
  );
const docs = "See: https://docs.skypilot.co/en/latest/reference/config.html. Error: ";

Deno.test("parseConfigFlags parses values as YAML and merges in order", () => {
  assertEquals(
    parseConfigFlags([
      "kubernetes.provision_timeout=600,active_workspace=team",
      "kubernetes.namespace=x",
      "kubernetes.provision_timeout=5",
      "docker.run_options=[a, b]",
      "nvidia_gpus.disable_ecc=yes",
      "kubernetes.pod_config={spec: {a: 1, b: [1, 2]}}",
      "admin_policy=a=b",
      "aws.vpc_name=",
      "aws.labels={a: 'x,y'}",
    ]),
    {
      kubernetes: { provision_timeout: 5, namespace: "x", pod_config: { spec: { a: 1, b: [1, 2] } } },
      active_workspace: "team",
      docker: { run_options: ["a", "b"] },
      nvidia_gpus: { disable_ecc: true },
      admin_policy: "a=b",
      aws: { vpc_name: null, labels: { a: "x,y" } },
    },
  );
  assertEquals(parseConfigFlags([]), {});
});

Deno.test("parseConfigFlags refuses with the words of cli.md 1.12", () => {
  details(["foo"], "('foo',)", "Invalid config override: foo. Please use the format: key=value");
  details(["a=1"], "('a=1',)", `Invalid config YAML from (CLI). ${docs}Found unsupported field 'a'.`);
  details(["foo", "a=1"], "('foo', 'a=1')", "Invalid config override: foo. Please use the format: key=value");
  details(["=1"], "('=1',)", "Invalid config override: =1. Please use the format: key=value");
  details(["db..x=1"], "('db..x=1',)", "Invalid config override: db..x=1. Please use the format: key=value");
  assertRefuses(
    () => parseConfigFlags(["db=[1"]),
    "usage",
    /Details: Invalid YAML: .* in "--config", line 1/,
  );
  assertRefuses(
    () => parseConfigFlags([`${"a.".repeat(100_000)}b=1`]),
    "usage",
    /Please use the format: key=value$/,
  );
});

Deno.test("checkConfig names the source and the place", () => {
  const refused = (config: unknown, rest: string) =>
    assertRefuses(
      () => checkConfig(config, "~/.sky/config.yaml"),
      "invalid_config",
      `Invalid config YAML from (~/.sky/config.yaml). ${docs}${rest}`,
    );
  refused({ kubernets: {} }, "Instead of 'kubernets', did you mean 'kubernetes'?");
  refused(
    { allowed_clouds: "aws" },
    "'aws' is not of type 'array'. Check problematic field(s): $.allowed_clouds",
  );
  refused(
    { api_server: { endpoint: 1 } },
    "1 is not of type 'string'. Check problematic field(s): $.api_server.endpoint",
  );
  refused({ jobs: null }, "None is not of type 'dict'. Check problematic field(s): $.jobs");
  refused(["a"], "['a'] is not of type 'dict'. Check problematic field(s): $");
  refused(
    { kubernetes: { networking: "x" } },
    "'x' is not one of ['nodeport', 'portforward']. Check problematic field(s): $.kubernetes.networking",
  );
  refused(
    { kubernetes: { context_configs: { c: { name: 1 } } } },
    "Instead of 'name', did you mean 'namespace'?",
  );
  const good = {
    api_server: { endpoint: "http://x", our_own: 1 },
    aws: { security_group_name: [{ "sky-*": "sg" }], remote_identity: "LOCAL_CREDENTIALS" },
    slurm: { cluster_configs: { c: { partition_configs: { p: { pricing: { cpu: 0.1 } } } } } },
    rbac: { default_role: "user", roles: {} },
    local: { anything: true },
    workspaces: { default: { aws: { disabled: true } } },
  };
  assertEquals(checkConfig(good, "x"), good);
});
