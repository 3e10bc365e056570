/**
 * The one connection to the database. Owns opening, pragmas, migrations, group commit and what happens when the
 * disk is full; leaves SQL about things to the stores.
 */
import type { Client, InStatement, ResultSet } from "@libsql/client";
import { setImmediate } from "node:timers";
import { SkyError } from "../core/errors.ts";
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
  readonly #client: Client;
  readonly #now: () => number;
  readonly #failpoint: (name: string) => void;
  #queue: Member[] = [];
  #flushing: Promise<void> | null = null;
  #closed = false;

  private constructor(
    options: DatabaseOptions,
    parts: { client: Client; space: Space | null; sqliteVersion: string },
  ) {
    this.path = options.path;
    this.#now = options.now;
    this.#failpoint = options.failpoint ?? (() => {});
    this.#client = parts.client;
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
    const client = await connect(options, remote);
    try {
      await prepare(client, { path, remote, now: options.now }).catch(async (error: unknown) => {
        if (space === null || !isDiskFull(error)) throw error;
        // The WAL index could not be made: with the reserve given up the server can at least read and cancel.
        await space.open();
        if (!space.release()) throw error;
        await prepare(client, { path, remote, now: options.now });
      });
      await space?.open();
      const [row] = (await client.execute("SELECT sqlite_version() AS version")).rows;
      return new Database(options, { client, space, sqliteVersion: String(row?.["version"] ?? "") });
    } catch (error) {
      client.close();
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
      const { rows } = await this.#client.execute({ sql, args: args.map(plain) });
      return rows.map((row) => ({ ...row }) as unknown as T);
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
    this.#client.close();
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
    if (!member.urgent || !isDiskFull(error) || !this.space?.release()) throw error;
    const results = await this.#commit(member.statements);
    // Empties the log, so that the next urgent write reuses its space. If it can't, that one will tell.
    await this.checkpoint().catch(() => undefined);
    return results;
  }

  async #commit(statements: readonly Statement[]): Promise<WriteResult[]> {
    this.#failpoint("before_commit");
    const results: ResultSet[] = await this.#client.batch(statements.map(toInput), "write");
    this.#failpoint("after_commit");
    return results.map(({ rowsAffected }) => ({ rowsAffected }));
  }
}

async function connect(options: DatabaseOptions, remote: boolean): Promise<Client> {
  const { path } = options;
  // Imported late: the compiled program puts its native addon in place first, and the client never loads it.
  const { createClient } = await import("@libsql/client");
  try {
    if (remote) return createClient({ url: path, ...options.authToken && { authToken: options.authToken } });
    // Made here, so that it is private from its first moment; SQLite gives -wal and -shm the same mode.
    (await Deno.open(path, { create: true, append: true, mode: 0o600 })).close();
    const url = `file:${path.split(/[\\/]/).map(encodeURIComponent).join("/")}`;
    // DANGER: more than one connection would meet the WAL-reset fault of this SQLite (evidence.md §4.1), and
    // pragmas reach one connection only.
    return createClient({ url, concurrency: 1, timeout: 5000, intMode: "number" });
  } catch (error) {
    throw databaseFault(error, path);
  }
}

async function prepare(
  client: Client,
  options: { path: string; remote: boolean; now: () => number },
): Promise<void> {
  const { path, remote } = options;
  if (!remote) {
    const unclean = await bytesOf(`${path}-wal`) > 0;
    await client.execute("PRAGMA journal_mode = WAL");
    await client.execute("PRAGMA synchronous = FULL");
    await client.execute("PRAGMA foreign_keys = ON");
    await client.execute("PRAGMA journal_size_limit = 16777216");
    // Secrets of finished requests do not linger in free pages.
    await client.execute("PRAGMA secure_delete = FAST");
    if (unclean || await bytesOf(path) <= CHECK_BYTES) {
      const [row] = (await client.execute("PRAGMA quick_check(1)")).rows;
      const verdict = String(row?.[0] ?? "no answer");
      if (verdict !== "ok") throw corrupt(path, verdict.replaceAll(/\s+/g, " "));
    }
  }
  await migrate(client, options);
}

async function bytesOf(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

function toInput(statement: Statement): InStatement {
  return { sql: statement.sql, args: (statement.args ?? []).map(plain) };
}

/**
 * As the driver must be given it. It reads text back only up to a NUL, so that is replaced by a visible stand-in;
 * and it would bind every number as a float, so that whole ones go as integers.
 */
function plain(value: Value): Value | bigint {
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  return typeof value === "string" && value.includes("\0") ? value.replaceAll("\0", "\uFFFD") : value;
}
