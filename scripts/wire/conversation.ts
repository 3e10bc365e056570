/** One command and what it said over the wire, as a conversation of a golden file. */
import {
  type Conversation,
  goldenBody,
  type GoldenExchange,
  protocolHeaders,
  type Scrub,
  withoutColour,
} from "../../tests/support/golden.ts";
import type { Tap, Taped } from "./tap.ts";

export interface Spoken {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Run and record. */
export async function converse(
  tap: Tap,
  scrub: Scrub,
  { command, speak }: { command: readonly string[]; speak: () => Promise<Spoken> },
): Promise<Conversation> {
  tap.take();
  const { code, stdout, stderr } = await speak();
  const exchanges = tap.take().map((taped) => exchangeOf(taped, scrub));
  return {
    command: command.map((word) => scrub.text(word)),
    exit: code,
    stdout: scrub.text(withoutColour(stdout)),
    stderr: scrub.text(withoutColour(stderr).trim().split("\n").at(-1) ?? ""),
    exchanges,
  };
}

function exchangeOf(taped: Taped, scrub: Scrub): GoldenExchange {
  return {
    method: taped.method,
    path: scrub.text(taped.target),
    headers: protocolHeaders(taped.requestHeaders, scrub),
    body: goldenBody(taped.requestBody, scrub),
    status: taped.status,
    answerHeaders: protocolHeaders(taped.responseHeaders, scrub),
    answer: goldenBody(taped.responseBody, scrub),
  };
}
