/**
 * What clusters were used for (domain.md §4.1, §4.11): one row per incarnation, kept after it is gone, and its usage
 * intervals. Owns those tables' SQL; ClusterStore is its door. Prices are clusters/' business.
 */
import type { ClusterStatus, LaunchedResources } from "../core/cluster.ts";
import type { Database, Statement } from "./database.ts";

/** A cluster by name and incarnation: a write meant for one incarnation never touches the next. */
export interface ClusterKey {
  readonly name: string;
  readonly hash: string;
}

export interface UsageInterval {
  readonly start: number;
  /** Null while it is in use. */
  readonly end: number | null;
}

/** One incarnation, kept after it is gone (domain.md §4.1, §4.11). */
export interface ClusterHistory {
  readonly hash: string;
  readonly name: string;
  readonly numNodes: number;
  readonly resources: LaunchedResources;
  readonly usage: readonly UsageInterval[];
  readonly userId: string;
  readonly userName: string;
  readonly workspace: string;
  readonly launchedAt: number;
  readonly lastActiveAt: number;
  readonly removedAt: number | null;
  readonly lastCreationYaml: string | null;
  readonly lastCreationCommand: string | null;
  /** Of the cluster while this incarnation exists, else null. */
  readonly status: ClusterStatus | null;
}

/**
 * History and usage interval follow the cluster's row: statements to run after every change of it, harmless when
 * nothing changed. `now` in unix ms.
 */
export function followRow(key: ClusterKey, now: number): Statement[] {
  const args = [key.name, key.hash];
  return [
    {
      sql: `INSERT INTO cluster_history (hash, name, num_nodes, resources, user_id, user_name, workspace,
          launched_at, last_active_at, creation_command, creation_yaml)
        SELECT hash, name, num_nodes, resources, user_id, user_name, workspace, launched_at, last_active_at,
          creation_command, creation_yaml FROM clusters WHERE name = ? AND hash = ?
        ON CONFLICT (hash) DO UPDATE SET num_nodes = excluded.num_nodes, resources = excluded.resources,
          launched_at = excluded.launched_at, last_active_at = excluded.last_active_at,
          creation_command = excluded.creation_command, creation_yaml = excluded.creation_yaml`,
      args,
    },
    {
      sql: `INSERT INTO usage_intervals (cluster_hash, started_at)
        SELECT hash, ? FROM clusters WHERE name = ? AND hash = ? AND status <> 'STOPPED'
        ON CONFLICT DO NOTHING`,
      args: [now, ...args],
    },
    {
      sql:
        `UPDATE usage_intervals SET ended_at = max(started_at, ?) WHERE cluster_hash = ? AND ended_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM clusters WHERE hash = ? AND status <> 'STOPPED')`,
      args: [now, key.hash, key.hash],
    },
  ];
}

/** Incarnations in use at or after `since` (unix ms), newest launch first. */
export async function readHistory(database: Database, since: number): Promise<ClusterHistory[]> {
  const rows = await database.read<HistoryRow>(
    `SELECT h.*, c.status,
      (SELECT json_group_array(json_array(started_at, ended_at)) FROM (
        SELECT started_at, ended_at FROM usage_intervals WHERE cluster_hash = h.hash ORDER BY started_at)) AS usage
    FROM cluster_history h LEFT JOIN clusters c ON c.hash = h.hash
    WHERE c.hash IS NOT NULL OR EXISTS (SELECT 1 FROM usage_intervals u
      WHERE u.cluster_hash = h.hash AND (u.ended_at IS NULL OR u.ended_at >= ?))
    ORDER BY h.launched_at DESC, h.name`,
    [since],
  );
  return rows.map(toHistory);
}

interface HistoryRow {
  readonly hash: string;
  readonly name: string;
  readonly num_nodes: number;
  readonly resources: string;
  readonly user_id: string;
  readonly user_name: string;
  readonly workspace: string;
  readonly launched_at: number;
  readonly last_active_at: number;
  readonly removed_at: number | null;
  readonly creation_yaml: string | null;
  readonly creation_command: string | null;
  readonly status: ClusterStatus | null;
  readonly usage: string;
}

function toHistory(row: HistoryRow): ClusterHistory {
  const usage = JSON.parse(row.usage) as [number, number | null][];
  return {
    hash: row.hash,
    name: row.name,
    numNodes: row.num_nodes,
    resources: JSON.parse(row.resources) as LaunchedResources,
    usage: usage.map(([start, end]) => ({ start, end })),
    userId: row.user_id,
    userName: row.user_name,
    workspace: row.workspace,
    launchedAt: row.launched_at,
    lastActiveAt: row.last_active_at,
    removedAt: row.removed_at,
    lastCreationYaml: row.creation_yaml,
    lastCreationCommand: row.creation_command,
    status: row.status,
  };
}
