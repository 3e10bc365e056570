/**
 * The machinery of stop, down and autostop (cli.md §3.7): which clusters, the question, one request per cluster in
 * parallel under a progress bar, a line per result, the summary. The words and the requests are the commands';
 * controllers are controllers.ts's.
 */
import type { ClusterView } from "../../api/clusters.ts";
import { qualifiedName } from "../../api/errors.ts";
import { stripAnsi } from "../../core/ansi.ts";
import { isSkyError, SkyError } from "../../core/errors.ts";
import { plural } from "../../core/format.ts";
import type { LogSink, RequestId, Sky } from "../../sdk/client.ts";
import type { Argument, Input, Io, Option } from "../command.ts";
import { followRequest, streaming, submitted } from "../follow.ts";
import { dropLogin } from "../logins.ts";
import { ASYNC, CONFIG, YES } from "../options.ts";
import { usage } from "../parse.ts";
import { requireYes } from "../prompt.ts";
import { asTyped, CONTROLLER_NAMES, controllerKind, findClusters } from "./find_clusters.ts";

export interface Operation {
  /** The command's word, e.g. `down`. */
  readonly command: "stop" | "down" | "autostop";
  /** What is done, as in prompts and labels: `Stopping`, `Scheduling autostop on`. */
  readonly doing: string;
  /** The beginning of a result line: `Stopping cluster dev`. */
  line(name: string): string;
  /** The rest of the line when it went well, and lines below it. */
  readonly done: string;
  after(name: string, io: Io): readonly string[];
  /** Is there anything to do for this cluster? Asked with -a and -u only. */
  concerns(cluster: ClusterView): boolean;
  submit(sky: Sky, name: string): Promise<RequestId<null>>;
  /** Said after failures. */
  readonly remedy?: string;
  /** Deals with a controller that was named; without it controllers are refused. */
  controller?(io: Io, sky: Sky, name: string): Promise<void>;
}

export const CLUSTERS: readonly Argument[] = [
  { name: "CLUSTERS", required: false, many: true, complete: "cluster" },
];

/** Options of all three. */
export const SELECTION: readonly Option[] = [
  { name: "all", short: "a", kind: "flag", help: "All your clusters." },
  { name: "all-users", short: "u", kind: "flag", help: "All clusters of all users." },
  ...YES,
  ...ASYNC,
  ...CONFIG,
];

export const GRACEFUL: readonly Option[] = [
  { name: "graceful", kind: "flag", help: "Cancel the jobs and let cached mounts finish uploading first." },
  { name: "graceful-timeout", kind: "int", metavar: "SECONDS", help: "How long --graceful may take." },
];

/** What went wrong with one cluster, in a line or two. */
interface Failure {
  readonly name: string;
  readonly reason: string;
}

/** Do it. The exit code is 0 even when clusters failed, as the reference has it (cli.md §14). */
export async function runLifecycle(io: Io, input: Input, operation: Operation): Promise<number> {
  const { out } = io;
  checkSelection(io, input, operation);
  const sky = await io.sky();
  const clusters = await select(io, sky, { input, operation });
  const names = clusters.map((cluster) => cluster.name);
  if (names.length === 0) {
    const kind = operation.controller === undefined ? null : controllerKind(input.args[0] ?? "");
    out.line(
      kind === null
        ? "Cluster(s) not found (tip: see `sky status`)."
        : `${capitalized(CONTROLLER_NAMES[kind])} has already been torn down.`,
    );
    return 0;
  }
  const label = `${operation.doing} ${plural(names.length, "cluster")}`;
  const controllers = names.filter((name) => controllerKind(name) !== null);
  if (controllers.length > 0) await settleControllers(io, sky, { operation, names, controllers });
  else {
    await requireYes(out, `${label}: ${names.join(", ")}. Proceed?`, {
      default: true,
      skip: input.flag("yes"),
    });
  }
  out.line();
  const follow = input.pair("async") !== true;
  const failures = await perform(io, sky, { operation, names, label, follow });
  if (!follow && failures.length < names.length) {
    out.line(`${operation.doing} requests are sent. Check the requests' status with \`sky api status\`.`);
  }
  if (names.length > 1 && (follow || failures.length > 0)) summarize(io, names, failures);
  if (failures.length > 0) {
    out.line(
      "Cluster(s) failed. See details above." +
        (operation.remedy === undefined ? "" : ` ${operation.remedy}`),
    );
  }
  return 0;
}

function checkSelection(io: Io, input: Input, { command }: Operation): void {
  const all = input.flag("all");
  const everyones = input.flag("all-users");
  if (!all && !everyones && input.args.length === 0) {
    throw usage(
      `\`sky ${command}\` requires either a cluster name or glob (see \`sky status\`), or the -a/--all flag for all ` +
        "your clusters, or the -u/--all-users flag for all clusters in your team.",
    );
  }
  if ((all || everyones) && input.args.length > 0) {
    const flag = all ? "--all" : "--all-users";
    io.out.line(`Both ${flag} and cluster(s) specified for \`sky ${command}\`. Letting ${flag} take effect.`);
  }
}

async function select(
  io: Io,
  sky: Sky,
  { input, operation }: { input: Input; operation: Operation },
): Promise<ClusterView[]> {
  const everyones = input.flag("all-users");
  if (!everyones && !input.flag("all")) {
    return asTyped(await findClusters(io, sky, { names: input.args, allUsers: true }), input.args);
  }
  const clusters = await findClusters(io, sky, { names: null, allUsers: everyones });
  return clusters.filter((cluster) => controllerKind(cluster.name) === null && operation.concerns(cluster));
}

/** Controllers can only be torn down, one at a time and with a question of their own. */
async function settleControllers(
  io: Io,
  sky: Sky,
  targets: { operation: Operation; names: readonly string[]; controllers: readonly string[] },
): Promise<void> {
  const { operation, names, controllers } = targets;
  const quote = (list: readonly string[]) => list.map((name) => `'${name}'`).join(", ");
  const [controller] = controllers;
  if (operation.controller === undefined) {
    throw new SkyError(
      "not_supported",
      `${operation.doing} controller(s) ${quote(controllers)} is currently not supported.`,
    );
  }
  if (controller === undefined || names.length > 1) {
    const others = names.filter((name) => name !== controller);
    throw usage(
      `${operation.doing} controller(s) ${quote(controllers)} with other cluster(s) ${
        quote(others)
      } is currently not ` +
        "supported.\nPlease do it for each of them alone.",
    );
  }
  await operation.controller(io, sky, controller);
}

interface Targets {
  readonly operation: Operation;
  readonly names: readonly string[];
  readonly label: string;
  readonly follow: boolean;
}

/** All at once; each result is told as it comes. Ctrl+C leaves the requests running and says so. */
async function perform(io: Io, sky: Sky, targets: Targets): Promise<Failure[]> {
  const { operation, names, label, follow } = targets;
  const { out } = io;
  const failures: Failure[] = [];
  const unfinished = new Set<string>();
  let done = 0;

  const one = async (name: string, { sink, signal }: { sink: LogSink; signal: AbortSignal }) => {
    try {
      const id = await operation.submit(sky, name);
      if (!follow) return submitted(io, sky, id, `sky.${operation.doing}`);
      unfinished.add(id);
      const lines = wholeLines(sink);
      await sky.streamAndGet(id, lines.sink, { signal });
      lines.flush();
      unfinished.delete(id);
      tellDone(io, operation, name);
      if (operation.command !== "autostop") await dropLogin(io, name);
      out.progress(label, ++done, names.length, { final: false });
    } catch (error) {
      if (signal.aborted || !isSkyError(error)) throw error;
      failures.push({ name, reason: tellFailure(io, error, { operation, name }) });
    }
  };

  try {
    if (follow) out.progress(label, 0, names.length, { final: false });
    await streaming(io, async (sink, signal) => {
      const ends = await Promise.allSettled(names.map((name) => one(name, { sink, signal })));
      for (const end of ends) if (end.status === "rejected") throw end.reason;
    });
    if (follow) out.progress(label, done, names.length, { final: true });
  } catch (error) {
    out.restore();
    // Nothing more is followed after Ctrl+C: this only tells how to come back to each request.
    if (io.signal.aborted) await Promise.allSettled([...unfinished].map((id) => followRequest(io, sky, id)));
    throw error;
  }
  return failures;
}

/** Several logs share the terminal: only whole lines of each. The bar is the only thing that moves. */
function wholeLines(sink: LogSink): { sink: LogSink; flush(): void } {
  let rest = new Uint8Array(0);
  return {
    sink: {
      data: (bytes) => {
        const all = new Uint8Array(rest.length + bytes.length);
        all.set(rest);
        all.set(bytes, rest.length);
        const end = all.lastIndexOf(0x0a) + 1;
        if (end > 0) sink.data(all.subarray(0, end));
        rest = all.subarray(end);
      },
      status: () => {},
    },
    flush: () => {
      if (rest.length > 0) sink.data(Uint8Array.of(...rest, 0x0a));
    },
  };
}

function tellDone(io: Io, operation: Operation, name: string): void {
  const { out } = io;
  out.line(out.style.green(`${operation.line(name)}...${operation.done}`));
  for (const line of operation.after(name, io)) out.line(`  ${line}`);
}

/** Prints what went wrong and returns it for the summary. */
function tellFailure(
  io: Io,
  error: SkyError,
  { operation, name }: { operation: Operation; name: string },
): string {
  const { out } = io;
  const hint = error.hint === undefined ? "" : `\n  ${error.hint}`;
  if (error.code === "not_supported" || error.code === "cluster_owner_mismatch") {
    // Some servers send the whole block (cli.md §3.7), others only the reason.
    const text = stripAnsi(error.message);
    const whole = text.includes("... skipped.");
    out.line(
      whole ? error.message : `${operation.doing} cluster '${name}'... skipped.\n  ${error.message}${hint}`,
    );
    return whole ? text.split("\n")[1]?.trim() ?? text : text;
  }
  const reason = `${qualifiedName(error)}: ${stripAnsi(error.message)}`;
  out.line(out.style.red(`${operation.line(name)}...failed. `));
  out.line(`Reason: ${reason.replace(/\.$/, "")}.${hint}`);
  return reason;
}

function capitalized(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

const REASON_LENGTH = 120;

function summarize(io: Io, names: readonly string[], failures: readonly Failure[]): void {
  const { out } = io;
  const failed = new Set(failures.map((failure) => failure.name));
  const succeeded = names.filter((name) => !failed.has(name));
  out.line();
  out.line("Summary:");
  if (succeeded.length > 0) out.line(`  ✓ Succeeded: ${succeeded.join(", ")}`);
  const texts = failures.map(({ name, reason }) => `${name} (${firstLine(reason)})`);
  if (texts.length === 1) out.line(`  ✗ Failed: ${texts[0]}`);
  if (texts.length > 1) {
    out.line("  ✗ Failed:");
    for (const text of texts) out.line(`      ${text}`);
  }
}

function firstLine(text: string): string {
  const [line = ""] = text.split("\n");
  return line.length <= REASON_LENGTH ? line : `${line.slice(0, REASON_LENGTH - 1)}…`;
}
