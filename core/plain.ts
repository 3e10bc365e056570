/** Plain data as YAML and JSON give it: maps told from everything else. Pure. */

export type Plain = Readonly<Record<string, unknown>>;

/** True for objects that are no arrays. */
export function isMap(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** The map without its null values, as the reference does before it checks a section. */
export function withoutNulls(value: Plain): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== null && item !== undefined));
}
