/**
 * What ssh is told: the configuration file of a host and the arguments of its programs. Owns the spelling of
 * ssh's options. Pure.
 */
import type { Env } from "../../../core/paths.ts";
import type { SshHost } from "./mod.ts";

export interface SshFiles {
  /** Our configuration file of this host. */
  readonly config: string;
  readonly knownHosts: string;
  /** Control socket; the master's identity file is beside it, `.pid` added. */
  readonly socket: string;
}

/** Seconds: to connect; of silence, three times, until a connection is dead; an unused master lives. */
const CONNECT_S = 5;
const ALIVE_S = 3;
const PERSIST_S = 60;

/** Said, by the program a client falls back to, when its master gave it no session. */
export const NO_SESSION = "sky: no session";

/** One word of a configuration file or `-o`: quoted, and `%` is no token. */
function word(text: string): string {
  return `"${text.replaceAll("%", "%%").replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/**
 * The configuration file: it holds for the host and for every jump host before it, which ssh starts with the same
 * `-F`. First values win, so ours stand above the user's own.
 */
export function configText(host: SshHost, { files, home }: { files: SshFiles; home: string | null }): string {
  const lines = [
    "BatchMode yes",
    "StrictHostKeyChecking accept-new",
    `UserKnownHostsFile ${word(files.knownHosts)}`,
    "GlobalKnownHostsFile /dev/null",
    "HashKnownHosts no",
    "UpdateHostKeys no",
    `ConnectTimeout ${CONNECT_S}`,
    "ConnectionAttempts 1",
    `ServerAliveInterval ${ALIVE_S}`,
    "ServerAliveCountMax 3",
    "TCPKeepAlive yes",
    "LogLevel ERROR",
    "RequestTTY no",
    "RemoteCommand none",
    "PermitLocalCommand no",
    "ForwardX11 no",
    "EscapeChar none",
    "ExitOnForwardFailure no",
    "ControlPersist no",
    ...(host.identityFile === null ? [] : [`IdentityFile ${word(host.identityFile)}`, "IdentitiesOnly yes"]),
    ...(host.useUserConfig ? [] : ["ForwardAgent no"]),
  ];
  const own = host.useUserConfig && home !== null
    ? [`Include ${word(`${home}/.ssh/config`).replaceAll("%%", "%")}`, "Include /etc/ssh/ssh_config"]
    : [];
  return `Host *\n${lines.map((line) => `  ${line}\n`).join("")}${own.join("\n")}\n`;
}

/** The master: ends in the background once it is in, so that its end tells of the failure to get there. */
export function masterArguments(host: SshHost, files: SshFiles): string[] {
  return [
    "ssh",
    "-F",
    files.config,
    ...options([
      "ControlMaster=yes",
      `ControlPath=${word(files.socket)}`,
      `ControlPersist=${PERSIST_S}`,
      "ClearAllForwardings=yes",
      ...host.options,
    ]),
    ...(host.user === null ? [] : ["-l", host.user]),
    ...(host.port === null ? [] : ["-p", String(host.port)]),
    "-N",
    "-f",
    "-T",
    "--",
    host.host,
  ];
}

/** A client of the master: it can't do without, whatever happens. The line or a program's own words follow. */
export function clientArguments(files: SshFiles): string[] {
  return [
    "ssh",
    "-F",
    "/dev/null",
    ...options([
      "ControlMaster=no",
      `ControlPath=${word(files.socket)}`,
      // A shell of its own: ssh ends who closes its output, which a redirection alone would do too early.
      `ProxyCommand=sh -c "echo ${NO_SESSION} >&2"`,
      "BatchMode=yes",
      "ForwardAgent=no",
      "LogLevel=ERROR",
    ]),
    "-e",
    "none",
    "-T",
  ];
}

/** Ask the master something: `check` prints its pid, `exit` ends it. */
export function controlArguments(files: SshFiles, what: "check" | "exit"): string[] {
  return ["ssh", "-F", "/dev/null", ...options([`ControlPath=${word(files.socket)}`]), "-O", what, "sky"];
}

function options(list: readonly string[]): string[] {
  return list.flatMap((one) => ["-o", one]);
}

/** What ssh needs of the server's environment; its messages are read, so they are in English. */
export function sshEnvironment(env: Env): Record<string, string> {
  const own: Record<string, string> = { LC_ALL: "C" };
  const handedOn = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "SSH_AUTH_SOCK",
    "SSH_ASKPASS",
    "TMPDIR",
    "KRB5CCNAME",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "ALL_PROXY",
  ];
  for (const name of handedOn) {
    const value = env(name);
    if (value !== undefined && value !== "") own[name] = value;
  }
  return own;
}
