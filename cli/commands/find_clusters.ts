/**
 * Clusters by name and glob (cli.md §2.6), for the commands that act on them. Owns the question to the server and the
 * line about names that are not there; what to do with the found ones is the commands'.
 */
import type { ClusterView } from "../../api/clusters.ts";
import { matchesGlob, matchNames } from "../../core/names.ts";
import type { RequestId, Sky } from "../../sdk/client.ts";
import type { Io } from "../command.ts";
import { ask, followRequest, streaming } from "../follow.ts";

export interface ClusterQuestion {
  /** Names and globs; null for all. */
  readonly names: readonly string[] | null;
  readonly allUsers: boolean;
  /**
   * Look at the clouds first, which may take a while: the server tells what it does and finds. AUTO: only where the
   * record may be stale.
   */
  readonly refresh?: "AUTO" | "FORCE";
  /** Leave out everything that only `-v` shows. */
  readonly summary?: boolean;
  /** Also how to log in: the answer holds secrets then. */
  readonly credentials?: boolean;
  /** Takes lines about missing names and what the server tells, where stdout is for data only. */
  readonly say?: (line: string) => void;
}

/** The matching clusters, newest launch first. Without a match: an empty list. */
export async function findClusters(io: Io, sky: Sky, question: ClusterQuestion): Promise<ClusterView[]> {
  const { names, refresh } = question;
  const input = {
    cluster_names: names === null ? null : [...names],
    all_users: question.allUsers,
    refresh: refresh ?? "NONE",
    summary_response: question.summary ?? true,
    include_credentials: question.credentials ?? false,
  } as const;
  let log = "";
  const heard = (text: string) => log += text;
  const found = refresh === undefined
    ? await ask(io, sky, "status", input)
    : question.say === undefined
    ? await followRequest(io, sky, await sky.status(input), { tellOnInterrupt: false, heard })
    : await listen(io, sky, { id: await sky.status(input), say: question.say });
  const { missing } = matchNames(names ?? [], found.map((cluster) => cluster.name));
  // An official server has told it already.
  if (missing.length > 0 && !log.includes("Cluster(s) not found")) {
    const say = question.say ?? ((line) => io.out.line(line));
    say(`Cluster(s) not found: ${io.out.style.bold(missing.join(", "))}.`);
  }
  return found.toSorted((a, b) => b.launched_at - a.launched_at);
}

/** Follow a request without writing its log to stdout. */
async function listen<R>(
  io: Io,
  sky: Sky,
  { id, say }: { id: RequestId<R>; say: (line: string) => void },
): Promise<R> {
  const decoder = new TextDecoder();
  let log = "";
  const result = await streaming(io, (sink, signal) => {
    const data = (bytes: Uint8Array) => {
      log += decoder.decode(bytes, { stream: true });
    };
    return sky.streamAndGet(id, { data, status: sink.status }, { signal });
  });
  for (const line of log.split("\n")) if (line !== "") say(line);
  return result;
}

/** In the order in which the names and globs were typed. */
export function asTyped(clusters: readonly ClusterView[], names: readonly string[]): ClusterView[] {
  const place = ({ name }: ClusterView) =>
    names.findIndex((typed) => typed === name || matchesGlob(typed, name));
  return clusters.toSorted((a, b) => place(a) - place(b));
}

export type ControllerKind = "jobs" | "serve";

/** Clusters that SkyPilot servers keep for managed jobs and services; people do not stop or start them by hand. */
export function controllerKind(name: string): ControllerKind | null {
  if (name.startsWith("sky-jobs-controller-")) return "jobs";
  return name.startsWith("sky-serve-controller-") ? "serve" : null;
}

export const CONTROLLER_NAMES: Readonly<Record<ControllerKind, string>> = {
  jobs: "managed jobs controller",
  serve: "sky serve controller",
};
