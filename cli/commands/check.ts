/** `sky check`: which infra can be used (cli.md §4.1). The server checks, and prints the report. */
import type { Command, Input, Io } from "../command.ts";
import { ask, followRequest } from "../follow.ts";
import { CONFIG, OUTPUT, VERBOSE } from "../options.ts";

export const command: Command = {
  name: "check",
  summary: "Check which infra is available to use.",
  help:
    "Check the credentials and tools of all infra, or of the named ones, on the machine of the API server, and say " +
    "what is missing where one cannot be used.",
  examples: ["sky check", "sky check local", "sky check aws kubernetes -v", "sky check -o json"],
  args: [{ name: "INFRA_LIST", required: false, many: true, complete: "infra" }],
  options: [
    ...VERBOSE,
    // Not the active workspace: only the one to check.
    { name: "workspace", short: "w", kind: "text", help: "Check for this workspace only." },
    ...OUTPUT,
    ...CONFIG,
  ],
  run,
};

async function run(io: Io, input: Input): Promise<number> {
  const { out } = io;
  const json = input.text("output") === "json";
  const warn = (text: string) => json ? out.error(out.style.yellow(text)) : out.line(out.style.yellow(text));
  const clouds = input.args.map((infra) => cloudOf(infra, warn));
  const sky = await io.sky();
  const body = {
    clouds: clouds.length > 0 ? clouds : null,
    verbose: input.flag("verbose"),
    workspace: input.text("workspace") ?? null,
  };
  if (json) {
    out.json(await ask(io, sky, "check", body));
    return 0;
  }
  await followRequest(io, sky, await sky.check(body), { tellOnInterrupt: false });
  out.line();
  out.line(out.style.green(`Using SkyPilot API server: ${sky.endpoint}`));
  return 0;
}

/** Only Kubernetes contexts and SSH pools are checked one by one. */
function cloudOf(infra: string, warn: (text: string) => void): string {
  const text = infra.trim();
  const slash = text.indexOf("/");
  const written = (slash < 0 ? text : text.slice(0, slash)).toLowerCase();
  const cloud = written === "k8s" ? "kubernetes" : written;
  if (slash < 0) return cloud;
  if (cloud === "kubernetes" || cloud === "ssh") return cloud + text.slice(slash);
  warn(`Infra '${text}': the region is ignored, all of '${cloud}' is checked.`);
  return cloud;
}
