/**
 * Recorded exchanges with SkyPilot's own client and server: their form, and what is taken out of them so that they
 * say nothing of the machine and hour of the recording. scripts/record_wire.ts writes them, tests/wire reads them.
 */
import { dirname, join } from "@std/path";
import { fromBase64, toBase64 } from "../../api/pickle.ts";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface GoldenExchange {
  readonly method: string;
  /** With query. */
  readonly path: string;
  /** Those that mean something to the protocol. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: GoldenBody;
  readonly status: number;
  readonly answerHeaders: Readonly<Record<string, string>>;
  readonly answer: GoldenBody;
}

/** Nothing, parsed JSON, text, or base64 of other bytes. */
export type GoldenBody = null | { readonly json: Json } | { readonly text: string } | {
  readonly base64: string;
};

export interface Conversation {
  /** What was typed, without the program; for sdk calls what was asked. */
  readonly command: readonly string[];
  readonly exit: number;
  readonly stdout: string;
  /** The last line of it, which tells the error. */
  readonly stderr: string;
  readonly exchanges: readonly GoldenExchange[];
}

export interface Golden {
  readonly client: string;
  readonly server: string;
  /** Files that the commands read, below the folder in which they run. */
  readonly files: Readonly<Record<string, string>>;
  readonly conversations: readonly Conversation[];
}

export const goldenFile = (name: string): URL => new URL(`../wire/golden/${name}.json`, import.meta.url);

export async function readGolden(name: "official_client" | "our_client"): Promise<Golden> {
  return JSON.parse(await Deno.readTextFile(goldenFile(name)));
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
/** Numbers under these keys are times, lengths of time and process ids. */
const TIMES =
  /^(pid|.*_at|.*_time|.*duration|autostop_last.*|last_use.*|.*_expires|usage_intervals|cost_to_date|total_cost|iat|exp)$/;
/** Pickles that no client looks at; they hold the whole request with its environment. */
const UNREAD = ["entrypoint", "request_body"];
const NONE = "gAROLg==";

/** Takes machine, hour and ids out of what is recorded; ids become numbers in the order in which they are met. */
export class Scrub {
  readonly #ids = new Map<string, number>();
  readonly #words: readonly (readonly [string, string])[];

  /** Whether uploads, and their ids, are left out. */
  readonly blobs: boolean;

  /**
   * `words`: text of this machine → what stands for it, e.g. the home folder. `blobs`: leave out uploads and their ids,
   * since they depend on where the files were.
   */
  constructor(words: Readonly<Record<string, string>>, { blobs = false }: { blobs?: boolean } = {}) {
    this.blobs = blobs;
    this.#words = Object.entries(words).toSorted(([a], [b]) => b.length - a.length);
  }

  /** Says which number an id has. */
  know(id: string, number: number): void {
    this.#ids.set(id, number);
  }

  text(text: string): string {
    let plain = text;
    for (const [word, name] of this.#words) plain = replaced(plain, word, name);
    plain = plain.replace(UUID, (id) => {
      if (!this.#ids.has(id)) this.#ids.set(id, this.#ids.size + 1);
      return `<id-${this.#ids.get(id)}>`;
    });
    for (const [id, number] of this.#ids) {
      plain = plain.replaceAll(new RegExp(`\\b${id.slice(0, 8)}\\b`, "g"), `<short-${number}>`);
    }
    return plain
      .replace(/\b[0-9a-f]{40}\b/g, "<commit>")
      .replace(/(\bcommit"?: "?)source\b/g, "$1<commit>")
      .replace(/\b[0-9a-f]{64}\b/g, (id) => this.blobs ? "<blob>" : id)
      .replace(/\d{4}-\d\d-\d\d[-T ]\d\d[-:]\d\d[-:]\d\d(?:[-.]\d{3,6})?/g, "<time>")
      .replace(/\b\d\d-\d\d \d\d:\d\d:\d\d\b/g, "<time>")
      .replace(/\bpid=\d+/g, "pid=<pid>")
      .replace(
        /(?:< ?)?\b(?:a few|an?|\d+) (?:secs?|mins?|minutes?|hours?|hrs?|days?|months?|yrs?|years?)(?: ago)?\b/g,
        "<while>",
      )
      .replace(/\b(?:\d+h )?(?:\d+m )?\d+s\b/g, "<while>")
      .replace(/\b\d+\.\d+ (?:seconds|s)\b/g, "<while>");
  }

  json(value: unknown, key = ""): Json {
    if (typeof value === "string") return this.#string(value, key);
    if (typeof value === "number") return TIMES.test(key) ? 0 : value;
    if (value === null || typeof value !== "object") return value as Json;
    if (Array.isArray(value)) return value.map((item) => this.json(item, key));
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [this.text(name), this.json(item, name)]),
    );
  }

  #string(text: string, key: string): Json {
    if (UNREAD.includes(key) && /^gA[A-Za-z0-9+/=]+$/.test(text)) return NONE;
    if (key === "SKYPILOT_USAGE_RUN_ID") return "<run>";
    if (key === "stacktrace") return "<stack>";
    if (key === "commit") return "<commit>";
    if (key === "object" || (key === "handle" && text.startsWith("gA"))) return this.#pickle(text);
    // JSON within a string: results, errors, stored bodies
    if (/^[\[{]/.test(text)) {
      try {
        return JSON.stringify(this.json(JSON.parse(text), key));
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
      }
    }
    return this.text(text);
  }

  /** Lengths are part of a pickle: what is taken out is replaced by as many characters. */
  #pickle(base64: string): string {
    const latin = Array.from(fromBase64(base64), (byte) => String.fromCharCode(byte)).join("");
    const fill = (text: string) => "-".repeat(text.length);
    let plain = latin.replace(UUID, fill);
    for (const [word] of this.#words) plain = replaced(plain, word, fill(word));
    // where the Python programs lie is nobody's business either: lines of a stack name their files
    plain = plain.replace(/File "\/[^"\n]*/g, (text) => `File "${"-".repeat(text.length - 6)}`);
    return toBase64(Uint8Array.from(plain, (char) => char.charCodeAt(0)));
  }
}

/** A host's name may be part of any word; it is only meant where it stands alone. */
function replaced(text: string, word: string, by: string): string {
  if (word.includes("/")) return text.replaceAll(word, by);
  return text.replaceAll(new RegExp(`(?<![\\w-])${RegExp.escape(word)}(?![\\w-])`, "g"), by);
}

/** Control lines come and go with the speed of the machine (wire.md §5.1). */
export function withoutControls(log: string): string {
  return log.split("\n").filter((line) => !/<sky-payload.*<\/sky-payload>/.test(line)).join("\n");
}

// deno-lint-ignore no-control-regex -- colours are what is taken out
export const withoutColour = (text: string): string => text.replace(/\x1b\[[0-9;?]*[a-zA-Z]/g, "");

const HEADERS = /^(x-sky|x-home-path|content-type$|accept$)/;

/** The headers that mean something to the protocol. */
export function protocolHeaders(headers: Headers, scrub: Scrub): Record<string, string> {
  return Object.fromEntries(
    [...headers].filter(([name, value]) =>
      HEADERS.test(name) && value !== "*/*" && !name.includes("idempotency")
    )
      .map(([name, value]) => [name, scrub.text(value)]),
  );
}

/** A body of any kind. */
export function goldenBody(bytes: Uint8Array, scrub: Scrub): GoldenBody {
  if (bytes.length === 0) return null;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return { base64: scrub.blobs ? "" : toBase64(bytes) };
  }
  if (/^\s*([\[{"]|null\s*$|true|false|[0-9])/.test(text)) {
    try {
      return { json: scrub.json(JSON.parse(text)) };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error; // a log that begins like JSON
    }
  }
  return { text: scrub.text(text) };
}

/** The files that the commands read. */
export async function writeFiles(folder: string, files: Golden["files"]): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await Deno.mkdir(dirname(join(folder, name)), { recursive: true });
    await Deno.writeTextFile(join(folder, name), text);
  }
}
