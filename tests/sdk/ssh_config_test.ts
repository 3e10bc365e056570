/** `ssh <cluster>`: fragments, keys, the Include line, and servers that lie. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import type { CredentialsView, WireHandle } from "../../api/clusters.ts";
import { fragmentText, removeSshConfig, updateSshConfig } from "../../sdk/ssh_config.ts";

function handle(own: Partial<WireHandle> = {}): WireHandle {
  return {
    cluster_name: "c",
    cluster_name_on_cloud: "c-1",
    cluster_yaml: null,
    launched_nodes: 2,
    launched_resources: { infra: "ssh/lab" },
    stable_internal_external_ips: [["10.0.0.1", "1.2.3.4"], ["10.0.0.2", "host.example"]],
    stable_ssh_ports: [22, 2222],
    docker_user: null,
    is_grpc_enabled: false,
    ssh_user: "u",
    ...own,
  };
}

const credentials: CredentialsView = {
  ssh_user: "ubuntu",
  ssh_private_key: "~/.sky/generated/ssh-keys/c.key",
  ssh_private_key_content: "-----BEGIN-----",
  ssh_control_name: "c-1",
  ssh_proxy_command: null,
};

async function inHome(work: (home: string, env: (name: string) => string | undefined) => Promise<void>) {
  const home = await Deno.makeTempDir();
  try {
    await work(home, (name) => name === "HOME" ? home : undefined);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

const mode = async (path: string) => ((await Deno.stat(path)).mode ?? 0) & 0o777;

Deno.test("updateSshConfig writes a stanza per node and the key, and includes all of them once", () =>
  inHome(async (home, env) => {
    await updateSshConfig([{ name: "c", handle: handle(), credentials }], env);
    const fragment = join(home, ".sky/generated/ssh/c");
    const key = join(home, ".sky/generated/ssh-keys/c.key");
    const text = await Deno.readTextFile(fragment);
    const head = text.split("\n\n")[0]!.split("\n");
    assertEquals(head.slice(0, 6), [
      "# Added by sky (use `sky stop/down c` to remove)",
      "Host c",
      "  HostName 1.2.3.4",
      "  User ubuntu",
      `  IdentityFile "${key}"`,
      "  IdentitiesOnly yes",
    ]);
    assertStringIncludes(text, "Host c-worker1\n  HostName host.example\n");
    assertStringIncludes(text, "  Port 2222\n");
    assertStringIncludes(text, "StrictHostKeyChecking accept-new");
    assertEquals([await Deno.readTextFile(key), await mode(key)], ["-----BEGIN-----\n", 0o600]);
    const config = join(home, ".ssh/config");
    const include = "# Added by SkyPilot for ssh config of all clusters\nInclude ~/.sky/generated/ssh/*\n\n";
    assertEquals([await Deno.readTextFile(config), await mode(config)], [include, 0o600]);
    await updateSshConfig([{ name: "d", handle: handle(), credentials }], env);
    assertEquals(await Deno.readTextFile(config), include);
  }));

Deno.test("updateSshConfig keeps the user's config, its mode and the link it may be", () =>
  inHome(async (home, env) => {
    await Deno.mkdir(join(home, ".ssh"));
    await Deno.writeTextFile(join(home, "dotfile"), "Host x\n  User y\n", { mode: 0o644 });
    await Deno.symlink("../dotfile", join(home, ".ssh/config"));
    await updateSshConfig([{ name: "c", handle: handle(), credentials }], env);
    assertEquals((await Deno.lstat(join(home, ".ssh/config"))).isSymlink, true);
    const text = await Deno.readTextFile(join(home, "dotfile"));
    assertEquals(text.endsWith("Include ~/.sky/generated/ssh/*\n\nHost x\n  User y\n"), true);
    assertEquals(await mode(join(home, "dotfile")), 0o644);
  }));

Deno.test("updateSshConfig follows the server: no addresses no fragment, no credentials no change", () =>
  inHome(async (home, env) => {
    const exists = (name: string) =>
      Deno.stat(join(home, ".sky/generated", name)).then(() => true, () => false);
    await updateSshConfig([{ name: "c", handle: handle(), credentials }], env);
    await updateSshConfig([{ name: "c", handle: handle() }], env);
    assertEquals(await exists("ssh/c"), true);
    await updateSshConfig([{ name: "c", handle: handle({ stable_internal_external_ips: null }) }], env);
    assertEquals([await exists("ssh/c"), await exists("ssh-keys/c.key")], [false, false]);
    await updateSshConfig([{ name: "c", handle: handle(), credentials }], env);
    await removeSshConfig("c", env);
    await removeSshConfig("c", env);
    assertEquals(await exists("ssh/c"), false);
    await updateSshConfig([{ name: "../../evil", handle: handle(), credentials }], env);
    await removeSshConfig("../../.ssh/config", env);
    assertEquals(await Deno.stat(join(home, ".ssh/config")).then(() => true), true);
  }));

Deno.test("fragmentText writes nothing that ssh would obey beyond what is meant", () => {
  const text = (own: Partial<CredentialsView>, node: Partial<WireHandle> = {}) =>
    fragmentText("c", {
      handle: handle(node),
      credentials: { ...credentials, ...own },
      key: null,
      knownHosts: "/h",
    });
  const evil = "x\n  ProxyCommand touch /tmp/evil";
  assertEquals(text({ ssh_user: evil }), null);
  assertEquals(text({ ssh_proxy_command: evil }), null);
  assertEquals(text({}, { stable_internal_external_ips: [["a", evil]] }), null);
  assertEquals(text({}, { stable_internal_external_ips: [["a", "-oProxyCommand=x"]] }), null);
  assertEquals(text({})?.includes("IdentityFile"), false);
  const home = "/home/u/.sky/nodes/a/c-1/node0";
  const landing = text({}, { node_homes: [home, "/a'; touch /tmp/evil; '"] })!;
  assertStringIncludes(landing, `Match originalhost c exec "ps -o args= -p $PPID | grep -qxF 'ssh c'"\n`);
  assertStringIncludes(landing, `  RemoteCommand cd '${home}' && exec env HOME='${home}' $SHELL\n`);
  assertEquals([landing.match(/RemoteCommand/g)?.length, landing.includes("evil")], [1, false]);
  assertStringIncludes(text({ ssh_proxy_command: "ssh -W '[%h]:%p' gate" })!, "  ProxyCommand ssh -W");
  assertStringIncludes(text({}, { launched_resources: { infra: "aws/us-east-1" } })!, "Checking no");
});
