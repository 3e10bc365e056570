/**
 * Which Host, Origin and fetch-metadata headers are served. Guards a server that trusts its machine against web
 * pages: DNS rebinding (foreign Host) and cross-site requests (foreign Origin). Pure.
 */
import { isLoopback } from "./peer.ts";

export interface OriginRules {
  /** Names besides loopback and (beyond loopback) address literals that may stand in Host. `*` admits any. */
  readonly hosts: readonly string[];
  /** Listens beyond loopback: any address literal is its own. A web page cannot rebind a literal. */
  readonly beyondLoopback: boolean;
}

export interface Refusal {
  readonly status: 400 | 403 | 421;
  readonly message: string;
}

/** Why a request is refused for what its headers say about where it came from; null when it is served. */
export function refuseOrigin(headers: Headers, rules: OriginRules): Refusal | null {
  const host = headers.get("host");
  if (host === null) return { status: 400, message: "The Host header is missing" };
  const name = hostName(host);
  if (name === null || !isOurs(name, rules)) {
    return {
      status: 421,
      message: `Host '${host.slice(0, 200)}' is not this server; see the config key api_server.allowed_hosts`,
    };
  }
  const origin = headers.get("origin");
  if (origin !== null && !isSameOrigin(origin, host)) {
    return { status: 403, message: `Requests from origin '${origin.slice(0, 200)}' are not allowed` };
  }
  // GET submissions carry no Origin: an <img> of a foreign page is told by fetch metadata. Following a link is fine.
  const site = headers.get("sec-fetch-site");
  const foreign = site === "cross-site" || site === "same-site";
  if (foreign && headers.get("sec-fetch-mode") !== "navigate") {
    return { status: 403, message: "Requests from other sites are not allowed" };
  }
  return null;
}

function isOurs(name: string, rules: OriginRules): boolean {
  if (isLoopback(name) || name === "0.0.0.0") return true;
  if (rules.beyondLoopback && isLiteral(name)) return true;
  return rules.hosts.includes("*") || rules.hosts.includes(name);
}

/** The host of a Host header without its port, lower case; null when it is none. */
function hostName(host: string): string | null {
  const match = /^(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9._-]+)(:\d{1,5})?$/.exec(host);
  return match === null ? null : match[1]!.toLowerCase().replace(/\.$/, "");
}

function isLiteral(name: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(name) || name.startsWith("[");
}

function isSameOrigin(origin: string, host: string): boolean {
  return origin.toLowerCase() === `http://${host.toLowerCase()}` ||
    origin.toLowerCase() === `https://${host.toLowerCase()}`;
}
