/**
 * SkyPilot itself, unpatched: releases from PyPI in virtual environments below the cache folder, and their `sky` and
 * Python with a HOME of their own. What they are asked is the tests'; official_server.ts runs their server.
 */
import { join } from "@std/path";
import { finish, type Ran, type RunOptions } from "./sky.ts";

/** The newest release when these tests were written, and the oldest that ours and it accept as a peer (wire.md §2.2). */
export const NEWEST = "0.14.1";
export const OLDEST = "0.11.0";
export const VERSIONS = [NEWEST, OLDEST] as const;

/** What a release needs and does not say: SQLAlchemy no longer brings it along. */
const UNSAID: Readonly<Record<string, readonly string[]>> = { [OLDEST]: ["greenlet", "sqlalchemy<2.1"] };

/** Folder of a release's programs; null, after one line that says why, where PyPI can't be reached. */
export async function officialBin(version: string = NEWEST): Promise<string | null> {
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? join(Deno.env.get("HOME") ?? "/root", ".cache");
  const folder = join(cache, "sky-tests", `skypilot-${version}`);
  const bin = join(folder, "bin");
  const marker = join(folder, "complete");
  if (await exists(marker)) return bin;
  await Deno.mkdir(folder, { recursive: true });
  const lock = await Deno.open(join(folder, "lock"), { create: true, write: true });
  try {
    await lock.lock(true);
    if (await exists(marker)) return bin;
    for (
      const argv of [
        ["python3", "-m", "venv", folder],
        [join(bin, "pip"), "install", "--quiet", `skypilot==${version}`, ...UNSAID[version] ?? []],
      ]
    ) {
      const why = await failure(argv);
      if (why === null) continue;
      await say(`SKIPPED: tests against the official SkyPilot ${version}: it can't be installed (${why})`);
      return null;
    }
    await Deno.writeTextFile(marker, "");
    return bin;
  } finally {
    lock.close();
  }
}

/** What the program said last, when it failed. */
async function failure([program, ...args]: string[]): Promise<string | null> {
  try {
    const { code, stderr } = await new Deno.Command(program!, { args, stdin: "null", stdout: "null" })
      .output();
    return code === 0 ? null : new TextDecoder().decode(stderr).trim().split("\n").at(-1) ?? `exit ${code}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return `no ${program}`;
    throw error;
  }
}

export async function say(line: string): Promise<void> {
  await Deno.stdout.write(new TextEncoder().encode(`${line}\n`));
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, (error) => {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  });
}

/** The environment of official programs with this HOME. */
export function officialEnv(home: string, bin: string): Record<string, string> {
  return {
    HOME: home,
    PATH: `${bin}:/usr/bin:/bin:/usr/sbin:/sbin`,
    LANG: "C.UTF-8",
    PYTHONPATH: home,
    SKYPILOT_DISABLE_USAGE_COLLECTION: "1",
    PYTHONDONTWRITEBYTECODE: "1",
    COLUMNS: "200",
  };
}

/** One step of a Python script of tests/official/: what it returned, or which exception it met. */
export interface Step {
  readonly value?: unknown;
  /** Module and class. */
  readonly error?: string;
  readonly message?: string;
  /** Of a command that failed. */
  readonly returncode?: number;
}

/** SkyPilot's client with a HOME of its own and, unless it is to find one itself, an endpoint. */
export class OfficialSky implements AsyncDisposable {
  readonly home: string;
  readonly work: string;
  readonly env: Record<string, string>;
  readonly #bin: string;

  private constructor(home: string, bin: string, endpoint: string | null) {
    this.home = home;
    this.work = join(home, "work");
    this.#bin = bin;
    this.env = {
      ...officialEnv(home, bin),
      // The user's own, so that two clients are two people.
      SKYPILOT_USER: "alice",
      ...(endpoint === null ? {} : { SKYPILOT_API_SERVER_ENDPOINT: endpoint }),
    };
  }

  static async make(bin: string, endpoint: string | null): Promise<OfficialSky> {
    const home = await Deno.makeTempDir({ prefix: "official-client-" });
    const sky = new OfficialSky(home, bin, endpoint);
    await Deno.mkdir(sky.work);
    return sky;
  }

  spawn(args: readonly string[], options: RunOptions & { program?: string } = {}): Deno.ChildProcess {
    return new Deno.Command(join(this.#bin, options.program ?? "sky"), {
      args: [...args],
      clearEnv: true,
      env: { ...this.env, ...options.env },
      cwd: options.cwd ?? this.work,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  async run(args: readonly string[], options: RunOptions & { program?: string } = {}): Promise<Ran> {
    const { code, stdout, stderr } = await finish(
      this.spawn(args, options),
      args,
      options.timeoutMs ?? 300_000,
    );
    return { code, stdout: plain(stdout), stderr: plain(stderr) };
  }

  /** Both outputs of a command that must exit with `code`. */
  async text(line: string, { code = 0, ...options }: RunOptions & { code?: number } = {}): Promise<string> {
    const ran = await this.run(wordsOf(line), options);
    const text = ran.stdout + ran.stderr;
    if (ran.code !== code) throw new Error(`sky ${line}: exit ${ran.code}, not ${code}\n${text}`);
    if (text.includes("Traceback (most recent call last)")) throw new Error(`sky ${line}:\n${text}`);
    return text;
  }

  /** Run a script that prints its steps as lines of JSON (tests/official/steps.py). */
  async steps(script: URL, options: RunOptions = {}): Promise<Map<string, Step>> {
    const ran = await this.run([script.pathname], { ...options, program: "python" });
    if (ran.code !== 0) throw new Error(`${script.pathname}: exit ${ran.code}\n${ran.stdout}${ran.stderr}`);
    const lines = ran.stdout.split("\n").filter((line) => line.startsWith("STEP "));
    return new Map(lines.map((line) => {
      const { name, ...step }: Step & { name: string } = JSON.parse(line.slice("STEP ".length));
      return [name, step];
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.home, { recursive: true });
  }
}

/** Words of a command line; single quotes keep spaces together. */
export function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? "");
}

/** Without colours, and with the last word of lines that were drawn over. */
function plain(text: string): string {
  // deno-lint-ignore no-control-regex -- terminal control sequences are what is taken out
  return text.replace(/\x1b\[[0-9;?]*[a-zA-Z]/g, "");
}
