/** What SkyPilot's own client once asked of our server, asked again of the server as it is now: it must answer alike. */
import { assertEquals } from "@std/assert";
import { fromBase64 } from "../../api/pickle.ts";
import {
  type Golden,
  type GoldenBody,
  goldenBody,
  type GoldenExchange,
  type Json,
  protocolHeaders,
  readGolden,
  Scrub,
  withoutColour,
  withoutControls,
} from "../support/golden.ts";
import { bytesOf } from "../support/recorded_server.ts";
import { TestSky } from "../support/sky.ts";

Deno.test("our server answers the official client as it did", async (t) => {
  const golden = await readGolden("official_client");
  await using sky = await TestSky.make();
  await sky.ok(["api", "start"]);
  const { url } = (await sky.registration())!;
  const replay = new Replay(url, { "<server-home>": sky.home, "<server>": url });
  for (const conversation of golden.conversations) {
    await t.step(conversation.command.join(" "), async () => {
      for (const exchange of conversation.exchanges) await replay.ask(exchange);
    });
  }
});

Deno.test("golden files tell nothing of the machine they were made on", async () => {
  for (const name of ["official_client", "our_client"] as const) {
    const golden: Golden = await readGolden(name);
    const text = JSON.stringify(golden);
    for (const [base64] of text.matchAll(/\bgA[A-Za-z0-9+/]{40,}=*/g)) {
      const pickle = new TextDecoder("latin1").decode(fromBase64(base64));
      assertEquals(pickle.match(/"\/\w[^"\n]*/g) ?? [], [], "paths in a pickle");
    }
    assertEquals(text.match(/(?<![\w.~>-])\/(?:root|work)\/|\/tmp\/(?:sky|official)-/g) ?? [], [], name);
    assertEquals(text.match(/http:\/\/127\.0\.0\.1:\d+/g) ?? [], [], name);
  }
});

class Replay {
  readonly #url: string;
  readonly #words: Readonly<Record<string, string>>;
  readonly #scrub: Scrub;
  /** Of the record's ids, those that this run has met. */
  readonly #ids = new Map<number, string>();

  constructor(url: string, words: Readonly<Record<string, string>>) {
    this.#url = url;
    this.#words = words;
    const live = Object.entries(words).map(([name, word]) => [word, name]);
    this.#scrub = new Scrub({ ...Object.fromEntries(live), [Deno.hostname()]: "<host>" });
  }

  async ask(exchange: GoldenExchange): Promise<void> {
    const { method, path, headers, body } = exchange;
    const answer = await fetch(this.#url + this.#live(path), {
      method,
      headers: Object.entries(headers).map(([name, value]): [string, string] => [name, this.#live(value)]),
      body: bytesOf(body, (text) => this.#live(text)),
    });
    const bytes = new Uint8Array(await answer.arrayBuffer());
    const id = answer.headers.get("x-skypilot-request-id");
    const number = /<id-(\d+)>/.exec(exchange.answerHeaders["x-skypilot-request-id"] ?? "")?.[1];
    if (id !== null && number !== undefined) this.#ids.set(Number(number), id);
    const what = `${method} ${path}`;
    assertEquals(answer.status, exchange.status, what);
    assertEquals(
      plain(protocolHeaders(answer.headers, this.#scrub), ""),
      plain({ ...exchange.answerHeaders }, ""),
      what,
    );
    assertEquals(comparable(goldenBody(bytes, this.#scrub)), comparable(exchange.answer), what);
  }

  /** Recorded text with the words and ids of this run. */
  #live(text: string): string {
    let live = text;
    for (const [name, word] of Object.entries(this.#words)) live = live.replaceAll(name, word);
    return live
      .replace(/<id-(\d+)>/g, (_, number) => this.#id(Number(number)))
      .replace(/<short-(\d+)>/g, (_, number) => this.#id(Number(number)).slice(0, 8));
  }

  #id(number: number): string {
    const id = this.#ids.get(number) ?? crypto.randomUUID(); // else one that the client made up
    this.#ids.set(number, id);
    return id;
  }
}

/** Sizes of the machine, and what is a digest of its paths, are only compared by their kind. */
const MACHINE =
  /^(cpus|memory|resources.*|instance_type|launched_resources|last_event|log_path|gpus|config_hash|object)$/;

function comparable(body: GoldenBody): unknown {
  if (body === null) return []; // an empty log, at most control lines in it
  if ("base64" in body) return "bytes";
  if ("text" in body) {
    return withoutColour(withoutControls(body.text)).split("\n").map(plainLine).filter((line) => line !== "");
  }
  return plain(body.json, "");
}

/** Tables of offers, and whatever else has numbers of the machine in it. */
function plainLine(line: string): string {
  return line.replace(/<(id|short)-\d+>/g, "<$1>").replace(/\d+(\.\d+)?/g, "0").replace(/[ ─]+/g, " ").trim();
}

function plain(value: Json, key: string): unknown {
  if (value === null || typeof value === "boolean") return value;
  if (MACHINE.test(key)) return typeof value;
  if (typeof value === "number") return value;
  if (typeof value === "string") {
    if (/^[\[{]/.test(value)) {
      try {
        return plain(JSON.parse(value), key);
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
      }
    }
    return plainLine(withoutColour(value));
  }
  if (Array.isArray(value)) return value.map((item) => plain(item, key));
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item, name)]));
}
