/** One figure of both sides, and the table of them. */

export interface Pair {
  readonly what: string;
  readonly ours: number;
  readonly theirs: number;
  readonly unit: string;
  /** True when more is better. */
  readonly more?: boolean;
  readonly note: string;
}

/** How many times better ours is; below 1: worse. Null where a ratio says nothing. */
export function ratio({ ours, theirs, more = false }: Pair): number | null {
  const times = more ? ours / theirs : theirs / ours;
  return Number.isFinite(times) && times > 0 ? times : null;
}

export function comparison(pairs: readonly Pair[], name: string): string {
  const round = (value: number) =>
    Number.isNaN(value) ? "–" : value >= 100 ? value.toFixed(0) : value.toFixed(2);
  const lines = pairs.map((pair) => {
    const times = ratio(pair);
    return `| ${pair.what} | ${round(pair.ours)} ${pair.unit} | ${round(pair.theirs)} ${pair.unit} | ` +
      `${times === null ? "" : `${times >= 10 ? times.toFixed(0) : times.toFixed(1)}×`} | ${pair.note} |`;
  });
  return [`| | sky | ${name} | better by | note |`, "| --- | --- | --- | --- | --- |", ...lines].join("\n") +
    "\n";
}
