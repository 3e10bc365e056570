/**
 * The words of validation: valibot schemas whose messages are those that users of the reference know (domain.md §1.1),
 * and the choice of the one fault to tell. What the sections look like is in schema.ts and config_schema.ts. Pure.
 */
import * as v from "valibot";
import { closeMatches } from "./closest.ts";
import { type ErrorCode, SkyError } from "./errors.ts";
import { pyRepr, shortRepr } from "./format.ts";
import { isMap, type Plain } from "./plain.ts";

type Issue = v.BaseIssue<unknown>;

function notOfType(...types: string[]): (issue: Issue) => string {
  return (issue) => `${shortRepr(issue.input)} is not of type ${types.map(pyRepr).join(", ")}`;
}

export const text = () => v.string(notOfType("string"));
export const number = () => v.number(notOfType("number"));
export const flag = () => v.boolean(notOfType("boolean"));
export const nothing = () => v.null(notOfType("null"));
export const textOrNull = () => v.nullable(text());

/** A text of one to `max` characters. */
export const shortText = (max: number) =>
  v.pipe(
    text(),
    v.check((value) => value !== "", (issue) => `${shortRepr(issue.input)} should be non-empty`),
    v.check((value) => value.length <= max, (issue) => `${shortRepr(issue.input)} is too long`),
  );

/** A text that matches a pattern from start to end. */
export const pattern = (regex: RegExp) =>
  v.pipe(text(), v.check((value) => regex.test(value), (issue) => doesNotMatch(issue.input, regex)));

/** A whole number, perhaps bounded on either side (both inclusive). */
export const whole = (limits: { min?: number; max?: number } = {}) => {
  const { min = -Infinity, max = Infinity } = limits;
  return v.pipe(
    v.number(notOfType("integer")),
    v.check((value) => Number.isInteger(value), notOfType("integer")),
    v.check((value) => value >= min, (issue) => `${pyRepr(issue.input)} is less than the minimum of ${min}`),
    v.check(
      (value) => value <= max,
      (issue) => `${pyRepr(issue.input)} is greater than the maximum of ${max}`,
    ),
  );
};

/** A number of at least `min`. */
export const atLeast = (min: number) =>
  v.pipe(
    number(),
    v.check((value) => value >= min, (issue) => `${pyRepr(issue.input)} is less than the minimum of ${min}`),
  );

/** A number above zero. */
export const positive = () =>
  v.pipe(
    number(),
    v.check((value) => value > 0, (issue) =>
      `${pyRepr(issue.input)} is less than or equal to the minimum of 0`),
  );

/** One of some words; the spelling's case counts unless `anyCase`. */
export const choice = <const T extends readonly string[]>(words: T, options: { anyCase?: boolean } = {}) =>
  v.pipe(
    text(),
    v.check(
      (value) => words.includes(options.anyCase ? value.toLowerCase() : value),
      (issue) => `${shortRepr(issue.input)} is not one of ${pyRepr([...words])}`,
    ),
  );

interface ListLimits {
  readonly min?: number;
  readonly max?: number;
  readonly unique?: boolean;
}

export const list = <T extends v.GenericSchema>(item: T, limits: ListLimits = {}) => {
  const { min = 0, max = Infinity, unique = false } = limits;
  return v.pipe(
    v.array(item, notOfType("array")),
    v.check((value) => value.length >= min, (issue) => `${shortRepr(issue.input)} should be non-empty`),
    v.check((value) => value.length <= max, (issue) => `${shortRepr(issue.input)} is too long`),
    v.check(
      (value) => !unique || new Set(value.map((each) => pyRepr(each))).size === value.length,
      (issue) => `${shortRepr(issue.input)} has non-unique elements`,
    ),
  );
};

const mapping = () => v.custom<Record<string, unknown>>(isMap, notOfType("dict"));

/** Any map at all. */
export const anyMap = () => mapping();

interface Keys {
  readonly regex: RegExp;
  /** The section's name in the message. */
  readonly section: string;
}

/** A map with free keys. `keys`: what they must match; `max`: how many at most. */
export const mapOf = <T extends v.GenericSchema>(item: T, options: { keys?: Keys; max?: number } = {}) => {
  const { keys, max = Infinity } = options;
  return v.pipe(
    mapping(),
    v.check(
      (value) => Object.keys(value).length <= max,
      (issue) => `${shortRepr(issue.input)} has too many properties`,
    ),
    v.check(
      (value) => keys === undefined || Object.keys(value).every((key) => keys.regex.test(key)),
      (issue) => keys === undefined ? "" : badKeys(issue.input as Plain, keys),
    ),
    v.record(v.string(), item),
  );
};

function doesNotMatch(value: unknown, regex: RegExp): string {
  return `${shortRepr(value)} does not match ${pyRepr(regex.source)}`;
}

/** How the message about the keys of a section begins; it names no path. */
const BAD_KEYS = "The `";

function badKeys(value: Plain, keys: Keys): string {
  const bad = Object.keys(value).filter((key) => !keys.regex.test(key)).sort();
  const verb = bad.length === 1 ? "does not" : "do not";
  const names = bad.map((key) => shortRepr(key)).join(", ");
  const reason = `${names} ${verb} match any of the regexes: ${pyRepr(keys.regex.source)}`;
  return `${BAD_KEYS}${keys.section}\` field contains invalid keys:\n${reason}`;
}

/** A map with known keys only; those that are not `optional` must be there. */
export const fields = <const E extends v.ObjectEntries>(entries: E) =>
  v.pipe(mapping(), v.strictObject(entries, (issue) => fieldsMessage(issue, Object.keys(entries))));

/** As `fields`, but unknown keys pass. */
export const looseFields = <const E extends v.ObjectEntries>(entries: E) =>
  v.pipe(mapping(), v.looseObject(entries, (issue) => fieldsMessage(issue, Object.keys(entries))));

/** The schemas of a `fields` schema by key, through `optional`; null for any other. */
export function fieldSchemas(schema: unknown): Readonly<Record<string, unknown>> | null {
  if (!isMap(schema)) return null;
  if ("wrapped" in schema) return fieldSchemas(schema["wrapped"]);
  const last = Array.isArray(schema["pipe"]) ? schema["pipe"].at(-1) : null;
  return isMap(last) && isMap(last["entries"]) ? last["entries"] : null;
}

/** Unknown fields told of one map. */
const MAX_TOLD = 20;

function fieldsMessage(issue: Issue, known: string[]): string {
  const item = issue.path?.[0];
  if (item === undefined || !isMap(item.input)) return notOfType("dict")(issue);
  if (issue.expected !== "never") return `${pyRepr(item.key)} is a required property`;
  return Object.keys(item.input).filter((key) => !known.includes(key)).slice(0, MAX_TOLD).map((key) => {
    const [close] = closeMatches(key, known);
    return close === undefined
      ? `Found unsupported field ${shortRepr(key)}.`
      : `Instead of ${pyRepr(key)}, did you mean ${pyRepr(close)}?`;
  }).join(" ");
}

export const optional = v.optional;
/** Any of several shapes; the deepest fault is told. */
export const either = <const T extends v.UnionOptions>(...shapes: T) => v.union(shapes);

interface Fault {
  /** Keys from the checked value down to the place. */
  readonly path: readonly (string | number)[];
  readonly message: string;
  readonly kind: "fields" | "type" | "other";
}

/** Validation that leaves the value as it is. `prefix` begins the message, e.g. `Invalid task YAML: `. */
export interface CheckOptions {
  readonly prefix: string;
  /** Default invalid_task. */
  readonly code?: ErrorCode;
  /** Where the value lies in what the user wrote, for the path in the message. */
  readonly at?: readonly (string | number)[];
}

/**
 * Checks a value; throws the first fault in the order of the schema's keys, unknown keys of a map before what is below
 * it. The value itself is returned, never a copy: schemas must not transform.
 */
export function check<T extends v.GenericSchema>(
  schema: T,
  value: unknown,
  options: CheckOptions,
): v.InferOutput<T> {
  // Choosing among the faults of thousands of values would take seconds.
  const result = v.safeParse(schema, value, { abortEarly: holdsMore(value, MANY_VALUES) });
  if (result.success) return value as v.InferOutput<T>;
  const { message, path, kind } = firstFault(result.issues.map(toFault));
  const where = kind === "fields"
    ? ""
    : `. Check problematic field(s): ${jsonPath([...options.at ?? [], ...path])}`;
  throw new SkyError(options.code ?? "invalid_task", `${options.prefix}${message}${where}`);
}

const MANY_VALUES = 2000;

function holdsMore(value: unknown, limit: number): boolean {
  const open = [value];
  for (let seen = 0; open.length > 0; seen++) {
    const next = open.pop();
    if (next === null || typeof next !== "object") continue;
    const below = Object.values(next);
    if (seen + open.length + below.length > limit) return true;
    open.push(...below);
  }
  return false;
}

function toFault(issue: Issue): Fault {
  const items = issue.path ?? [];
  if (issue.type === "union" && issue.issues !== undefined) {
    const inner = issue.issues.map(toFault);
    const deepest = inner.reduce((best, fault) => rank(fault) > rank(best) ? fault : best);
    return { ...deepest, path: [...items.map(keyOf), ...deepest.path] };
  }
  const last = items.at(-1);
  const aboutKey = last?.origin === "key" && issue.kind === "schema";
  const path = (aboutKey ? items.slice(0, -1) : items).map(keyOf);
  const unknown = (aboutKey && issue.expected === "never") || issue.message.startsWith(BAD_KEYS);
  const kind = unknown ? "fields" : issue.message.includes(" is not of type ") ? "type" : "other";
  return { path, message: issue.message, kind };
}

/** Deeper first; at the same depth a wrong type says least. */
function rank(fault: Fault): number {
  return fault.path.length * 2 + (fault.kind === "type" ? 0 : 1);
}

function keyOf(item: v.IssuePathItem): string | number {
  return typeof item.key === "number" ? item.key : String(item.key);
}

function firstFault(faults: readonly Fault[]): Fault {
  const [first = { path: [], message: "is invalid", kind: "other" } as Fault] = faults;
  return faults.reduce((best, fault) => {
    const above = fault.kind === "fields" && fault.path.every((key, i) => best.path[i] === key);
    return above && (best.kind !== "fields" || fault.path.length < best.path.length) ? fault : best;
  }, first);
}

function jsonPath(path: Fault["path"]): string {
  const steps = path.map((key) => {
    if (typeof key === "number") return `[${key}]`;
    return /^[a-zA-Z][a-zA-Z0-9_]*$/.test(key) ? `.${key}` : `[${shortRepr(key)}]`;
  });
  return `$${steps.join("")}`;
}
