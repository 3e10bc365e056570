/**
 * The one connection to the database. Owns opening, pragmas, migrations, group commit and what happens when the
 * disk is full; leaves SQL about things to the stores.
 */
import { setImmediate } from "node:timers";
import { SkyError } from "../core/errors.ts";
import { type Connection, fileConnection, remoteConnection } from "./connection.ts";
import { corrupt, databaseFault, isDiskFull } from "./faults.ts";
import { migrate } from "./migrate.ts";
import { Space } from "./space.ts";

export type Value = string | number | null | Uint8Array;

export interface Statement {
  readonly sql: string;
  readonly args?: readonly Value[];
}

export interface WriteResult {
  readonly rowsAffected: number;
}

export interface WriteOptions {
  /** This write ends something: give up the disk reserve rather than fail on a full disk. */
  readonly urgent?: boolean;
}

export interface DatabaseOptions {
  /** A file path, or a URL (`libsql://`, `http(s)://`) of a shared server. */
  readonly path: string;
  readonly now: () => number;
  readonly authToken?: string;
  /** Called at `before_commit`, `after_commit`, `before_checkpoint`, `after_checkpoint`: for crash tests. */
  readonly failpoint?: (name: string) => void;
}

interface Member {
  readonly statements: readonly Statement[];
  readonly urgent: boolean;
  readonly resolve: (results: WriteResult[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Statements per commit: bounds how long one commit can hold the event loop. */
const GROUP = 128;
/** Files up to this size are checked whole at every start, larger ones only after an unclean end. */
const CHECK_BYTES = 32 * 1024 * 1024;

export class Database {
  readonly path: string;
  readonly sqliteVersion: string;
  /** Disk space of the database's file system; null for a remote one. */
  readonly space: Space | null;
  readonly #connection: Connection;
  readonly #now: () => number;
  readonly #failpoint: (name: string) => void;
  #queue: Member[] = [];
  #flushing: Promise<void> | null = null;
  #closed = false;

  private constructor(
    options: DatabaseOptions,
    parts: { connection: Connection; space: Space | null; sqliteVersion: string },
  ) {
    this.path = options.path;
    this.#now = options.now;
    this.#failpoint = options.failpoint ?? (() => {});
    this.#connection = parts.connection;
    this.space = parts.space;
    this.sqliteVersion = parts.sqliteVersion;
  }

  /**
   * Open or create, and bring the schema up to date. Throws database_corrupt (the file is left alone),
   * version_mismatch if a newer sky has written it, disk_full.
   */
  static async open(options: DatabaseOptions): Promise<Database> {
    const { path } = options;
    const remote = /^[a-z]+:\/\//i.test(path);
    const space = remote ? null : new Space(`${path}.reserve`, { now: options.now });
    const connection = await connect(options, remote);
    try {
      await prepare(connection, { path, remote, now: options.now }).catch(async (error: unknown) => {
        if (space === null || !isDiskFull(error)) throw error;
        // The WAL index could not be made: with the reserve given up the server can at least read and cancel.
        await space.open();
        if (!space.release()) throw error;
        await prepare(connection, { path, remote, now: options.now });
      });
      await space?.open();
      const [row] = await connection.rows({ sql: "SELECT sqlite_version() AS version" });
      return new Database(options, { connection, space, sqliteVersion: String(row?.["version"] ?? "") });
    } catch (error) {
      connection.close();
      throw databaseFault(error, path);
    }
  }

  /** Unix ms, whole. */
  now(): number {
    return Math.floor(this.#now());
  }

  /** Rows as plain objects. Sees what has been committed; wait for your write before you read it. */
  async read<T>(sql: string, args: readonly Value[] = []): Promise<T[]> {
    try {
      return await this.#connection.rows({ sql, args }) as unknown as T[];
    } catch (error) {
      throw databaseFault(error, this.path);
    }
  }

  /** One statement; resolves once it is on disk. Everything queued in one turn shares one commit. */
  async write(statement: Statement, options: WriteOptions = {}): Promise<WriteResult> {
    const [result] = await this.writeAll([statement], options);
    return result ?? { rowsAffected: 0 };
  }

  /** Statements that stand or fall together; they join the group commit, too. */
  writeAll(statements: readonly Statement[], options: WriteOptions = {}): Promise<WriteResult[]> {
    if (this.#closed) return Promise.reject(new SkyError("internal", "The database is closed"));
    const { promise, resolve, reject } = Promise.withResolvers<WriteResult[]>();
    this.#queue.push({ statements, urgent: options.urgent ?? false, resolve, reject });
    this.#flushing ??= this.#flush();
    return promise;
  }

  /** Move the write-ahead log into the database file and empty it. */
  async checkpoint(): Promise<void> {
    this.#failpoint("before_checkpoint");
    await this.read("PRAGMA wal_checkpoint(TRUNCATE)");
    this.#failpoint("after_checkpoint");
  }

  /** Finish what is queued, then let go of the file. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#flushing;
    // A failing checkpoint loses nothing: the next open replays the log.
    if (this.space !== null) await this.checkpoint().catch(() => undefined);
    this.#connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #flush(): Promise<void> {
    while (this.#queue.length > 0) {
      // After the poll phase, not in a microtask: all requests that came in together share one sync of the disk.
      await new Promise<void>((resolve) => setImmediate(resolve));
      const group = this.#take();
      try {
        const results = await this.#commit(group.flatMap((member) => member.statements));
        let at = 0;
        for (const member of group) {
          member.resolve(results.slice(at, at += member.statements.length));
        }
      } catch (error) {
        await this.#alone(group, error);
      }
    }
    this.#flushing = null;
  }

  #take(): Member[] {
    let count = 0;
    let members = 0;
    for (const member of this.#queue) {
      if (members > 0 && count + member.statements.length > GROUP) break;
      count += member.statements.length;
      members++;
    }
    return this.#queue.splice(0, members);
  }

  /** A group failed as a whole: find the guilty ones, so that only they fail. */
  async #alone(group: readonly Member[], first: unknown): Promise<void> {
    for (const member of group) {
      try {
        member.resolve(await this.#retry(member, group.length === 1 ? first : null));
      } catch (error) {
        if (isDiskFull(error)) this.space?.report();
        member.reject(databaseFault(error, this.path));
      }
    }
  }

  async #retry(member: Member, failure: unknown): Promise<WriteResult[]> {
    let error = failure;
    if (error === null) {
      try {
        return await this.#commit(member.statements);
      } catch (again) {
        error = again;
      }
    }
    if (!member.urgent || !isDiskFull(error) || this.space === null) throw error;
    this.space.release();
    // The log's own space is used again: it is not given back, since whoever fills the disk would take it. If that
    // can't be done, the commit will tell.
    await this.read("PRAGMA wal_checkpoint(RESTART)").catch(() => undefined);
    return await this.#commit(member.statements);
  }

  async #commit(statements: readonly Statement[]): Promise<WriteResult[]> {
    this.#failpoint("before_commit");
    const changes = await this.#connection.batch(statements);
    this.#failpoint("after_commit");
    return changes.map((rowsAffected) => ({ rowsAffected }));
  }
}

async function connect(options: DatabaseOptions, remote: boolean): Promise<Connection> {
  const { path } = options;
  try {
    if (remote) return await remoteConnection(path, options.authToken);
    // Made here, so that it is private from its first moment; SQLite gives -wal and -shm the same mode.
    (await Deno.open(path, { create: true, append: true, mode: 0o600 })).close();
    // DANGER: more than one connection would meet the WAL-reset fault of this SQLite (evidence.md §4.1), and
    // pragmas reach one connection only.
    return await fileConnection(path, { busyMs: 5000 });
  } catch (error) {
    throw databaseFault(error, path);
  }
}

async function prepare(
  connection: Connection,
  options: { path: string; remote: boolean; now: () => number },
): Promise<void> {
  const { path, remote } = options;
  if (!remote) {
    const unclean = await bytesOf(`${path}-wal`) > 0;
    const isNew = await bytesOf(path) === 0;
    await connection.rows({ sql: "PRAGMA journal_mode = WAL" });
    await connection.rows({ sql: "PRAGMA synchronous = FULL" });
    await connection.rows({ sql: "PRAGMA foreign_keys = ON" });
    await connection.rows({ sql: "PRAGMA journal_size_limit = 16777216" });
    // Secrets of finished requests do not linger in free pages.
    await connection.rows({ sql: "PRAGMA secure_delete = FAST" });
    if (unclean || !isNew && await bytesOf(path) <= CHECK_BYTES) {
      const [row] = await connection.rows({ sql: "PRAGMA quick_check(1)" });
      const verdict = String(Object.values(row ?? {})[0] ?? "no answer");
      if (verdict !== "ok") throw corrupt(path, verdict.replaceAll(/\s+/g, " "));
    }
  }
  await migrate(connection, options);
}

async function bytesOf(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
