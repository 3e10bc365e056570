/** Every rule of `~/.sky/ssh_node_pools.yaml`, with its message. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { parsePools, refusalOf } from "../../../clouds/ssh/pools.ts";
import { isSkyError } from "../../../core/errors.ts";

const plain = { alias: false, missing: null };

function messageOf(text: string): string {
  try {
    parsePools(text, "pools.yaml");
  } catch (error) {
    if (isSkyError(error, "invalid_config")) return error.message;
    throw error;
  }
  return "";
}

Deno.test("parsePools fills in the pool's defaults, and hosts override them", () => {
  const [pool, other] = parsePools(
    `
lab:
  user: ubuntu
  identity_file: ~/.ssh/lab
  port: 2222
  proxy_jump: gate
  hosts:
    - 10.0.0.1
    - ip: 10.0.0.2
      user: other
      identity_file: ~/.ssh/other
      port: 22
    - { ip: box, name: big, password: x }
home:
  hosts: [alias]
`,
    "pools.yaml",
  );
  const base = { password: false, proxyJump: "gate", proxyCommand: null };
  assertEquals(pool, {
    name: "lab",
    hosts: [
      { ...base, name: "10.0.0.1", ip: "10.0.0.1", user: "ubuntu", port: 2222, identityFile: "~/.ssh/lab" },
      { ...base, name: "10.0.0.2", ip: "10.0.0.2", user: "other", port: 22, identityFile: "~/.ssh/other" },
      {
        ...base,
        name: "big",
        ip: "box",
        user: "ubuntu",
        port: 2222,
        identityFile: "~/.ssh/lab",
        password: true,
      },
    ],
  });
  assertEquals(other?.hosts[0]?.user, null);
  assertEquals(parsePools("", "x"), []);
});

Deno.test("parsePools refuses what breaks a rule, naming file, pool, host and key", () => {
  const faults: [text: string, message: string][] = [
    ["- a", "the file must hold a mapping of pool names"],
    ["p: [a]", "SSH Node Pool 'p' must be a mapping with 'hosts'"],
    ["p: {user: a}", "SSH Node Pool 'p' has no hosts defined"],
    ["p: {hosts: []}", "SSH Node Pool 'p' has no hosts defined"],
    ["p: {hosts: [1.2.3.4], usr: a}", "SSH Node Pool 'p' has unknown keys 'usr'"],
    ["p: {hosts: [{ip: a, key: b}]}", "SSH Node Pool 'p', host 1 has unknown keys 'key'"],
    ["p: {hosts: [{user: a}]}", "SSH Node Pool 'p', host 1 has no 'ip'"],
    ["p: {hosts: [[a]]}", "SSH Node Pool 'p', host 1 must be an address or a mapping with 'ip'"],
    ["p: {hosts: [a, a]}", "SSH Node Pool 'p' names host 'a' twice"],
    ["p: {hosts: [{ip: a, port: 70000}]}", "host 1: 'port' must be a number from 1 to 65535"],
    ["p: {hosts: [{ip: '-oProxyCommand=x'}]}", "host 1: '-oProxyCommand=x' is no address"],
    ["p: {hosts: [{ip: 'a;b'}]}", "host 1: 'a;b' is no address"],
    ["p: {hosts: [{ip: a, user: '-l'}]}", "host 1: '-l' is no user name"],
    ["p: {hosts: [{ip: a, user: [b]}]}", "host 1: 'user' must be text"],
    ['p: {hosts: [{ip: a, identity_file: "b\\nc"}]}', "host 1: 'identity_file' has control characters"],
    ["p: {proxy_jump: a, hosts: [{ip: a, proxy_command: b}]}", "both 'proxy_jump' and 'proxy_command'"],
    ["'p q': {hosts: [a]}", "SSH Node Pool 'p q': a name has letters"],
  ];
  for (const [text, message] of faults) assertStringIncludes(messageOf(text), message);
  assertStringIncludes(messageOf("p: {user: a}"), "Invalid SSH Node Pools in pools.yaml: ");
  assertStringIncludes(messageOf("p:\n  hosts: [a]\np:\n  hosts: [b]\n").toLowerCase(), "duplicate");
});

Deno.test("refusalOf says why a host cannot be used", () => {
  const host = (text: string) => parsePools(`p: {hosts: [${text}]}`, "x")[0]!.hosts[0]!;
  assertEquals(refusalOf(host("{ip: a, user: u}"), plain), null);
  assertEquals(refusalOf(host("{ip: a, user: u, identity_file: k, password: p}"), plain), null);
  assertStringIncludes(refusalOf(host("{ip: a, user: u, password: p}"), plain)!, "password only");
  assertStringIncludes(refusalOf(host("a"), plain)!, "no 'user'");
  const missing = { alias: false, missing: "/k" };
  assertEquals(
    refusalOf(host("{ip: a, user: u, identity_file: /k}"), missing),
    "SSH Identity File Missing: /k",
  );
  assertEquals(refusalOf(host("{ip: a, identity_file: /k}"), { ...missing, alias: true }), null);
});
