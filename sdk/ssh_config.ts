/**
 * `ssh <cluster>` from the user's shell (wire.md §1.7, cli.md §1.13): owns the files below `~/.sky/generated`, one
 * fragment and one key per cluster, and the line in `~/.ssh/config` that includes them. What a server says is checked
 * before it becomes a line of a file that ssh obeys.
 */
import type { ClusterView, CredentialsView, WireHandle } from "../api/clusters.ts";
import { below, type Env, generatedSsh, sshConfigFile, userHome } from "../core/paths.ts";

const INCLUDE = "Include ~/.sky/generated/ssh/*";
const COMMENT = "# Added by SkyPilot for ssh config of all clusters";

const HOST = /^[A-Za-z0-9_][A-Za-z0-9_.:-]*$/;
const USER = /^[A-Za-z0-9_.][A-Za-z0-9_.@\\+-]*\$?$/;
/** Nothing that a shell or ssh would make something of. */
const HOME = /^\/[A-Za-z0-9_.@+:\/ -]*$/;
const CLUSTER = /^[A-Za-z][A-Za-z0-9._-]*$/;

export type SshRecord = Pick<ClusterView, "name" | "handle" | "credentials">;

/**
 * Make the files of these clusters agree with what the server tells: no addresses, no fragment; addresses and
 * credentials, a new one; addresses alone change nothing. Handles must have been asked for.
 */
export async function updateSshConfig(records: readonly SshRecord[], env: Env): Promise<void> {
  let wrote = false;
  for (const { name, handle, credentials } of records) {
    if (!CLUSTER.test(name)) continue;
    const ips = handle?.stable_internal_external_ips ?? null;
    if (ips === null || ips.length === 0) await removeSshConfig(name, env);
    else if (credentials) wrote = await writeFragment(name, { handle: handle!, credentials }, env) || wrote;
  }
  if (wrote) await includeFragments(env);
}

/** Its machines are gone or stopped. */
export async function removeSshConfig(cluster: string, env: Env): Promise<void> {
  if (!CLUSTER.test(cluster)) return;
  const { fragments, keys } = generatedSsh(env);
  for (const path of [below(fragments, cluster), below(keys, `${cluster}.key`)]) {
    await Deno.remove(path).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}

interface Way {
  readonly handle: WireHandle;
  readonly credentials: CredentialsView;
}

/** False when there is nothing that could be written safely. */
async function writeFragment(cluster: string, { handle, credentials }: Way, env: Env): Promise<boolean> {
  const { fragments, keys } = generatedSsh(env);
  const content = credentials.ssh_private_key_content;
  const key = content === null ? null : below(keys, `${cluster}.key`);
  const text = fragmentText(cluster, { handle, credentials, key, knownHosts: below(keys, "known_hosts") });
  if (text === null) return false;
  if (key !== null && content !== null) {
    await Deno.mkdir(keys, { recursive: true, mode: 0o700 });
    await replace(key, content.endsWith("\n") ? content : `${content}\n`);
  }
  await Deno.mkdir(fragments, { recursive: true, mode: 0o700 });
  await Deno.mkdir(keys, { recursive: true, mode: 0o700 });
  await replace(below(fragments, cluster), text);
  return true;
}

/** The fragment of a cluster; null if what the server told is not what such a file may hold. */
export function fragmentText(
  cluster: string,
  { handle, credentials, key, knownHosts }: Way & { key: string | null; knownHosts: string },
): string | null {
  const { ssh_user: user, ssh_proxy_command: proxy } = credentials;
  const nodes = handle.stable_internal_external_ips ?? [];
  const ports = handle.stable_ssh_ports ?? [];
  const infra = String(handle.launched_resources["infra"] ?? "");
  if (user !== "" && !USER.test(user)) return null;
  // deno-lint-ignore no-control-regex -- these are what is looked for
  if (proxy !== null && proxy !== undefined && /[\x00-\x1f\x7f]/.test(proxy)) return null;
  const blocks = nodes.map(([, outside], i) => {
    const port = ports[i] ?? 22;
    if (!HOST.test(outside) || !Number.isInteger(port)) return null;
    const name = i === 0 ? cluster : `${cluster}-worker${i}`;
    return [
      `# Added by sky (use \`sky stop/down ${cluster}\` to remove)`,
      ...landing(name, handle.node_homes?.[i] ?? null),
      `Host ${name}`,
      `  HostName ${outside}`,
      ...(user === "" ? [] : [`  User ${user}`]),
      ...(key === null ? [] : [`  IdentityFile ${quoted(key)}`, "  IdentitiesOnly yes"]),
      "  ForwardAgent yes",
      // Machines of one's own keep their keys; addresses of clouds go from one machine to the next.
      ...(infra.startsWith("ssh/")
        ? ["  StrictHostKeyChecking accept-new", `  UserKnownHostsFile ${quoted(knownHosts)}`]
        : ["  StrictHostKeyChecking no", "  UserKnownHostsFile /dev/null"]),
      "  GlobalKnownHostsFile /dev/null",
      "  LogLevel ERROR",
      `  Port ${port}`,
      ...(proxy ? [`  ProxyCommand ${proxy}`] : []),
      "",
    ].join("\n");
  });
  return blocks.some((block) => block === null) ? null : blocks.join("\n");
}

/**
 * A plain `ssh <cluster>` lands in the node's HOME. Only a plain one: with a command, for scp, rsync or an editor, it
 * must remain an ordinary login, so ssh asks how it was called itself.
 */
function landing(name: string, home: string | null): string[] {
  if (home === null || !HOME.test(home)) return [];
  return [
    `Match originalhost ${name} exec "ps -o args= -p $PPID | grep -qxF 'ssh ${name}'"`,
    "  RequestTTY force",
    `  RemoteCommand cd '${home}' && exec env HOME='${home}' $SHELL`,
  ];
}

function quoted(path: string): string {
  return `"${path.replaceAll("%", "%%")}"`;
}

/** Put the line at the very top of `~/.ssh/config`, once. */
async function includeFragments(env: Env): Promise<void> {
  const path = sshConfigFile(env);
  const before = await Deno.readTextFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  });
  if (before?.split("\n").some((line) => line.trim() === INCLUDE)) return;
  await Deno.mkdir(below(userHome(env), ".ssh"), { recursive: true, mode: 0o700 });
  const text = `${COMMENT}\n${INCLUDE}\n\n${before ?? ""}`;
  // People keep this file behind a link, and with a mode of their own.
  const real = before === null ? path : await Deno.realPath(path);
  const mode = before === null ? 0o600 : (await Deno.stat(real)).mode ?? 0o600;
  await replace(real, text, mode & 0o777);
}

async function replace(path: string, text: string, mode = 0o600): Promise<void> {
  const fresh = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  try {
    await Deno.writeTextFile(fresh, text, { mode, createNew: true });
    await Deno.rename(fresh, path);
  } catch (error) {
    await Deno.remove(fresh).catch(() => {}); // The first failure is the one to tell.
    throw error;
  }
}
