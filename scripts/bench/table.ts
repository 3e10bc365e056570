/** The bench's rows: printed as a table for people and as JSON for machines. */

export interface Row {
  readonly what: string;
  readonly figure: number;
  readonly unit: string;
  /** At most (or, for rates, at least) this; null where nothing was promised. */
  readonly target: number | null;
  /** True when more is better. */
  readonly atLeast?: boolean;
  readonly note: string;
}

export function met(row: Row): boolean | null {
  if (row.target === null) return null;
  return row.atLeast === true ? row.figure >= row.target : row.figure <= row.target;
}

export function markdown(rows: readonly Row[]): string {
  const round = (value: number) => value >= 100 ? value.toFixed(0) : value.toFixed(2);
  const lines = rows.map((row) => {
    const verdict = met(row);
    const target = row.target === null ? "" : `${row.atLeast === true ? "≥" : "≤"} ${row.target} ${row.unit}`;
    const mark = verdict === null ? "" : verdict ? "met" : "missed";
    return `| ${row.what} | ${round(row.figure)} ${row.unit} | ${target} | ${mark} | ${row.note} |`;
  });
  return ["| figure | measured | target | | note |", "| --- | --- | --- | --- | --- |", ...lines].join("\n") +
    "\n";
}
