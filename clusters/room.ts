/**
 * The room: everything the verbs of clusters/ share for the server's life. Opening it finishes what a crash cut
 * short (recover.ts) and starts the job queues; closing it lets go of jobs, which run on.
 */
import { join } from "@std/path";
import type { Clouds } from "../clouds/registry.ts";
import type { ClusterRecord } from "../core/cluster.ts";
import type { SkyConfig } from "../core/config.ts";
import type { Env, HomePaths } from "../core/paths.ts";
import { ClusterStore } from "../state/clusters.ts";
import type { Database } from "../state/database.ts";
import { JobStore } from "../state/jobs.ts";
import type { LogFiles } from "../state/log_file.ts";
import { SettingStore } from "../state/settings.ts";
import { cloudContext, cloudFolder, cloudOf, serverAsker } from "./asker.ts";
import { clusterFolder } from "./folders.ts";
import { Guards } from "./guards.ts";
import type { KeeperOptions } from "./keeper.ts";
import { JobKeepers } from "./keepers.ts";
import { recoverJobs } from "./recover.ts";

export interface RoomOptions {
  readonly database: Database;
  readonly clouds: Clouds;
  readonly logs: LogFiles;
  readonly home: HomePaths;
  /** The server's own config, for work that no request asked for. */
  readonly config: SkyConfig;
  /** The server's environment, for programs that clouds start on this machine. */
  readonly env: Env;
  readonly now: () => number;
  /** Told what went wrong where nobody waits for an answer. */
  readonly onFault: (error: unknown, what: string) => void;
  /** Called at `before_` and `after_` `provision`, `job_start`, `job_end`: for crash tests. */
  readonly failpoint?: (name: string) => void;
}

export interface Room extends AsyncDisposable {
  readonly clusters: ClusterStore;
  readonly jobs: JobStore;
  readonly settings: SettingStore;
  readonly clouds: Clouds;
  readonly logs: LogFiles;
  readonly home: HomePaths;
  readonly config: SkyConfig;
  readonly env: Env;
  readonly keepers: JobKeepers;
  readonly guards: Guards;
  /** When each incarnation was last compared with its cloud, unix ms. */
  readonly refreshed: Map<string, number>;
  /** By incarnation: when its nodes were last told how to end themselves (unix ms), and what. */
  readonly guarded: Map<string, { readonly at: number; readonly policy: string }>;
  /** By incarnation: when autostop last failed (unix ms), and what it said. */
  readonly troubles: Map<string, { readonly at: number; readonly words: string }>;
  now(): number;
  onFault(error: unknown, what: string): void;
  failpoint(name: string): void;
}

/** Resolves when every job that is not over is looked after again; unreachable clusters are not waited for. */
export async function openRoom(options: RoomOptions): Promise<Room> {
  const { database, clouds, logs, home, config, env, now, onFault } = options;
  const room: Room = {
    clusters: new ClusterStore(database),
    jobs: new JobStore(database),
    settings: new SettingStore(database),
    clouds,
    logs,
    home,
    config,
    env,
    keepers: new JobKeepers((cluster) => keeperOptions(cluster, room)),
    guards: new Guards(),
    refreshed: new Map(),
    guarded: new Map(),
    troubles: new Map(),
    now,
    onFault,
    failpoint: options.failpoint ?? (() => {}),
    [Symbol.asyncDispose]: () => closeRoom(room),
  };
  await recoverJobs(room);
  return room;
}

async function closeRoom(room: Room): Promise<void> {
  await room.keepers[Symbol.asyncDispose]();
  await Promise.all([...room.clouds.loaded].map(async (name) => {
    const cloud = await room.clouds.load(name);
    await cloud.close?.(cloudFolder(cloud, room));
  }));
}

async function keeperOptions(cluster: ClusterRecord, room: Room): Promise<KeeperOptions> {
  const cloud = await cloudOf(cluster, room);
  return {
    cluster,
    cloud,
    cloudContext: (signal) => cloudContext(cloud, serverAsker(room, signal), room),
    clusters: room.clusters,
    jobs: room.jobs,
    logs: room.logs,
    folder: join(clusterFolder(cluster.hash, room), "jobs"),
    now: room.now,
    onFault: room.onFault,
    failpoint: room.failpoint,
  };
}
