/** Retention (wire.md §16.7): finished requests go by age and by the bytes of all logs; open ones never. Owns that policy. */
import type { LogFiles } from "../state/log_file.ts";
import { RequestSweep } from "../state/request_sweep.ts";
import type { Database } from "../state/database.ts";
import { requestLogPath } from "./log.ts";

export interface Retention {
  /** Ms that a finished request is kept; negative for ever. Default 24 h. */
  readonly maxAgeMs?: number;
  /** Bytes of all finished requests' logs; beyond that the oldest go. Default 2 GiB. */
  readonly maxLogBytes?: number;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const LOG_BYTES = 2 * 1024 ** 3;
/** Rows per commit: a big sweep does not hold the event loop. */
const PIECE = 200;

/** From the config value in hours (`api_server.requests_retention_hours`). */
export function retentionOf(hours: number | undefined): Retention {
  return hours === undefined ? {} : { maxAgeMs: hours * 60 * 60 * 1000 };
}

/** One sweep; how many requests went. Logs without a row, left by a crash, go too. */
export async function sweepRequests(
  options: { database: Database; logs: LogFiles; folder: string; signal?: AbortSignal },
  retention: Retention = {},
): Promise<{ removed: number }> {
  const sweep = new RequestSweep(options.database);
  const maxAgeMs = retention.maxAgeMs ?? DAY_MS;
  const maxLogBytes = retention.maxLogBytes ?? LOG_BYTES;
  let removed = 0;
  let total = await sweep.logBytes();
  while (options.signal?.aborted !== true) {
    const before = options.database.now() - maxAgeMs;
    const found = total > maxLogBytes
      ? await sweep.oldest({ limit: PIECE })
      : maxAgeMs < 0
      ? []
      : await sweep.oldest({ before, limit: PIECE });
    const doomed: string[] = [];
    for (const each of found) {
      if (total <= maxLogBytes && (maxAgeMs < 0 || each.finishedAt >= before)) break;
      doomed.push(each.id);
      total -= each.logBytes;
    }
    if (doomed.length === 0) break;
    // The row first: a log without a row is found again below, a row without its log would be a lie.
    removed += await sweep.remove(doomed);
    for (const id of doomed) await options.logs.remove(requestLogPath(options.folder, id));
  }
  await sweepOrphans(sweep, options);
  return { removed };
}

async function sweepOrphans(
  sweep: RequestSweep,
  options: { logs: LogFiles; folder: string; signal?: AbortSignal },
): Promise<void> {
  const ids: string[] = [];
  for await (const file of Deno.readDir(options.folder)) {
    const id = /^([0-9a-f-]{36})\.log$/.exec(file.name)?.[1];
    if (id !== undefined) ids.push(id);
  }
  // Read after the listing: a log is made after its row, so each listed one that is alive has a row by now.
  for (let at = 0; at < ids.length && options.signal?.aborted !== true; at += PIECE) {
    const piece = ids.slice(at, at + PIECE);
    const known = await sweep.known(piece);
    for (const id of piece) {
      if (!known.has(id)) await options.logs.remove(requestLogPath(options.folder, id));
    }
  }
}
