/** Refused: an answer other than success, decided while reading an exchange. Owns the shapes of wire.md §3.4 that are
 * no SkyError: 422 lists, 408, 421 and such. */
import type { BodyIssue } from "../api/envelope.ts";

export class Refused extends Error {
  override readonly name = "Refused";
  readonly status: number;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, body: string | Record<string, unknown>, headers: Record<string, string> = {}) {
    super(typeof body === "string" ? body : `HTTP ${status}`);
    this.status = status;
    this.body = typeof body === "string" ? { detail: body } : body;
    this.headers = headers;
  }
}

/** 422: what is wrong with body or query, one entry per finding. */
export function unprocessable(issues: readonly BodyIssue[]): Refused {
  return new Refused(422, { detail: issues });
}
