/**
 * The intent records beside a merged log (`run.idx`): what was about to be appended, written before it was. One
 * JSON array a line. Owns their spelling and what they add up to; merge.ts writes and obeys them. Pure.
 */

/** `at`: byte offset in the merged log where the record's bytes begin. */
export type IndexRecord =
  /** A line of ours, at most once per name. */
  | { readonly kind: "note"; readonly at: number; readonly name: string; readonly text: string }
  /** A raw output will be merged under this prefix. */
  | { readonly kind: "source"; readonly key: string; readonly prefix: string }
  /** Raw bytes `from`..`to` of a source; `endsCr`: the last of them is `\r`. */
  | {
    readonly kind: "merge";
    readonly at: number;
    readonly key: string;
    readonly from: number;
    readonly to: number;
    readonly endsCr: boolean;
  }
  /** All that came before is in the merged log, which is `at` long. */
  | {
    readonly kind: "checkpoint";
    readonly at: number;
    readonly notes: readonly string[];
    readonly sources: readonly SourceState[];
  };

export interface SourceState {
  readonly key: string;
  readonly prefix: string;
  /** Raw bytes merged so far. */
  readonly offset: number;
  /** The last of them was `\r` (see render.ts). */
  readonly afterCr: boolean;
}

export function encodeRecord(record: IndexRecord): string {
  switch (record.kind) {
    case "note":
      return JSON.stringify(["n", record.at, record.name, record.text]) + "\n";
    case "source":
      return JSON.stringify(["s", record.key, record.prefix]) + "\n";
    case "merge":
      return JSON.stringify(["m", record.at, record.key, record.from, record.to, record.endsCr ? 1 : 0]) +
        "\n";
    case "checkpoint":
      return JSON.stringify([
        "c",
        record.at,
        record.notes,
        record.sources.map((source) => [source.key, source.prefix, source.offset, source.afterCr ? 1 : 0]),
      ]) + "\n";
  }
}

/** Bytes that records take in the file. */
export function lengthOf(records: readonly IndexRecord[]): number {
  const encoder = new TextEncoder();
  return records.reduce((sum, record) => sum + encoder.encode(encodeRecord(record)).length, 0);
}

/** The records of a file, up to a line that a crash cut short. */
export function decodeRecords(text: string): IndexRecord[] {
  const records: IndexRecord[] = [];
  const lines = text.split("\n");
  lines.pop(); // what follows the last newline: nothing, or a torn record whose bytes were never appended
  for (const line of lines) {
    const record = decodeRecord(line);
    if (record === null) break;
    records.push(record);
  }
  return records;
}

function decodeRecord(line: string): IndexRecord | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    // Only power loss leaves garbage inside; what it described is computed anew from the raw outputs.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
  if (!Array.isArray(value)) return null;
  const [tag, a, b, c, d, e] = value as unknown[];
  if (tag === "n" && isNumber(a) && isText(b) && isText(c)) {
    return { kind: "note", at: a, name: b, text: c };
  }
  if (tag === "s" && isText(a) && isText(b)) return { kind: "source", key: a, prefix: b };
  if (tag === "m" && isNumber(a) && isText(b) && isNumber(c) && isNumber(d)) {
    return { kind: "merge", at: a, key: b, from: c, to: d, endsCr: e === 1 };
  }
  if (tag === "c" && isNumber(a) && Array.isArray(b) && Array.isArray(c)) {
    const sources = c.map((entry) => {
      const [key, prefix, offset, afterCr] = entry as [string, string, number, number];
      return { key, prefix, offset, afterCr: afterCr === 1 };
    });
    return { kind: "checkpoint", at: a, notes: b.map(String), sources };
  }
  return null;
}

function isNumber(value: unknown): value is number {
  return typeof value === "number";
}
function isText(value: unknown): value is string {
  return typeof value === "string";
}
