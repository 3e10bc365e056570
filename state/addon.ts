/**
 * The native part of libSQL inside the compiled binary. Owns: unpacking it once into the home (checked by hash)
 * and pointing the libSQL package at it. Does nothing when run from source, where the package finds its own.
 *
 * Danger: left alone, the runtime would write the addon to a predictable name in $TMPDIR at every start: that
 * fails on a read-only or noexec /tmp and lets another user get in the way (runtime.md §1).
 */
import { createHash } from "node:crypto";
import { Module } from "node:module";
import { zstdDecompressSync } from "node:zlib";
import { join } from "@std/path";
import { SkyError } from "../core/errors.ts";

/** Written beside server.js by scripts/compile.ts. */
const PACKED = "libsql.node.zst";
const SUM = "libsql.node.sha256";

/** Unpack the addon below `cacheDir` (0700) unless there, verify it, hook the loader. `resources`: bundled files. */
export function useBundledAddon(cacheDir: string, resources: string): void {
  const expected = Deno.readTextFileSync(join(resources, SUM)).trim();
  const target = join(cacheDir, `libsql-${expected.slice(0, 16)}.node`);
  if (!hashIs(target, expected)) {
    Deno.mkdirSync(cacheDir, { recursive: true, mode: 0o700 });
    const bytes = zstdDecompressSync(Deno.readFileSync(join(resources, PACKED)));
    const temporary = `${target}.${Deno.pid}`;
    Deno.writeFileSync(temporary, bytes, { mode: 0o600 });
    Deno.renameSync(temporary, target);
    if (!hashIs(target, expected)) {
      throw new SkyError(
        "internal",
        `Cannot use '${target}': its content is not the one this program was built with`,
      );
    }
  }
  type Loader = { _load(id: string, ...rest: unknown[]): unknown };
  const loader = Module as unknown as Loader;
  const original = loader._load;
  loader._load = function (id, ...rest) {
    return original.call(this, /^@libsql\/(linux|darwin|win32)-/.test(id) ? target : id, ...rest);
  };
}

function hashIs(path: string, expected: string): boolean {
  let bytes: Uint8Array;
  try {
    bytes = Deno.readFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  return createHash("sha256").update(bytes).digest("hex") === expected;
}
