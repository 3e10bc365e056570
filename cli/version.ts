/** What `sky --version` says. Loaded before everything else: must import nothing heavy. */
import type { Terminal } from "./terminal.ts";

export const VERSION = "1.0.0-dev0";
/** The engine inside the pinned @libsql/client; told as text so that no native code is loaded for it. */
export const SQLITE_VERSION = "3.45.1 (libSQL 0.5.29)";

export const VERSION_LINE = `skypilot, version ${VERSION}`;

/** The commit that a compiled program was built from (scripts/compile.ts writes it beside the bundle). */
export function commit(): string {
  if (!Deno.build.standalone) return "source";
  const build: { commit: string } = JSON.parse(
    Deno.readTextFileSync(new URL("./build.json", import.meta.url)),
  );
  return build.commit;
}

export function printVersionJson(out: Terminal): void {
  out.json({ version: VERSION, commit: commit(), deno: Deno.version.deno, sqlite: SQLITE_VERSION });
}

/** `sky --version | true` must end quietly: the reader has what it wanted. */
export function printVersion(out: Terminal): number {
  try {
    out.line(VERSION_LINE);
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
  return 0;
}
