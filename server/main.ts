/**
 * The server's door: `sky __server -m sky.server.server --home H …`. Owns its argv, signals and last words; the server
 * is serve.ts. `-m sky.server.server` means nothing here: SkyPilot's client looks for that text (wire.md §1.6).
 */
import { parseArgs } from "@std/cli/parse-args";
import { dirname, join } from "@std/path";
import { describe, isSkyError, SkyError } from "../core/errors.ts";
import { DEFAULT_PORT, type Env, homePaths, serverHome } from "../core/paths.ts";
import { unpackAddon, useBundledAddon } from "../state/addon.ts";
import type { Ready, ServeOptions } from "./serve.ts";
import { serverLog, writeStderr } from "./server_log.ts";

export interface ServerWish {
  readonly home: string;
  readonly host: string;
  readonly port: number;
  readonly deploy: boolean;
  readonly insecure: boolean;
  readonly foreground: boolean;
}

const OPTIONS = {
  string: ["home", "host", "port", "metrics-port", "m"],
  boolean: ["deploy", "insecure", "foreground"],
};

/** Throws usage for options that are unknown or make no sense. */
export function parseServerArgs(args: readonly string[], env: Env): ServerWish {
  const unknown: string[] = [];
  const parsed = parseArgs([...args], {
    ...OPTIONS,
    unknown: (arg) => {
      unknown.push(arg);
      return false;
    },
  });
  if (unknown.length > 0) throw new SkyError("usage", `No such option: ${unknown[0]}`);
  const deploy = parsed["deploy"] === true;
  const host = textOf(parsed["host"]) ?? (deploy ? "0.0.0.0" : "127.0.0.1");
  return {
    home: textOf(parsed["home"]) ?? serverHome(env),
    host,
    port: portOf(textOf(parsed["port"]) ?? env("SKY_PORT")),
    deploy,
    insecure: parsed["insecure"] === true,
    foreground: parsed["foreground"] === true,
  };
}

/** Run the server until a signal ends it; the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const env: Env = (name) => Deno.env.get(name);
  const now = () => Date.now();
  const log = serverLog(writeStderr, now);
  // Danger: without this, one client whose stream breaks at the wrong moment would end the server (runtime.md §4).
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    log.fault("unhandled rejection", event.reason);
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    log.fault("uncaught error", event.error);
  });
  try {
    const wish = parseServerArgs(args, env);
    const { serve } = await import("./serve.ts");
    await serve({ ...wish, env, now, ...build(wish.home), stop: stopSignal(), ...tokenTeller(wish) });
    return 0;
  } catch (error) {
    // The starter shows the last words of our log to people: keep them short where we know what is wrong.
    if (!isSkyError(error)) log.fault("The server ended", error);
    const hint = isSkyError(error) && error.hint !== undefined ? `\n${error.hint}` : "";
    writeStderr(new TextEncoder().encode(`Error: ${describe(error)}${hint}\n`));
    return isSkyError(error, "usage") ? 2 : 1;
  }
}

/** A first token is told to a terminal, never to the log file that a background server writes to. */
function tokenTeller(wish: ServerWish): Pick<ServeOptions, "wantsToken" | "onReady"> {
  if (!wish.deploy || !(wish.foreground || Deno.stdout.isTerminal())) return {};
  return {
    wantsToken: true,
    onReady({ port, token }: Ready) {
      if (token === null) return;
      const url = `http://${Deno.hostname()}:${port}`;
      const text =
        `Service account token (shown once): ${token}\nLog in with: sky api login -e ${url} --token ${token}\n`;
      Deno.stdout.writeSync(new TextEncoder().encode(text));
    },
  };
}

/** In the compiled program: what was built, and the native addon, which is put in place when the database wants it. */
function build(home: string): Pick<ServeOptions, "commit" | "prepare"> {
  if (!Deno.build.standalone) return { commit: "source" };
  const build: unknown = JSON.parse(Deno.readTextFileSync(join(resources(), "build.json")));
  const known = build !== null && typeof build === "object" && "commit" in build;
  return {
    commit: known ? String(build.commit) : "unknown",
    prepare: () => useBundledAddon(homePaths(home).cache, resources()),
  };
}

/**
 * For the client that has just started the first server of a home and waits for it: unpacks the native addon in the
 * time that the server takes to get as far as needing it.
 */
export async function prepareHome(home: string): Promise<void> {
  if (Deno.build.standalone) await unpackAddon(homePaths(home).cache, resources());
}

/** The folder of the files that scripts/compile.ts packs beside the code. */
function resources(): string {
  return dirname(import.meta.dirname ?? ".");
}

/** Aborted by the first SIGTERM or SIGINT; a hangup of the starter's terminal is nothing to us. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  const end = () => stop.abort();
  Deno.addSignalListener("SIGINT", end);
  if (Deno.build.os === "windows") return stop.signal;
  Deno.addSignalListener("SIGTERM", end);
  Deno.addSignalListener("SIGHUP", () => {});
  return stop.signal;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function portOf(text: string | undefined): number {
  if (text === undefined || text === "") return DEFAULT_PORT;
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65535) return port;
  throw new SkyError("usage", `Invalid port: '${text}'`);
}
