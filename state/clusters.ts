/**
 * Clusters as rows, one per name. Owns that table's SQL; leaves deciding about statuses to clusters/, what it was
 * used for to cluster_history.ts, events to cluster_events.ts.
 */
import type { Autostop, ClusterRecord, ClusterStatus, Handle, LaunchedResources } from "../core/cluster.ts";
import { type ClusterEvent, type ClusterEventRow, EventStore, type NewEvent } from "./cluster_events.ts";
import { type ClusterHistory, type ClusterKey, followRow, readHistory } from "./cluster_history.ts";
import type { Database, Statement, Value } from "./database.ts";

export type { ClusterEvent, ClusterEventRow, NewEvent } from "./cluster_events.ts";
export type { ClusterHistory, ClusterKey, UsageInterval } from "./cluster_history.ts";

export type ClusterChanges = Partial<
  Omit<ClusterRecord, "name" | "hash" | "lastEvent" | "userId" | "userName" | "workspace" | "nameOnCloud">
>;

export interface UpdateOptions {
  /** Only if the status is one of these. */
  readonly from?: readonly ClusterStatus[];
  readonly event?: NewEvent;
}

export class ClusterStore {
  readonly #database: Database;
  readonly #events: EventStore;

  constructor(database: Database) {
    this.#database = database;
    this.#events = new EventStore(database);
  }

  async get(name: string): Promise<ClusterRecord | null> {
    const [row] = await this.#database.read<Row>(`${SELECT} WHERE c.name = ?`, [name]);
    return row === undefined ? null : toRecord(row);
  }

  /** Newest launch first. Filters add up. */
  async list(
    filter: { names?: readonly string[]; userId?: string; workspace?: string } = {},
  ): Promise<ClusterRecord[]> {
    const where: string[] = [];
    const args: Value[] = [];
    if (filter.names !== undefined) {
      where.push("c.name IN (SELECT value FROM json_each(?))");
      args.push(JSON.stringify(filter.names));
    }
    if (filter.userId !== undefined) {
      where.push("c.user_id = ?");
      args.push(filter.userId);
    }
    if (filter.workspace !== undefined) {
      where.push("c.workspace = ?");
      args.push(filter.workspace);
    }
    const condition = where.length === 0 ? "" : ` WHERE ${where.join(" AND ")}`;
    const rows = await this.#database.read<Row>(
      `${SELECT}${condition} ORDER BY c.launched_at DESC, c.name`,
      args,
    );
    return rows.map(toRecord);
  }

  /**
   * Write the whole record (`lastEvent` is derived from the events and not written); opens or closes its usage
   * interval by its status; the owner and workspace of an existing one stay. False, and nothing is written, if the
   * name belongs to another incarnation by now.
   */
  async upsert(record: ClusterRecord, event?: NewEvent): Promise<boolean> {
    const columns = Object.keys(COLUMNS) as (keyof typeof COLUMNS)[];
    const names = columns.map((key) => COLUMNS[key]);
    const changing = names.filter((name) => !OWNER.includes(name));
    const results = await this.#database.writeAll([
      ...this.#note(record, event),
      {
        sql: `INSERT INTO clusters (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})
          ON CONFLICT (name) DO UPDATE SET ${changing.map((name) => `${name} = excluded.${name}`).join(", ")}
          WHERE clusters.hash = excluded.hash`,
        args: columns.map((key) => toColumn(record[key])),
      },
      ...followRow(record, this.#database.now()),
    ], URGENT);
    return (results[event === undefined ? 0 : 1]?.rowsAffected ?? 0) > 0;
  }

  /**
   * Change some fields of this incarnation. A new status sets `statusUpdatedAt` unless given. False if it is gone
   * or its status is not in `from`; then nothing is written.
   */
  async update(key: ClusterKey, changes: ClusterChanges, options: UpdateOptions = {}): Promise<boolean> {
    const all: ClusterChanges = changes.status !== undefined && changes.statusUpdatedAt === undefined
      ? { ...changes, statusUpdatedAt: this.#database.now() }
      : changes;
    const keys = (Object.keys(all) as (keyof ClusterChanges)[]).filter((each) => all[each] !== undefined);
    if (keys.length === 0) return (await this.get(key.name))?.hash === key.hash;
    const from = options.from === undefined ? "" : " AND status IN (SELECT value FROM json_each(?))";
    const results = await this.#database.writeAll([
      ...this.#note(key, options.event, options.from ?? ANY),
      {
        sql: `UPDATE clusters SET ${keys.map((each) => `${COLUMNS[each]} = ?`).join(", ")}
          WHERE name = ? AND hash = ?${from}`,
        args: [
          ...keys.map((each) => toColumn(all[each])),
          key.name,
          key.hash,
          ...(options.from === undefined ? [] : [JSON.stringify(options.from)]),
        ],
      },
      ...followRow(key, this.#database.now()),
    ], URGENT);
    return (results[options.event === undefined ? 0 : 1]?.rowsAffected ?? 0) > 0;
  }

  /** Remove this incarnation's row, close its usage; the history stays. False if it was gone. */
  async delete(key: ClusterKey, event?: NewEvent): Promise<boolean> {
    const now = this.#database.now();
    const results = await this.#database.writeAll([
      ...this.#note(key, event),
      { sql: "DELETE FROM clusters WHERE name = ? AND hash = ?", args: [key.name, key.hash] },
      {
        sql: "UPDATE cluster_history SET removed_at = ? WHERE hash = ? AND removed_at IS NULL",
        args: [now, key.hash],
      },
      ...followRow(key, this.#database.now()),
    ], URGENT);
    return (results[event === undefined ? 0 : 1]?.rowsAffected ?? 0) > 0;
  }

  /** Incarnations in use at or after `since` (unix ms; default all), newest launch first. */
  async history(options: { since?: number } = {}): Promise<ClusterHistory[]> {
    return await readHistory(this.#database, options.since ?? 0);
  }

  /** Note that something happened. False if it equals the last event of its type and `dedup` asked for that. */
  addEvent(key: ClusterKey, event: NewEvent): Promise<boolean> {
    return this.#events.add(key, event);
  }

  /** Events of a cluster name or of one incarnation, oldest first; `limit` keeps the newest. */
  events(
    of: { name: string } | { hash: string },
    options: { limit?: number; types?: readonly ClusterEvent["type"][] } = {},
  ): Promise<ClusterEventRow[]> {
    return this.#events.list(of, options);
  }

  /** Delete events older than `before` (unix ms); how many. Domain.md §4.10: 30 days, hourly. */
  sweepEvents(before: number): Promise<number> {
    return this.#events.sweep(before);
  }

  #note(key: ClusterKey, event: NewEvent | undefined, from?: readonly ClusterStatus[]): Statement[] {
    return event === undefined ? [] : [this.#events.statement(key, event, from)];
  }
}

/** Clusters cost money: what happened to one is written even on a full disk. */
const URGENT = { urgent: true };
const ANY: readonly ClusterStatus[] = ["INIT", "UP", "STOPPED", "AUTOSTOPPING", "PENDING"];
/** Columns that a later launch never changes (domain.md §4.1). */
const OWNER: readonly string[] = ["user_id", "user_name", "workspace"];

/** Record field → column. `lastEvent` is derived. */
const COLUMNS = {
  name: "name",
  hash: "hash",
  nameOnCloud: "name_on_cloud",
  status: "status",
  statusUpdatedAt: "status_updated_at",
  launchedAt: "launched_at",
  everUp: "ever_up",
  numNodes: "num_nodes",
  resources: "resources",
  handle: "handle",
  autostop: "autostop",
  lastActiveAt: "last_active_at",
  userId: "user_id",
  userName: "user_name",
  workspace: "workspace",
  lastUse: "last_use",
  launchReason: "launch_reason",
  lastCreationYaml: "creation_yaml",
  lastCreationCommand: "creation_command",
  configHash: "config_hash",
} as const satisfies Record<Exclude<keyof ClusterRecord, "lastEvent">, string>;

const SELECT = `SELECT c.*, (SELECT e.reason FROM cluster_events e
  WHERE e.cluster_hash = c.hash AND e.type <> 'DEBUG' ORDER BY e.seq DESC LIMIT 1) AS last_event FROM clusters c`;

function toColumn(value: ClusterRecord[keyof ClusterRecord] | undefined): Value {
  if (value === undefined || value === null) return null;
  if (typeof value === "boolean") return value ? 1 : 0;
  return typeof value === "object" ? JSON.stringify(value) : value;
}

interface Row {
  readonly name: string;
  readonly hash: string;
  readonly name_on_cloud: string;
  readonly status: ClusterStatus;
  readonly status_updated_at: number;
  readonly launched_at: number;
  readonly ever_up: number;
  readonly num_nodes: number;
  readonly last_active_at: number;
  readonly user_id: string;
  readonly user_name: string;
  readonly workspace: string;
  readonly last_use: string;
  readonly launch_reason: string | null;
  readonly config_hash: string | null;
  readonly resources: string;
  readonly autostop: string;
  readonly handle: string | null;
  readonly creation_command: string | null;
  readonly creation_yaml: string | null;
  readonly last_event: string | null;
}

function toRecord(row: Row): ClusterRecord {
  return {
    name: row.name,
    hash: row.hash,
    nameOnCloud: row.name_on_cloud,
    status: row.status,
    statusUpdatedAt: row.status_updated_at,
    launchedAt: row.launched_at,
    everUp: row.ever_up === 1,
    numNodes: row.num_nodes,
    resources: JSON.parse(row.resources) as LaunchedResources,
    handle: row.handle === null ? null : JSON.parse(row.handle) as Handle,
    autostop: JSON.parse(row.autostop) as Autostop,
    lastActiveAt: row.last_active_at,
    userId: row.user_id,
    userName: row.user_name,
    workspace: row.workspace,
    lastUse: row.last_use,
    lastEvent: row.last_event,
    launchReason: row.launch_reason,
    lastCreationYaml: row.creation_yaml,
    lastCreationCommand: row.creation_command,
    configHash: row.config_hash,
  };
}
