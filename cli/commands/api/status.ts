/** `sky api status`: the requests of the server (cli.md §5.5). */
import type { RequestPayload } from "../../../api/requests.ts";
import * as ansi from "../../../core/ansi.ts";
import { SkyError } from "../../../core/errors.ts";
import { relativeTime } from "../../../core/format.ts";
import { plainTable } from "../../../core/table.ts";
import type { Command, Input, Io } from "../../command.ts";
import { CONFIG, OUTPUT, VERBOSE } from "../../options.ts";
import { usage } from "../../parse.ts";

const DEFAULT_LIMIT = 50;
const LONGEST_ID = 36;
const FIELDS = ["request_id", "name", "user_id", "status", "created_at"];
const MORE_FIELDS = ["cluster_name", "status_msg"];

const COLOURS: Readonly<Record<RequestPayload["status"], (text: string) => string>> = {
  PENDING: ansi.blue,
  RUNNING: ansi.green,
  SUCCEEDED: ansi.green,
  FAILED: ansi.red,
  CANCELLED: ansi.white,
};

export const command: Command = {
  name: "status",
  summary: "List requests.",
  help:
    "List the requests of the API server, newest first: those that wait or run, with -a the finished ones " +
    "too.\n\nWith -v the last column says why a request waits and how many are before it.",
  examples: [
    "sky api status",
    "sky api status -a -l 10",
    "sky api status 0d35ffa7 -v",
    "sky api status -o json",
  ],
  args: [{ name: "REQUEST_ID_PREFIXES", required: false, many: true, complete: "request" }],
  options: [
    { name: "all-status", short: "a", kind: "flag", help: "Include finished requests." },
    {
      name: "limit",
      short: "l",
      kind: "text",
      help: "How many to show; none or all for no limit.  [default: 50]",
    },
    {
      name: "cluster",
      short: "c",
      kind: "text",
      complete: "cluster",
      help: "Only those about this cluster.",
    },
    ...VERBOSE,
    ...OUTPUT,
    ...CONFIG,
  ],
  run,
};

async function run(io: Io, input: Input): Promise<number> {
  const { out } = io;
  const json = input.text("output") === "json";
  const verbose = input.flag("verbose");
  const limit = parseLimit(input.text("limit"));
  const sky = await io.skyIfRunning();
  if (sky === undefined) {
    if (json) out.json([]);
    else out.line("SkyPilot API server is not running.");
    return 0;
  }
  const ids = input.args;
  const requests = await sky.apiStatus({
    ...(ids.length > 0 ? { ids } : {}),
    allStatus: input.flag("all-status"),
    limit,
    cluster: input.text("cluster") ?? null,
    // JSON readers get whole records, as with the reference.
    ...(json ? {} : { fields: verbose ? [...FIELDS, ...MORE_FIELDS] : FIELDS }),
  });
  if (ids.length > 0 && requests.length === 0) {
    throw new SkyError("request_not_found", `Request ${ids.map((id) => `'${id}'`).join(", ")} not found`);
  }
  if (json) {
    out.json(requests);
    return 0;
  }
  out.line(table(requests, { verbose, now: io.now() }));
  if (ids.length === 0 && limit !== null && requests.length >= limit) {
    out.line();
    out.line(`Showing ${limit} requests. Use "-l none" or "-l all" to show all requests.`);
  }
  return 0;
}

function parseLimit(text: string | undefined): number | null {
  if (text === undefined) return DEFAULT_LIMIT;
  if (["none", "all"].includes(text.toLowerCase())) return null;
  const limit = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(limit) && limit > 0) return limit;
  throw usage(`Invalid value for '--limit' / '-l': '${text}' is not a positive integer, 'none' or 'all'.`);
}

function table(requests: readonly RequestPayload[], options: { verbose: boolean; now: number }): string {
  const { verbose, now } = options;
  const waits = verbose && requests.some((one) => one.status_msg !== null);
  const header = [
    "ID",
    "User",
    "Name",
    ...(verbose ? ["Cluster"] : []),
    "Created",
    "Status",
    ...(waits ? ["Waiting for"] : []),
  ];
  const rows = requests.map((one) => [
    verbose || one.request_id.length <= LONGEST_ID
      ? one.request_id
      : `${one.request_id.slice(0, LONGEST_ID)}...`,
    one.user_name ?? "-",
    one.name,
    ...(verbose ? [one.cluster_name ?? "-"] : []),
    relativeTime(one.created_at * 1000, now),
    COLOURS[one.status](one.status),
    ...(waits ? [one.status_msg ?? "-"] : []),
  ]);
  return plainTable(header, rows.length > 0 ? rows : [header.map(() => "-")]);
}
