import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { RUN_JOB } from "../../../clouds/transport/node/run_job.ts";
import {
  JOB_KEY,
  jobFiles,
  jobPaths,
  logLink,
  parseExit,
  quote,
  stagePath,
} from "../../../clouds/transport/job_files.ts";

interface Attempt {
  readonly home: string;
  readonly shell?: readonly string[];
  readonly path?: string;
  readonly script: string;
  readonly token: string;
}

/** Lays out an attempt and runs its wrapper to the end; what it said of the claim, and its own exit code. */
async function attempt({ home, shell = ["sh"], path, script, token }: Attempt): Promise<[string, number]> {
  const paths = jobPaths(home, "1-t", "run");
  const stage = stagePath(paths, token);
  const start = { logDir: "1-t", phase: "run", output: "tasks/run.log", env: { A: "x'y" }, script } as const;
  await Deno.mkdir(stage, { recursive: true });
  for (const [name, text] of Object.entries(jobFiles(start, token))) {
    await Deno.writeTextFile(join(stage, name), text);
  }
  await Deno.symlink(logLink(start.output), join(stage, "log"));
  const [program, ...flags] = shell;
  const args = [stage, paths.job, `by-${token}`, join(paths.logs, start.output)];
  const { code, stdout } = await new Deno.Command(program!, {
    args: [...flags, "-c", RUN_JOB, "sh", ...args],
    env: { HOME: home, PATH: path ?? Deno.env.get("PATH")!, [JOB_KEY]: paths.job },
    clearEnv: true,
    stdin: "null",
  }).output();
  return [new TextDecoder().decode(stdout), code];
}

async function withHome(work: (home: string) => Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir({ prefix: "run 'job" });
  try {
    await work(home);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("RUN_JOB claims, runs and keeps the code under every POSIX shell there is", async () => {
  for (
    const shell of [["sh"], ["bash", "--posix"], ["bash"], ["dash"], ["busybox", "sh"], ["ksh"], [
      "zsh",
      "--emulate",
      "sh",
    ]]
  ) {
    const found = await new Deno.Command("sh", { args: ["-c", 'command -v "$0"', shell[0]!] }).output();
    if (!found.success) continue; // Not installed: nothing to try.
    await withHome(async (home) => {
      assertEquals(await attempt({ home, shell, script: 'echo "$A"; exit 6', token: "t" }), ["claimed\n", 6]);
      const job = `${home}/sky_logs/1-t/.job/run`;
      assertEquals(await Deno.readTextFile(join(job, "log")), "x'y\n");
      assertEquals(parseExit(await Deno.readTextFile(join(job, "exit"))), 6);
      assertEquals(await attempt({ home, shell, script: "echo again", token: "u" }), ["taken\n", 0]);
      assertEquals(await Deno.readTextFile(join(job, "log")), "x'y\n");
    });
  }
});

Deno.test("RUN_JOB that loses between its look and its move starts nothing and cleans up", () =>
  withHome(async (home) => {
    const bin = join(home, "bin");
    await Deno.mkdir(bin);
    const job = jobPaths(home, "1-t", "run").job;
    const real = (await new Deno.Command("sh", { args: ["-c", "command -v mv"] }).output()).stdout;
    const mv = new TextDecoder().decode(real).trim();
    const text = `#!/bin/sh\nmkdir ${quote(job)}\necho other >${quote(join(job, "pid"))}\nexec ${mv} "$@"\n`;
    await Deno.writeTextFile(join(bin, "mv"), text, { mode: 0o755 });
    const path = `${bin}:${Deno.env.get("PATH")}`;
    assertEquals(await attempt({ home, path, script: "touch ran", token: "t" }), ["taken\n", 0]);
    const left = await Array.fromAsync(Deno.readDir(join(job, "..")));
    assertEquals(left.map((entry) => entry.name), ["run"]);
    assertEquals((await Array.fromAsync(Deno.readDir(job))).map((entry) => entry.name), ["pid"]);
  }));

Deno.test("RUN_JOB without its staging directory fails, or finds the job taken", () =>
  withHome(async (home) => {
    const paths = jobPaths(home, "1-t", "run");
    const run = async () => {
      const args = ["-c", RUN_JOB, "sh", join(home, "nowhere"), paths.job, "by-x", join(home, "out")];
      const { stdout } = await new Deno.Command("sh", { args, env: { HOME: home }, stdin: "null" }).output();
      return new TextDecoder().decode(stdout);
    };
    assertEquals(await run(), "failed\n");
    await Deno.mkdir(paths.job, { recursive: true });
    assertEquals(await run(), "taken\n");
  }));
