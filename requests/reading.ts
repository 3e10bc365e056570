/** Reading requests: rows joined with what only the running engine knows (why they wait). Owns prefixes and paging. */
import { SkyError } from "../core/errors.ts";
import type { RequestRecord } from "../core/request.ts";
import type { RequestStore } from "../state/requests.ts";
import type { Entry } from "./entry.ts";
import type { Schedule, Waiting } from "./schedule.ts";

export interface ListQuery {
  /** Full ids or prefixes: all matches of all of them; other filters are ignored then. */
  readonly ids?: readonly string[];
  /** Default: only PENDING and RUNNING. */
  readonly allStatus?: boolean;
  /** Default: no limit. */
  readonly limit?: number | null;
  readonly clusterName?: string;
  readonly userId?: string;
  /** Leave out bodies and results (`"null"`, null): they may be long. */
  readonly brief?: boolean;
}

/** Rows per turn of the event loop: a long list does not keep others waiting. */
const PAGE = 250;
const MATCHES = 1000;
const SHOWN = 10;

export class Reading {
  readonly #store: RequestStore;
  readonly #schedule: Schedule;

  constructor(store: RequestStore, schedule: Schedule) {
    this.#store = store;
    this.#schedule = schedule;
  }

  async record(id: string): Promise<RequestRecord> {
    const record = await this.#store.get(id);
    if (record === null) throw notFound(id);
    return explain(record, this.#schedule.open.get(id), this.#schedule.waiting());
  }

  async resolve(prefix: string): Promise<string> {
    const [id] = await this.ids([prefix]);
    if (id === undefined) throw notFound(prefix);
    return id;
  }

  /** Full ids, each once; unknown prefixes are skipped, an ambiguous one throws. */
  async ids(prefixes: readonly string[]): Promise<string[]> {
    const found = new Set<string>();
    for (const prefix of prefixes) {
      const matches = await this.#matches(prefix, SHOWN + 1);
      if (matches.length > 1) throw ambiguous(prefix, matches);
      for (const id of matches) found.add(id);
    }
    return [...found];
  }

  async list(query: ListQuery): Promise<RequestRecord[]> {
    return query.ids === undefined ? await this.#pages(query) : await this.#byIds(query.ids);
  }

  async #byIds(prefixes: readonly string[]): Promise<RequestRecord[]> {
    const ids = new Set<string>();
    for (const prefix of prefixes) {
      for (const id of await this.#matches(prefix, MATCHES)) ids.add(id);
    }
    const waiting = this.#schedule.waiting();
    const records: RequestRecord[] = [];
    for (const id of ids) {
      const record = await this.#store.get(id);
      // Swept away since it was found: it is as if it had been unknown.
      if (record !== null) records.push(explain(record, this.#schedule.open.get(id), waiting));
    }
    return records;
  }

  async #pages(query: ListQuery): Promise<RequestRecord[]> {
    const limit = query.limit ?? Number.MAX_SAFE_INTEGER;
    const { ids: _, limit: __, ...filter } = query;
    const records: RequestRecord[] = [];
    let before: number | undefined;
    while (records.length < limit) {
      const size = Math.min(PAGE, limit - records.length);
      const page = await this.#store.page({ ...filter, ...before !== undefined && { before }, limit: size });
      const waiting = this.#schedule.waiting();
      for (const { record } of page) {
        records.push(explain(record, this.#schedule.open.get(record.id), waiting));
      }
      before = page.at(-1)?.seq;
      if (page.length < size) break;
      await new Promise<void>((resolve) => setTimeout(resolve, 0));
    }
    return records;
  }

  async #matches(prefix: string, limit: number): Promise<string[]> {
    if (prefix === "") return [];
    const matches = await this.#store.find(prefix, limit);
    return matches[0] === prefix ? [prefix] : matches;
  }
}

function explain(
  record: RequestRecord,
  entry: Entry | undefined,
  waiting: (entry: Entry) => Waiting | null,
): RequestRecord {
  if (entry === undefined) return record;
  const place = waiting(entry);
  const queue = place === null
    ? null
    : place.ahead > 1
    ? `${place.reason} (${place.ahead} ahead)`
    : place.reason;
  return { ...record, statusMessage: entry.trouble ?? queue ?? record.statusMessage };
}

function notFound(id: string): SkyError {
  return new SkyError("request_not_found", `Request '${id}' not found`, { hint: "sky api status -a" });
}

function ambiguous(prefix: string, matches: readonly string[]): SkyError {
  const shown = matches.slice(0, SHOWN).join(", ");
  return new SkyError(
    "request_ambiguous",
    `Multiple requests found for request ID prefix: ${prefix} (${shown}${
      matches.length > SHOWN ? ", …" : ""
    })`,
    { hint: "Give more characters of the id", details: { matches: matches.slice(0, SHOWN) } },
  );
}
