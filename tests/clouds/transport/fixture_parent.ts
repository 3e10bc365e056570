/** A "server" to be killed: starts a job (`home script`), says so, and stays. With `twice` it starts it twice. */
import { makeNode } from "../support.ts";

const [root, script, ...words] = Deno.args;
const node = makeNode(root!);
const start = {
  logDir: "1-t",
  phase: "run",
  output: "tasks/run.log",
  env: { SECRET: "s3" },
  script,
} as const;
const options = { signal: new AbortController().signal };
const starts = words.includes("twice") ? [1, 2] : [1];
await Promise.all(starts.map(() => node.runner.startJob({ ...start, script: script! }, options)));
await Deno.stdout.write(new TextEncoder().encode("started\n"));
if (words.includes("stay")) await new Promise((resolve) => setTimeout(resolve, 60_000));
