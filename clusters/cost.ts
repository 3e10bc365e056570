/** What clusters cost (domain.md §4.11): usage intervals times the price they were launched at. An estimate. */
import type { ClusterHistory } from "../state/clusters.ts";
import type { Room } from "./room.ts";

export interface CostOptions {
  /** Only clusters used within so many days; 0 or null: all. Existing ones always. */
  readonly days: number | null;
  readonly hashes: readonly string[] | null;
  readonly names: readonly string[] | null;
}

export interface ClusterCost {
  readonly history: ClusterHistory;
  /** Milliseconds in use; null if it never was. */
  readonly duration: number | null;
  /** USD an hour, all nodes. */
  readonly hourlyCost: number;
  /** USD. */
  readonly totalCost: number;
  readonly lastEvent: string | null;
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** Newest launch first. */
export async function costReport(options: CostOptions, room: Room): Promise<ClusterCost[]> {
  const now = room.now();
  const { days, hashes, names } = options;
  const since = days === null || days === 0 ? 0 : now - days * DAY_MS;
  const wanted = (await room.clusters.history({ since })).filter((each) =>
    (hashes?.includes(each.hash) ?? true) && (names?.includes(each.name) ?? true)
  );
  return await Promise.all(wanted.map(async (history): Promise<ClusterCost> => {
    const duration = history.usage.length === 0 ? null : usedTime(history, now);
    const hourlyCost = history.resources.hourlyCost * history.numNodes;
    const [last] = await room.clusters.events({ hash: history.hash }, { limit: 1, types: ["STATUS_CHANGE"] });
    return {
      history,
      duration,
      hourlyCost,
      totalCost: hourlyCost * (duration ?? 0) / HOUR_MS,
      lastEvent: last?.reason ?? null,
    };
  }));
}

/** Milliseconds; an open interval ends now. */
export function usedTime(history: Pick<ClusterHistory, "usage">, now: number): number {
  return history.usage.reduce((sum, { start, end }) => sum + Math.max(0, (end ?? now) - start), 0);
}
