/**
 * What a YAML scalar means, as PyYAML's safe loader sees it (YAML 1.1): `yes` is a boolean, `010` is eight, `1e3` and
 * `y` are texts. Also which texts must be quoted when written. Pure.
 */
import { pyFloat } from "./format.ts";

const NULL = /^(?:~|null|Null|NULL|)$/;
const BOOL = /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/;
const TRUE = /^(?:yes|true|on)$/i;
const INT =
  /^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$/;
const FLOAT =
  /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|[-+]?\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
/** PyYAML makes dates of these; we keep the text, but quote it when writing. */
const TIMESTAMP = /^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}/;
/** Longer digit strings cost quadratic time to convert, and nobody means a number by them. */
const MAX_NUMBER_LENGTH = 400;

/** A resolved scalar: its value, and its text as Python's `str` gives it (null for null). */
export interface ScalarValue {
  readonly value: string | number | boolean | null;
  readonly text: string | null;
}

function textual(source: string): ScalarValue {
  return { value: source, text: source };
}

/** A plain (unquoted) scalar without a tag. */
export function resolvePlain(source: string): ScalarValue {
  if (NULL.test(source)) return { value: null, text: null };
  if (BOOL.test(source)) return boolean(source);
  if (source.length > MAX_NUMBER_LENGTH) return textual(source);
  if (INT.test(source)) return integer(source) ?? textual(source);
  if (FLOAT.test(source)) return float(source);
  return textual(source);
}

/** A scalar with a `!!` tag, name without its prefix; undefined if the tag or the text does not fit. */
export function resolveTagged(tag: string, source: string): ScalarValue | undefined {
  if (tag === "str") return textual(source);
  if (tag === "null") return NULL.test(source) ? { value: null, text: null } : undefined;
  if (tag === "bool") return BOOL.test(source) ? boolean(source) : undefined;
  if (source.length > MAX_NUMBER_LENGTH) return undefined;
  if (tag === "int") return INT.test(source) ? integer(source) : undefined;
  if (tag === "float") return FLOAT.test(source) || INT.test(source) ? float(source) : undefined;
  return undefined;
}

/** True if the text, written without quotes, would be read back as something else by us or by PyYAML. */
export function needsQuotes(text: string): boolean {
  if (text === "=" || text === "<<" || TIMESTAMP.test(text)) return true;
  return typeof resolvePlain(text).value !== "string" || INT.test(text) || FLOAT.test(text);
}

function boolean(source: string): ScalarValue {
  const value = TRUE.test(source);
  return { value, text: value ? "True" : "False" };
}

function integer(source: string): ScalarValue | undefined {
  const negative = source.startsWith("-");
  const digits = source.replace(/^[-+]/, "").replace(/_/g, "");
  const size = wholeNumber(digits);
  if (size === undefined) return undefined;
  const value = negative ? -size : size;
  return { value: Number(value), text: value.toString() };
}

function wholeNumber(digits: string): bigint | undefined {
  if (digits.includes(":")) {
    return digits.split(":").reduce((sum, part) => sum * 60n + BigInt(part), 0n);
  }
  // `0b_` and `0x_` pass the pattern but hold no digits.
  if (digits === "0b" || digits === "0x") return undefined;
  if (/^0[0-7]+$/.test(digits)) return BigInt(`0o${digits.slice(1)}`);
  return BigInt(digits);
}

function float(source: string): ScalarValue {
  const negative = source.startsWith("-");
  const digits = source.replace(/^[-+]/, "").replace(/_/g, "").toLowerCase();
  const size = floatSize(digits);
  const value = negative ? -size : size;
  return { value, text: pyFloat(value) };
}

function floatSize(digits: string): number {
  if (digits === ".inf") return Infinity;
  if (digits === ".nan") return NaN;
  if (digits.includes(":")) return digits.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  return Number(digits);
}
