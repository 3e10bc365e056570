/**
 * The environment a node of this machine starts from: as after a fresh login there, not the server's own, which
 * may hold somebody's secrets. Owns the list of what is handed on. Pure.
 */
import type { Env } from "../../core/paths.ts";

/** What tells programs where and how they run; nothing that names an account or carries a key. */
const HANDED_ON = [
  "PATH",
  "USER",
  "LOGNAME",
  "SHELL",
  "LANG",
  "LANGUAGE",
  "LC_ALL",
  "LC_CTYPE",
  "TZ",
  "TMPDIR",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "ALL_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "all_proxy",
  "no_proxy",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "REQUESTS_CA_BUNDLE",
  "CURL_CA_BUNDLE",
  "NODE_EXTRA_CA_CERTS",
  "LD_LIBRARY_PATH",
  "CUDA_HOME",
  "CUDA_PATH",
];

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The base environment of a node whose HOME is `home`. */
export function nodeEnvironment(env: Env, home: string): Record<string, string> {
  const own: Record<string, string> = { PATH: DEFAULT_PATH };
  for (const name of HANDED_ON) {
    const value = env(name);
    if (value !== undefined && value !== "") own[name] = value;
  }
  return { ...own, HOME: home };
}
