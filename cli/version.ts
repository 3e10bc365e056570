/** What `sky --version` says. Loaded before everything else: must import nothing heavy. */
import type { Terminal } from "./terminal.ts";

export const VERSION = "1.0.0-dev0";
/** scripts/compile.ts replaces this text in the bundle by the commit that was built. */
const BUILT_FROM = "__SKY_COMMIT__";
export const COMMIT = /^[0-9a-f]{7,40}$/.test(BUILT_FROM) ? BUILT_FROM : "source";
/** The engine inside the pinned @libsql/client; told as text so that no native code is loaded for it. */
export const SQLITE_VERSION = "3.45.1 (libSQL 0.5.29)";

export const VERSION_LINE = `skypilot, version ${VERSION}`;

export function printVersionJson(out: Terminal): void {
  out.json({ version: VERSION, commit: COMMIT, deno: Deno.version.deno, sqlite: SQLITE_VERSION });
}
