/**
 * argv in, exit code out. The client, or for the hidden word the server, which is bundled apart (scripts/compile.ts)
 * so that no client start pays for it. Everything is imported when it is needed: start-up is the product.
 */
import { SkyError } from "./core/errors.ts";

interface ServerModule {
  prepareHome(home: string): Promise<void>;
  main(args: readonly string[]): Promise<number>;
}

const SERVER_WORD = "__server";
/** A second Ctrl+C, and the signals that end us: 128 plus their number. */
const INTERRUPTED = 130;
const ENDING: readonly (readonly [Deno.Signal, number])[] = Deno.build.os === "windows"
  ? []
  : [["SIGTERM", 143], ["SIGHUP", 129]];

async function client(argv: readonly string[]): Promise<number> {
  const { createTerminal } = await import("./cli/terminal.ts");
  const interrupt = new AbortController();
  const env = (name: string) => Deno.env.get(name);
  const { stdout, stderr, stdin } = Deno;
  const now = () => Date.now();
  const out = createTerminal({ stdout, stderr, stdin, env, signal: interrupt.signal, now });
  if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-v") && !env("_SKY_COMPLETE")) {
    const { printVersion } = await import("./cli/version.ts");
    return printVersion(out);
  }
  const leave = (code: number) => {
    out.restore();
    Deno.exit(code);
  };
  Deno.addSignalListener("SIGINT", () => {
    if (interrupt.signal.aborted) leave(INTERRUPTED);
    interrupt.abort(new SkyError("aborted", "Aborted!"));
  });
  for (const [signal, code] of ENDING) Deno.addSignalListener(signal, () => leave(code));
  const { run } = await import("./cli/run.ts");
  const variables = () => Deno.env.toObject();
  const whileStarting = async (home: string) => await (await server()).prepareHome(home);
  return await run(argv, {
    out,
    env,
    variables,
    whileStarting,
    cwd: workingDirectory(),
    signal: interrupt.signal,
    now,
  });
}

function workingDirectory(): string {
  try {
    return Deno.cwd();
  } catch {
    return "/"; // it was removed under us; few commands mind
  }
}

async function server(): Promise<ServerModule> {
  const entry = Deno.build.standalone ? "./server/main.js" : "./server/main.ts";
  return await import(entry);
}

const [word, ...rest] = Deno.args;
Deno.exit(word === SERVER_WORD ? await (await server()).main(rest) : await client(Deno.args));
