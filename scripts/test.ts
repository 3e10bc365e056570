/**
 * Runs the tests and ends with the plain line `N passed, N failed, N skipped`.
 *
 *   deno task test                 compile the binary, then unit, end-to-end and 20 chaos cycles
 *   deno task test tests/core      only these files or folders, nothing compiled
 *
 * The binary under test is made from Deno's base, or from the pinned npm base where that can't be downloaded.
 */
import { dirname, fromFileUrl, join, resolve } from "@std/path";
import { compile } from "./compile.ts";

const root = resolve(dirname(fromFileUrl(import.meta.url)), "..");
const write = (text: string) => Deno.stdout.write(new TextEncoder().encode(text));

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

async function runTests(
  paths: readonly string[],
  options: { parallel: boolean; env?: Record<string, string> },
) {
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: [
      "test",
      "-A",
      "--no-check",
      ...(options.parallel ? ["--parallel"] : []),
      `--junit-path=${report}`,
      ...paths,
    ],
    cwd: root,
    env: options.env ?? {},
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  const counts = readReport(await Deno.readTextFile(report));
  await Deno.remove(report);
  // A crash outside of any test (a leak, a syntax error) shows in the exit code alone.
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
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
if (chosen.length > 0) {
  add(await runTests(chosen, { parallel: true }));
} else {
  const sky = await binary();
  const unit = [];
  for await (const entry of Deno.readDir(join(root, "tests"))) {
    if (entry.isDirectory && !["e2e", "chaos", "support"].includes(entry.name)) {
      unit.push(`tests/${entry.name}`);
    }
  }
  add(await runTests(unit.sort(), { parallel: true }));
  add(await runTests(["tests/e2e"], { parallel: true, env: { SKY_BINARY: sky } }));
  add(await runTests(["tests/chaos"], { parallel: false, env: { SKY_BINARY: sky } }));
}
await write(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
Deno.exit(total.failed === 0 && total.passed > 0 ? 0 : 1);
