/** The server's periodic work, by name: what runs how often. Running it is requests/daemons.ts. */
import { autostopTick, refreshTick, type Room } from "../clusters/mod.ts";
import { lookup, type SkyConfig } from "../core/config.ts";
import type { HomePaths } from "../core/paths.ts";
import type { Daemon } from "../requests/daemons.ts";
import type { Engine } from "../requests/engine.ts";
import { type Retention, retentionOf, sweepRequests } from "../requests/retention.ts";
import type { Database } from "../state/database.ts";
import type { LogFiles } from "../state/log_file.ts";
import { keepSparePages } from "../state/spare_pages.ts";
import { TokenStore } from "../state/tokens.ts";
import type { ServerConfig } from "./server_config.ts";
import type { Blobs } from "./uploads/blobs.ts";

export interface Surroundings {
  readonly config: ServerConfig;
  readonly database: Database;
  readonly engine: Engine;
  readonly room: Room;
  readonly logs: LogFiles;
  readonly blobs: Blobs;
  readonly home: HomePaths;
  now(): number;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const EVENT_HOURS = 720;

export function background(around: Surroundings): Daemon[] {
  const { config, database, engine, room, logs, blobs, home, now } = around;
  let first = true;
  return [
    { name: "config", everyMs: 2 * SECOND, run: () => config.refresh() },
    { name: "autostop", everyMs: 10 * SECOND, atStart: true, run: (signal) => autostopTick(signal, room) },
    {
      name: "spare pages",
      everyMs: MINUTE,
      atStart: true,
      async run() {
        await keepSparePages(database, { force: first });
        first = false;
      },
    },
    { name: "refresh", everyMs: MINUTE, run: (signal) => refreshTick(signal, room) },
    {
      name: "retention",
      everyMs: 10 * MINUTE,
      atStart: true,
      async run(signal) {
        const retention = retentionFrom(config.current());
        await sweepRequests({ database, logs, folder: home.requests, signal }, retention);
      },
    },
    {
      name: "uploads",
      everyMs: HOUR,
      run: async () => blobs.sweep({ inUse: await blobsInUse(engine), now: now(), maxAgeMs: HOUR }),
    },
    {
      name: "events",
      everyMs: HOUR,
      async run() {
        const hours = lookup(config.current(), "api_server.cluster_event_retention_hours");
        const before = now() - (typeof hours === "number" ? hours : EVENT_HOURS) * HOUR;
        if (before <= now()) await room.clusters.sweepEvents(before);
        await new TokenStore(database).sweep(now() - EVENT_HOURS * HOUR);
      },
    },
  ];
}

/** `api_server.requests_retention_hours` (negative: for ever), `api_server.requests_log_bytes`. */
export function retentionFrom(config: SkyConfig): Retention {
  const hours = lookup(config, "api_server.requests_retention_hours");
  const bytes = lookup(config, "api_server.requests_log_bytes");
  return {
    ...retentionOf(typeof hours === "number" ? hours : undefined),
    ...(typeof bytes === "number" && bytes > 0 ? { maxLogBytes: bytes } : {}),
  };
}

/** Uploads that a request which is not over may still read. */
async function blobsInUse(engine: Engine): Promise<Set<string>> {
  const inUse = new Set<string>();
  for (const { body } of await engine.list()) {
    const fields: unknown = JSON.parse(body);
    if (fields === null || typeof fields !== "object" || !("file_mounts_blob_id" in fields)) continue;
    inUse.add(String(fields.file_mounts_blob_id));
  }
  return inUse;
}
