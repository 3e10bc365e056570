/**
 * What a crash left of a merged log: adds up the intent records, tells which bytes are missing at its end and
 * where each source stands. Reads, never writes; merge.ts does.
 */
import type { IndexRecord, SourceState } from "./merge_index.ts";
import { render } from "./render.ts";

/** Raw bytes `from`..`to` of a source, or fewer when the node has lost them. */
export type Reread = (key: string, range: { from: number; to: number }) => Promise<Uint8Array>;

export interface Recovery {
  /** How much of the file is true; the rest is to be cut off. */
  readonly keep: number;
  /** To be appended after that, in order. */
  readonly missing: readonly Uint8Array[];
  readonly notes: Set<string>;
  readonly sources: readonly SourceState[];
}

type Content = Extract<IndexRecord, { kind: "note" | "merge" }>;
interface State {
  readonly notes: Set<string>;
  readonly sources: Map<string, SourceState>;
}

const encoder = new TextEncoder();

/** `size`: bytes in the log file now. Rereads at most the records that the file does not hold whole. */
export async function planRecovery(
  records: readonly IndexRecord[],
  options: { size: number; reread: Reread },
): Promise<Recovery> {
  const state: State = { notes: new Set(), sources: new Map() };
  const missing: Uint8Array[] = [];
  let keep = options.size;
  let at = options.size;
  for (const [i, record] of records.entries()) {
    if (record.kind === "note" || record.kind === "merge") {
      const end = nextStart(records, i);
      if (end === null || end > options.size) {
        const { bytes, complete } = await bytesOf(record, state, options.reread);
        // Without an intent after it nothing can follow this record; only power loss leaves such bytes.
        if (end === null && complete && record.at + bytes.length < at) keep = at = record.at + bytes.length;
        const rest = bytes.subarray(Math.min(bytes.length, Math.max(0, at - record.at)));
        if (rest.length > 0) missing.push(rest);
        at += rest.length;
      }
    }
    apply(record, state);
  }
  if (records.length === 0) keep = 0;
  return { keep, missing, notes: state.notes, sources: [...state.sources.values()] };
}

/** Where the next record's bytes begin, which is where this one's end. */
function nextStart(records: readonly IndexRecord[], index: number): number | null {
  for (let i = index + 1; i < records.length; i++) {
    const record = records[i];
    if (record !== undefined && record.kind !== "source") return record.at;
  }
  return null;
}

async function bytesOf(
  record: Content,
  state: State,
  reread: Reread,
): Promise<{ bytes: Uint8Array; complete: boolean }> {
  if (record.kind === "note") {
    return { bytes: encoder.encode(`${record.text}\n`), complete: true };
  }
  const source = state.sources.get(record.key);
  if (source === undefined) return { bytes: new Uint8Array(), complete: false };
  const raw = await reread(record.key, { from: record.from, to: record.to });
  const bytes = render(raw, encoder.encode(source.prefix), { afterCr: source.afterCr });
  return { bytes, complete: raw.length === record.to - record.from };
}

function apply(record: IndexRecord, state: State): void {
  switch (record.kind) {
    case "note":
      state.notes.add(record.name);
      break;
    case "source":
      state.sources.set(record.key, { key: record.key, prefix: record.prefix, offset: 0, afterCr: false });
      break;
    case "merge": {
      const source = state.sources.get(record.key);
      if (source === undefined) break;
      state.sources.set(record.key, { ...source, offset: record.to, afterCr: record.endsCr });
      break;
    }
    case "checkpoint":
      for (const note of record.notes) state.notes.add(note);
      for (const source of record.sources) state.sources.set(source.key, source);
      break;
  }
}
