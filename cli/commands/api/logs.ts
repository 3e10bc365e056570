/** `sky api logs`: come back to a request's log, or read the server's own (cli.md §5.3). */
import { isSkyError, SkyError } from "../../../core/errors.ts";
import { homePaths, serverHome } from "../../../core/paths.ts";
import type { Command, Input, Io } from "../../command.ts";
import { requestResult, streaming } from "../../follow.ts";
import { CONFIG } from "../../options.ts";
import { usage } from "../../parse.ts";

/** The name by which every server knows its own log (wire.md §4.3). */
const SERVER_LOG = "~/.sky/api_server/server.log";

export const command: Command = {
  name: "logs",
  summary: "Stream the log of a request.",
  help:
    "Stream the log of a request from its beginning until it ends, and end as it ended. A unique beginning of " +
    "the id is enough.\n\nLeaving with Ctrl+C does not touch the request.",
  examples: [
    "sky api logs 0d35ffa7",
    "sky api logs 0d35ffa7 --tail 20 --no-follow",
    "sky api logs --server-logs",
  ],
  args: [{ name: "REQUEST_ID", required: false, many: false, complete: "request" }],
  options: [
    { name: "server-logs", kind: "flag", help: "Show the log of the API server itself." },
    { name: "log-path", short: "l", kind: "text", help: "A log file below ~/sky_logs on the server." },
    { name: "tail", kind: "int", help: "Begin with this many last lines.  [default: all]" },
    { name: "follow", kind: "pair", help: "Go on until the request ends.  [default: follow]" },
    ...CONFIG,
  ],
  run,
};

async function run(io: Io, input: Input): Promise<number> {
  const id = input.args[0];
  const path = input.text("log-path");
  const follow = input.pair("follow") ?? true;
  const tail = input.int("tail");
  const options = { follow, ...(tail === undefined ? {} : { tail }) };
  if (input.flag("server-logs")) return await serverLog(io, options);
  if (id === undefined && path === undefined) {
    throw usage("Invalid value: Please provide the request ID or log path.");
  }
  if (id !== undefined && path !== undefined) {
    throw usage("Invalid value: Only one of request ID and log path can be provided.");
  }
  const sky = await io.sky();
  try {
    await streaming(
      io,
      (sink, signal) =>
        id !== undefined
          ? sky.stream(id, sink, { ...options, signal })
          : sky.streamLogPath(path ?? "", sink, { ...options, signal }),
    );
  } catch (error) {
    throw isSkyError(error, "request_not_found") || isSkyError(error, "request_ambiguous")
      ? new SkyError(error.code, `Failed to stream logs: ${error.message}`, {
        hint: error.hint,
        cause: error,
      })
      : error;
  }
  // Its error becomes ours: a followed request that failed must not look like a success.
  if (id !== undefined && follow) await requestResult(io, sky, id);
  return 0;
}

async function serverLog(io: Io, options: { follow: boolean; tail?: number }): Promise<number> {
  const sky = await io.skyIfRunning();
  if (sky !== undefined) {
    await streaming(io, (sink, signal) => sky.streamLogPath(SERVER_LOG, sink, { ...options, signal }));
    return 0;
  }
  const file = homePaths(serverHome(io.env)).serverLog;
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new SkyError("file_not_found", "No log: the SkyPilot API server was never started here", {
      hint: "sky api start",
      cause: error,
    });
  }
  const lines = text.replace(/\n$/, "").split("\n");
  const { tail } = options;
  io.out.line((tail === undefined ? lines : tail <= 0 ? [] : lines.slice(-tail)).join("\n"));
  return 0;
}
