/**
 * Runs the tests and ends with the plain line `N passed, N failed, N skipped`.
 *
 *   deno task test                 compile the binary, then unit, end-to-end, chaos, fleet and official
 *   deno task test tests/core      only these files or folders, nothing compiled
 *
 * The binary under test is made from Deno's base, or from the pinned npm base where that can't be downloaded.
 * tests/fleet runs in a sandbox (sandbox.ts); where that can't be, one line says why and counts as skipped.
 */
import { dirname, fromFileUrl, join, resolve } from "@std/path";
import { compile } from "./compile.ts";
import { findSshd } from "../tests/support/sshd.ts";
import { inSandbox, type Sandboxed, whyNoSandbox } from "./sandbox.ts";

const root = resolve(dirname(fromFileUrl(import.meta.url)), "..");
const write = (text: string) => Deno.stdout.write(new TextEncoder().encode(text));

/** Folders below tests/ that are no unit tests. */
const OWN_PHASE = ["e2e", "chaos", "fleet", "official", "support"];

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

interface RunOptions {
  readonly parallel: boolean;
  readonly env?: Record<string, string>;
  readonly sandbox?: boolean;
  /** Files to leave out. */
  readonly ignore?: readonly string[];
}

async function runTests(paths: readonly string[], options: RunOptions): Promise<Counts> {
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  const program = Deno.execPath();
  const args = [
    "test",
    "--lock=deno.lock",
    "-A",
    "--no-check",
    ...(options.parallel ? ["--parallel"] : []),
    `--junit-path=${report}`,
    ...(options.ignore === undefined || options.ignore.length === 0
      ? []
      : [`--ignore=${options.ignore.join(",")}`]),
    ...paths,
  ];
  const direct: Sandboxed = { program, args, env: {}, sweep: () => Promise.resolve() };
  const run = options.sandbox === true ? inSandbox(program, args) : direct;
  const { code } = await new Deno.Command(run.program, {
    args: [...run.args],
    cwd: root,
    env: { ...run.env, ...options.env },
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  await run.sweep();
  const counts = readReport(await Deno.readTextFile(report));
  await Deno.remove(report);
  // A crash outside of any test (a leak, a syntax error) shows in the exit code alone.
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}

/** Tests of the way into machines by ssh: every one logs in to a real sshd. None is left out where there is one. */
async function needingSshd(): Promise<string[]> {
  if (await findSshd() !== null) return [];
  const folder = "tests/clouds/transport";
  const files: string[] = [];
  for await (const { name } of Deno.readDir(join(root, folder))) {
    if (/^(ssh|remote)_(?!tar).*_test\.ts$/.test(name)) files.push(`${folder}/${name}`);
  }
  await write(`\nskipped: ${files.join(", ")}: no sshd is installed\n`);
  return files;
}

/** Tests that need machines of their own. */
async function runFleet(paths: readonly string[], env: Record<string, string>): Promise<Counts> {
  const reason = await whyNoSandbox();
  // They wait far more than they compute: twice as many at once as there are cores.
  const jobs = { DENO_JOBS: String(navigator.hardwareConcurrency * 2) };
  if (reason === null) {
    return await runTests(paths, { parallel: true, sandbox: true, env: { ...jobs, ...env } });
  }
  await write(`\nskipped: ${paths.join(", ")}: ${reason}\n`);
  return { passed: 0, failed: 0, skipped: 1 };
}

async function isThere(folder: string): Promise<boolean> {
  return await Deno.stat(join(root, folder)).then(() => true, () => false);
}

/** Counts of a JUnit report: its root element's attributes. */
function readReport(xml: string): Counts {
  const number = (name: string, text: string) =>
    Number(new RegExp(`\\b${name}="(\\d+)"`).exec(text)?.[1] ?? 0);
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const [suite] of xml.matchAll(/<testsuite [^>]*>/g)) {
    const failed = number("failures", suite) + number("errors", suite);
    const skipped = number("disabled", suite);
    total.failed += failed;
    total.skipped += skipped;
    total.passed += number("tests", suite) - failed - skipped;
  }
  return total;
}

async function binary(): Promise<string> {
  const out = join(root, "dist", "sky");
  try {
    return await compile(Deno.build.target, out);
  } catch {
    await write("The official base could not be had: the tests' binary is made from the pinned npm base.\n");
    Deno.env.set("SKY_DENORT", "npm");
    return await compile(Deno.build.target, out);
  }
}

const chosen = Deno.args.filter((arg) => !arg.startsWith("-"));
const total: Counts = { passed: 0, failed: 0, skipped: 0 };
const add = (counts: Counts) => {
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
};
const ofFleet = (path: string) => /^(\.\/)?tests\/fleet(\/|$)/.test(path);
if (chosen.length > 0) {
  const plain = chosen.filter((path) => !ofFleet(path));
  const fleet = chosen.filter(ofFleet);
  if (plain.length > 0) add(await runTests(plain, { parallel: true }));
  if (fleet.length > 0) add(await runFleet(fleet, {}));
} else {
  const sky = await binary();
  const unit = [];
  for await (const entry of Deno.readDir(join(root, "tests"))) {
    if (entry.isDirectory && !OWN_PHASE.includes(entry.name)) unit.push(`tests/${entry.name}`);
  }
  const env = { SKY_BINARY: sky };
  const ignore = await needingSshd();
  total.skipped += ignore.length;
  add(await runTests(unit.sort(), { parallel: true, ignore }));
  add(await runTests(["tests/e2e"], { parallel: true, env }));
  add(await runTests(["tests/chaos"], { parallel: false, env }));
  add(await runFleet(["tests/fleet"], env));
  if (await isThere("tests/official")) add(await runTests(["tests/official"], { parallel: true, env }));
}
await write(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
Deno.exit(total.failed === 0 && total.passed > 0 ? 0 : 1);
