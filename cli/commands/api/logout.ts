/** `sky api logout`: go back to the local server (cli.md §5.7). */
import { SkyError } from "../../../core/errors.ts";
import { removeEndpoint } from "../../../sdk/config_files.ts";
import { resolveEndpoint } from "../../../sdk/connect.ts";
import { removeCookies } from "../../../sdk/credentials.ts";
import { returnUserHash } from "../../../sdk/identity.ts";
import type { Command, Io } from "../../command.ts";

export const command: Command = {
  name: "logout",
  summary: "Log out of the API server.",
  help:
    "Forget the API server that sky api login has set, with its token and cookies. Commands then use the local " +
    "server again.",
  examples: ["sky api logout"],
  args: [],
  options: [],
  run,
};

async function run(io: Io): Promise<number> {
  const { out } = io;
  refuseEnvEndpoint(io, "logout of");
  if (resolveEndpoint(io.env, io.config()).local) {
    throw new SkyError(
      "not_supported",
      "Local api server cannot be logged out. Use `sky api stop` instead.",
      { details: { type: "RuntimeError" } },
    );
  }
  await removeEndpoint(io.env);
  await removeCookies(io.env);
  returnUserHash(io.env);
  out.line(out.style.green("Logged out of SkyPilot API server."));
  return 0;
}

/** A variable outdoes what login and logout write, so they would seem to do nothing. */
export function refuseEnvEndpoint(io: Io, verb: string): void {
  if (!io.env("SKYPILOT_API_SERVER_ENDPOINT")) return;
  throw new SkyError(
    "not_supported",
    `Cannot ${verb} API server when the endpoint is set via the environment variable. ` +
      "Run unset SKYPILOT_API_SERVER_ENDPOINT to clear the environment variable.",
    { details: { type: "RuntimeError" } },
  );
}
