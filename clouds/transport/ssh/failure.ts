/** What ssh's complaints mean, in our words. Owns the reading of its messages. Pure. */
import { SkyError } from "../../../core/errors.ts";

/** Why a connection to `name` could not be made, as its master said. */
export function connectFailure(name: string, stderr: string): SkyError {
  const text = plain(stderr);
  if (/REMOTE HOST IDENTIFICATION HAS CHANGED|Host key for .* has changed/i.test(text)) {
    const place = /Offending .*key in (.+):(\d+)/.exec(text);
    const where = place === null ? "" : ` (${place[1]}, line ${place[2]})`;
    return new SkyError(
      "permission_denied",
      `Cannot connect to ${name}: its host key is not the one seen before${where}`,
      {
        hint: place === null
          ? "If the machine was set up anew, remove its old key; if not, somebody may be in between"
          : `If the machine was set up anew, remove that line: sed -i ${place[2]}d '${
            place[1]
          }'. If not, somebody may be in between`,
        details: { reason: "host_key_changed" },
      },
    );
  }
  if (/Host key verification failed|No .* host key is known/i.test(text)) {
    return new SkyError("permission_denied", `Cannot connect to ${name}: its host key was not accepted`, {
      details: { reason: "host_key", stderr: last(text) },
    });
  }
  if (
    /Permission denied|Too many authentication failures|no mutual signature|Load key|not accessible|bad permissions/i
      .test(text)
  ) {
    return new SkyError("permission_denied", `Cannot log in to ${name}: ${last(text)}`, {
      hint: "Check the user name and the identity file, and that its public key is on the machine",
      details: { reason: "login" },
    });
  }
  if (/Bad configuration option|Bad owner or permissions|unsupported option|missing argument/i.test(text)) {
    return new SkyError("invalid_config", `Cannot connect to ${name}: ${last(text)}`);
  }
  if (/^(kex|ssh)_exchange_identification: .*(closed|reset)/m.test(text)) {
    // What a jump host's program complains of is not passed on by ssh.
    return new SkyError("network", `Cannot reach ${name}: the connection was closed before a word was said`, {
      hint: "A jump host on the way, or the machine's limit of connections, may refuse it",
    });
  }
  return new SkyError("network", `Cannot reach ${name}: ${last(text) || "ssh gave no reason"}`);
}

/** A command's connection broke. */
export function brokenConnection(name: string, stderr: string): SkyError {
  const why = last(plain(stderr));
  return new SkyError("network", `The connection to ${name} broke${why === "" ? "" : `: ${why}`}`);
}

/** Control bytes out: what a machine says may hold anything. */
function plain(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "").replace(/[\x00-\x08\x0b-\x1f\x7f]/g, "");
}

/** The last line that says something, at most 300 characters. */
function last(text: string): string {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const telling = lines.filter((line) => !/^(Connection closed by UNKNOWN|debug\d:|@+$)/.test(line));
  return (telling.at(-1) ?? "").replace(/\.$/, "").slice(0, 300);
}
