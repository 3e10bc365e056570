/**
 * YAML text to nodes under limits: size, nesting, tokens; faults in PyYAML's words with line and column (domain.md
 * §1.1). What nodes mean is yaml_data.ts's; the doors are in yaml.ts. Pure.
 */
import { Composer, type Document, Lexer, type Node, type ParsedNode, Parser } from "yaml";
import { type ErrorCode, SkyError } from "./errors.ts";

export const MAX_YAML_DEPTH = 100;
const MB = 1024 * 1024;

/** How much is read before giving up. */
export interface YamlLimits {
  /** Megabytes of text. */
  readonly size: number;
  /** Keys, values, spaces, punctuation, line ends: a microsecond or two each. */
  readonly tokens: number;
}

/** Up to two seconds: for a process of one user. */
export const PATIENT: YamlLimits = { size: 10, tokens: 500_000 };
/** Up to 0.1 s, for the server's one thread. 5,000 variables are 40,000 tokens. */
export const HURRIED: YamlLimits = { size: 2, tokens: 50_000 };

export interface YamlOptions {
  /** The file's name in error texts. Default `<unicode string>`, as PyYAML says. */
  readonly name?: string;
  /** Error code of malformed text. Default invalid_task. */
  readonly code?: ErrorCode;
  /** Default PATIENT. */
  readonly limits?: YamlLimits;
  /** Top-level keys whose values become text as Python's `str` writes them: `1.0` stays `1.0`. Nulls stay null. */
  readonly asText?: readonly string[];
}

/** A parsed document with everything needed to convert it or to find its nodes in the text. */
export interface ParsedYaml {
  /** An empty document may have none. */
  readonly contents: Node | null;
  /** Offset in the text at which the document begins. */
  readonly start: number;
  readonly fail: (problem: string, offset: number) => never;
}

type Fail = ParsedYaml["fail"];

// deno-lint-ignore no-control-regex -- the characters that YAML forbids are what is looked for
const FORBIDDEN = /[^\x09\x0a\x0d\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;

/** Parses all documents to nodes. Throws one line with line and column, both counted from 1. */
export function readNodes(text: string, options: YamlOptions = {}): ParsedYaml[] {
  const { name = "<unicode string>", code = "invalid_task", limits = PATIENT } = options;
  const refuse = (problem: string): never => {
    throw new SkyError(code, `Invalid YAML: ${problem} in "${name}"`, { details: { yaml: problem } });
  };
  const fail: Fail = (problem, offset) => {
    const before = text.slice(0, offset).split("\n");
    const place = `in "${name}", line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
    throw new SkyError(code, `Invalid YAML: ${problem} ${place}`, {
      details: { yaml: `${problem} ${place}` },
    });
  };
  if (text.length > limits.size * MB) refuse(`the text is larger than ${limits.size} MB`);
  const forbidden = FORBIDDEN.exec(text);
  if (forbidden !== null) {
    const point = forbidden[0].codePointAt(0) ?? 0;
    const hex = point.toString(16).padStart(4, "0");
    refuse(
      `unacceptable character #x${hex}: special characters are not allowed, position ${forbidden.index}`,
    );
  }
  return Array.from(
    composed(text, limits.tokens, fail),
    ({ contents, range }) => ({ contents, start: range[0], fail }),
  );
}

function* composed(text: string, maxTokens: number, fail: Fail): Generator<Document.Parsed> {
  const parser = new Parser();
  const composer = strictComposer(fail);
  let tokens = 0;
  for (const lexeme of new Lexer().lex(text)) {
    if (++tokens > maxTokens) fail(`more than ${maxTokens} tokens`, parser.offset);
    for (const token of parser.next(lexeme)) yield* checked(composer.next(token), fail);
    // The stack holds the document, the collections that are open and at most one scalar.
    if (parser.stack.length > MAX_YAML_DEPTH + 2) {
      fail(`nested deeper than ${MAX_YAML_DEPTH} levels`, parser.offset);
    }
  }
  for (const token of parser.end()) yield* checked(composer.next(token), fail);
  yield* checked(composer.end(), fail);
  const [left] = composer.streamInfo().errors;
  if (left !== undefined) fail(problemText(left.code, left.message), left.pos[0]);
}

function* checked(documents: Iterable<Document.Parsed>, fail: Fail): Generator<Document.Parsed> {
  for (const document of documents) {
    const [error] = document.errors;
    if (error !== undefined) fail(problemText(error.code, error.message), error.pos[0]);
    yield document;
  }
}

/**
 * A composer that stops at the first error. The package collects all of them, which takes seconds and hundreds of
 * megabytes for `{}{}{}…`. Its `onError` is not public; should it go, `checked` finds the errors all the same.
 */
function strictComposer(fail: Fail): Composer<ParsedNode> {
  const composer = new Composer({ version: "1.1", schema: "failsafe", uniqueKeys: false });
  type Position = number | [number, number, number?] | { offset: number };
  let thrown: unknown;
  const hook = (at: Position, code: string, message: string, warning?: boolean) => {
    // The composer catches what is thrown below a collection and reports it here again.
    if (thrown !== undefined) throw thrown;
    // Unknown tags come as warnings; conversion judges them.
    if (warning) return;
    const offset = typeof at === "number" ? at : Array.isArray(at) ? at[0] : at.offset;
    try {
      fail(problemText(code, message), offset);
    } catch (error) {
      thrown = error;
      throw error;
    }
  };
  Object.assign(composer, { onError: hook });
  return composer;
}

/** PyYAML's words where it has some for the same fault, else the package's own. */
function problemText(code: string, message: string): string {
  if (code === "TAB_AS_INDENT") return "found character '\\t' that cannot start any token";
  if (code === "BLOCK_AS_IMPLICIT_KEY") {
    return `${
      message.includes("sequence") ? "block sequence entries" : "mapping values"
    } are not allowed here`;
  }
  if (code === "MULTILINE_IMPLICIT_KEY" || message.startsWith("Implicit map keys")) {
    return "could not find expected ':'";
  }
  if (message.startsWith("Missing closing")) return "found unexpected end of stream";
  const line = message.replace(/\s+/g, " ").slice(0, 200);
  return line.charAt(0).toLowerCase() + line.slice(1);
}
