/** `sky api stop`: end the local server; jobs go on, requests are resumed at its next start (cli.md §5.2). */
import { SkyError } from "../../../core/errors.ts";
import { homePaths, serverHome } from "../../../core/paths.ts";
import { resolveEndpoint } from "../../../sdk/connect.ts";
import { stopServer } from "../../../sdk/service.ts";
import type { Command, Io } from "../../command.ts";

export const command: Command = {
  name: "stop",
  summary: "Stop the local API server.",
  help:
    "Stop the API server of this machine. Jobs on clusters go on; requests under way are resumed when the " +
    "server is started again.",
  examples: ["sky api stop"],
  args: [],
  options: [],
  run,
};

async function run(io: Io): Promise<number> {
  const { out } = io;
  const { endpoint, local } = resolveEndpoint(io.env, io.config());
  if (!local) {
    throw new SkyError(
      "not_supported",
      `Cannot kill the API server at ${endpoint} because it is not the default SkyPilot API server started locally.`,
      { details: { type: "RuntimeError" } },
    );
  }
  const stopped = await stopServer(homePaths(serverHome(io.env)));
  out.line(
    stopped ? out.style.green("SkyPilot API server stopped.") : "SkyPilot API server is not running.",
  );
  return 0;
}
