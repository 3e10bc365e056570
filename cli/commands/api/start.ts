/** `sky api start`: the local server, in the background or in this terminal (cli.md §5.1). */
import type { Registration } from "../../../api/wire.ts";
import { SkyError } from "../../../core/errors.ts";
import { homePaths, serverHome, userHome } from "../../../core/paths.ts";
import { resolveEndpoint } from "../../../sdk/connect.ts";
import { ensureServer, runForeground, serverInfo } from "../../../sdk/service.ts";
import type { Command, Input, Io } from "../../command.ts";

export const command: Command = {
  name: "start",
  summary: "Start the local API server.",
  help:
    "Start the API server of this machine in the background. Every command that needs it does so by itself.\n\n" +
    "With --deploy it listens for other machines, and demands a token of them.",
  examples: [
    "sky api start",
    "sky api start --foreground",
    "sky api start --deploy --host 0.0.0.0 --port 46580",
  ],
  args: [],
  options: [
    { name: "deploy", kind: "flag", help: "Listen on all addresses (0.0.0.0), for other machines." },
    {
      name: "host",
      kind: "choice",
      choices: ["0.0.0.0", "localhost", "127.0.0.1"],
      help: "The address to listen on.  [default: 127.0.0.1]",
    },
    { name: "port", kind: "int", help: "The port to listen on.  [default: 46580]" },
    {
      name: "insecure",
      kind: "flag",
      help: "Beyond this machine, demand no token: anyone who reaches it rules it.",
    },
    { name: "foreground", kind: "flag", help: "Run in this terminal until Ctrl+C." },
  ],
  run,
};

async function run(io: Io, input: Input): Promise<number> {
  const { out, env } = io;
  const { endpoint, local } = resolveEndpoint(env, io.config());
  if (!local) {
    throw new SkyError(
      "invalid_argument",
      `Unable to start local API server: server endpoint is set to ${endpoint}. To start a local API server, ` +
        "remove the endpoint from the config file and/or unset the SKYPILOT_API_SERVER_ENDPOINT environment variable.",
    );
  }
  const home = homePaths(serverHome(env));
  const args = serverArgs(input, io);
  const running = serverInfo(home);
  if (running !== null && input.flag("foreground")) {
    out.line(`API server is already running: ${running.url}`);
    return 0;
  }
  if (running !== null && args.asked) {
    throw new SkyError(
      "not_supported",
      `Cannot start the API server this way: one (pid ${running.pid}) runs already at ${running.url}`,
      { hint: "sky api stop", details: { type: "RuntimeError" } },
    );
  }
  if (input.flag("foreground")) return await runForeground({ home, args: [...args.words, "--foreground"] });
  const missing = `Failed to connect to SkyPilot API server at ${endpoint}.`;
  const server = await ensureServer({
    home,
    args: args.words,
    onStart: (message) =>
      out.line(out.style.dim(message.startsWith("Starting") ? `${missing} ${message}` : message)),
    onStarted: () => out.line(`${out.style.green("✓ SkyPilot API server started.")} `),
  });
  const { dim } = out.style;
  out.line(`${dim("├── ")}SkyPilot API server and dashboard: ${server.url}`);
  out.line(`${dim("└── ")}View API server logs at: ${home.serverLog.replace(`${userHome(env)}/`, "~/")}`);
  if (args.beyond && !input.flag("insecure")) await tellFirstToken(io, server);
  return 0;
}

/** Nobody could log in to a server without a token; a later start keeps the tokens it has. */
async function tellFirstToken(io: Io, server: Registration): Promise<void> {
  const { out } = io;
  const { firstToken } = await import("./first_token.ts");
  const token = await firstToken(server);
  if (token === null) return;
  const url = `http://${Deno.hostname()}:${server.port}`;
  out.line();
  out.line(`Service account token (shown once): ${token}`);
  out.line(`Log in with: ${out.style.bold(`sky api login -e ${url} -t ${token}`)}`);
}

function serverArgs(input: Input, io: Io): { words: string[]; asked: boolean; beyond: boolean } {
  const host = input.text("host") ?? (input.flag("deploy") ? "0.0.0.0" : undefined);
  const port = input.int("port");
  const asked = [
    ...(host === undefined ? [] : ["--host", host]),
    ...(port === undefined ? [] : ["--port", String(port)]),
    ...(input.flag("deploy") ? ["--deploy"] : []),
    ...(input.flag("insecure") ? ["--insecure"] : []),
  ];
  const usual = io.env("SKY_PORT");
  const words = port === undefined && usual ? [...asked, "--port", usual] : asked;
  return { words, asked: asked.length > 0, beyond: host === "0.0.0.0" };
}
