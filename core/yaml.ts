/**
 * YAML in and out, with PyYAML's habits (domain.md §1.1): YAML 1.1 scalars, duplicate keys refused, several documents
 * in one text. Limits and faults are yaml_reader.ts's, meaning is yaml_data.ts's. Pure.
 */
import { Document, isMap, isScalar, type Node, type Pair, Scalar, type ScalarTag, type Tags } from "yaml";
import { isSkyError } from "./errors.ts";
import { pyFloat } from "./format.ts";
import { offsetOf, toData } from "./yaml_data.ts";
import { PATIENT, readNodes, type YamlLimits, type YamlOptions } from "./yaml_reader.ts";
import { needsQuotes } from "./yaml_scalars.ts";

export { HURRIED, type YamlLimits, type YamlOptions } from "./yaml_reader.ts";

export interface YamlDocument {
  readonly value: unknown;
  /** This document's part of the text, without its `---` line; the first begins where the text begins. */
  readonly source: string;
}

/**
 * All documents of a text; none for an empty text. Throws one line that names line and column (from 1), code
 * invalid_task or `options.code`, for malformed text, duplicate keys and anchors, unknown tags, and beyond the limits:
 * 100 levels, 40 MB expanded, those of YamlLimits.
 */
export function parseDocuments(text: string, options: YamlOptions = {}): YamlDocument[] {
  const parsed = readNodes(text, options);
  return parsed.map((each, i) => ({
    value: toData(each, options.asText),
    source: withoutMarker(text.slice(i === 0 ? 0 : each.start, parsed[i + 1]?.start)),
  }));
}

/** The one document of a text, null for an empty text. Several documents are an error. */
export function parse(text: string, options: YamlOptions = {}): unknown {
  const [first, second] = readNodes(text, options);
  if (first === undefined) return null;
  if (second !== undefined) {
    second.fail("expected a single document, but found another document", second.start);
  }
  return toData(first, options.asText);
}

function withoutMarker(source: string): string {
  return source.replace(/^---(?:[ \t]+|\r?\n|$)/, "");
}

/** One document as text, block style, keys in their order; undefined values are left out. */
export function dump(value: unknown): string {
  const document = new Document(null, {
    version: "1.1",
    schema: "yaml-1.1",
    customTags: dumpTags,
  });
  document.contents = toNode(document, value) as Document["contents"];
  const text = document.toString({ lineWidth: 0, indentSeq: false, singleQuote: true, directives: false });
  // Only double-quoted texts can hold these (see toNode), so escaping them in place is safe.
  return text.replace(LINE_LIKE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Several documents, separated by `---` lines. */
export function dumpAll(values: readonly unknown[]): string {
  return values.map(dump).join("---\n");
}

/** YAML 1.1 floats have a point, also before an exponent. */
const FLOAT: ScalarTag = {
  identify: (value) => typeof value === "number" && !Number.isSafeInteger(value),
  default: true,
  tag: "tag:yaml.org,2002:float",
  // Never matches, but only tags with a test are asked to write.
  test: /(?!)/,
  resolve: Number,
  stringify: ({ value }) => {
    const number = Number(value);
    if (Number.isNaN(number)) return ".nan";
    if (!Number.isFinite(number)) return number > 0 ? ".inf" : "-.inf";
    return pyFloat(number).replace(/^(-?\d+)e/, "$1.0e");
  },
};

/** Without merge keys: `<<` is then quoted like any other text. */
function dumpTags(tags: Tags): Tags {
  return [FLOAT, ...tags.filter((tag) => typeof tag === "string" || tag.tag !== "tag:yaml.org,2002:merge")];
}

/** PyYAML refuses or breaks lines at these, JSON's quoting leaves them alone. */
const LINE_LIKE = /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g;
// deno-lint-ignore no-control-regex -- control characters need escapes
const NEEDS_ESCAPES = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|\p{Surrogate}/u;

function toNode(document: Document, value: unknown): Node {
  if (typeof value === "string") return textNode(value);
  if (Array.isArray(value)) {
    const seq = document.createNode([]) as unknown as { items: Node[] } & Node;
    seq.items = value.map((item) => toNode(document, item));
    return seq;
  }
  if (value !== null && typeof value === "object") {
    const map = document.createNode({}) as unknown as { items: Pair<Node, Node>[] } & Node;
    map.items = Object.entries(value).filter(([, item]) => item !== undefined)
      .map(([key, item]) => document.createPair(textNode(key), toNode(document, item)) as Pair<Node, Node>);
    return map;
  }
  return document.createNode(value) as Node;
}

function textNode(text: string): Node {
  const node = new Scalar(text);
  if (NEEDS_ESCAPES.test(text)) node.type = "QUOTE_DOUBLE";
  else if (needsQuotes(text)) node.type = "QUOTE_SINGLE";
  return node as Node;
}

/** Why a file is or is not a YAML entrypoint; the reason ends "'x.yaml' looks like a yaml path but …". */
export type YamlLook = { readonly yaml: true } | { readonly yaml: false; readonly reason: string };

/** cli.md §2.1: YAML is UTF-8, parses, and its first document is not a bare scalar. Empty text is an empty map. */
export function looksLikeYaml(content: string | Uint8Array): YamlLook {
  let text: string;
  try {
    text = typeof content === "string" ? content : new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return { yaml: false, reason: "is not a valid UTF-8 text file and cannot be parsed as YAML." };
  }
  try {
    const [first] = parseDocuments(text);
    const value = first?.value;
    if (value === undefined || value === null || typeof value === "object") return { yaml: true };
    return { yaml: false, reason: "holds a single text and no fields. Please check the content." };
  } catch (error) {
    if (!isSkyError(error, "invalid_task")) throw error;
    const detail = String(error.details["yaml"] ?? error.message);
    return {
      yaml: false,
      reason: `contains an invalid configuration. Please check syntax.\n\nYAML Error: ${detail}\n`,
    };
  }
}

/**
 * The text with the values of some keys replaced, all else byte for byte. `choose` gets the path of map keys from the
 * top of a document and answers the replacement (a plain word) or undefined to look deeper.
 */
export function replaceValues(
  text: string,
  choose: (path: readonly string[]) => string | undefined,
  limits: YamlLimits = PATIENT,
): string {
  const pieces: string[] = [];
  let done = 0;
  for (const { contents } of readNodes(text, { limits })) collect(contents, []);
  return pieces.join("") + text.slice(done);

  function collect(node: Node | null, path: readonly string[]): void {
    if (!isMap(node)) return;
    for (const { key, value } of node.items as Pair<Node, Node | null>[]) {
      if (!isScalar(key) || value === null || value.range === null || value.range === undefined) continue;
      const below = [...path, String(key.value)];
      const by = choose(below);
      const [from, to] = [offsetOf(value), value.range[1]];
      if (by === undefined) collect(value, below);
      // An empty value has nothing to hide, and replacing it would glue text to the colon.
      else if (to > from) {
        pieces.push(text.slice(done, from), by, text[to - 1] === "\n" ? "\n" : "");
        done = to;
      }
    }
  }
}
