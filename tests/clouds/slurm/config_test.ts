import { assertEquals } from "@std/assert";
import { parseSlurmConfig } from "../../../clouds/slurm/config.ts";

const parse = (text: string) => parseSlurmConfig(text, { home: "/home/ann" });

Deno.test("parseSlurmConfig reads the keys of a login node", () => {
  const { hosts, warnings } = parse(`
# my clusters
Host hpc
  HostName login.hpc.example
  User ann
  Port 2222
  IdentityFile ~/.ssh/id_hpc
  IdentitiesOnly yes
  ProxyJump ann@gate.example:22
Host lab
  hostname=10.0.0.1
  ProxyCommand ssh -W %h:%p "gate host"
`);
  assertEquals(warnings, []);
  assertEquals(hosts, [
    {
      name: "hpc",
      host: "login.hpc.example",
      user: "ann",
      port: 2222,
      identityFile: "/home/ann/.ssh/id_hpc",
      options: ["ProxyJump=ann@gate.example:22", "IdentitiesOnly=yes"],
    },
    {
      name: "lab",
      host: "10.0.0.1",
      user: null,
      port: null,
      identityFile: null,
      options: [`ProxyCommand=ssh -W %h:%p "gate host"`],
    },
  ]);
});

Deno.test("parseSlurmConfig takes the first value, and settings of patterns that match", () => {
  const { hosts } = parse(`
User early
Host a b
  HostName %h.example
  User late
Host "a*" !b
  Port 77
Host *
  Port 88
  IdentityFile none
`);
  assertEquals(
    hosts.map(({ name, host, user, port, identityFile }) => [name, host, user, port, identityFile]),
    [
      ["a", "a.example", "early", 77, null],
      ["b", "b.example", "early", 88, null],
    ],
  );
});

Deno.test("parseSlurmConfig survives odd and hostile text and says what it left out", () => {
  assertEquals(parse(""), { hosts: [], warnings: [] });
  const { hosts, warnings } = parse(
    "\uFEFF\nHost\nHost x\r\n  Port 99999\n  HostName -oProxyCommand=evil\n  LocalCommand rm -rf /\n" +
      "Match exec evil\n  User evil\nInclude /etc/passwd\nHost -F\nHost a/b $(evil) ;\n  User y\n",
  );
  assertEquals(hosts.map(({ name, host, user, port, options }) => ({ name, host, user, port, options })), [
    { name: "x", host: "x", user: null, port: null, options: [] },
  ]);
  assertEquals(warnings.length, 10);
  for (
    const part of [
      "a key needs a value",
      "is no port",
      "is no host name",
      "localcommand",
      "Match",
      "Include",
      `"-F"`,
    ]
  ) {
    assertEquals(warnings.some((warning) => warning.includes(part)), true, part);
  }
});

Deno.test("parseSlurmConfig takes no time for a pattern made to take it", () => {
  const text = `Host ${"*a".repeat(5_000)}b\nHost ${"a".repeat(190)}\n`;
  const begun = performance.now();
  assertEquals(parse(text).hosts.length, 1);
  assertEquals(performance.now() - begun < 1_000, true);
});
