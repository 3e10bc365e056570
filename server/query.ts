/** Query parameters as SkyPilot's clients send them (wire.md §3.6): booleans in any case, lists as repeated keys. Pure. */
import { unprocessable } from "./refusal.ts";

export class Query {
  readonly #params: URLSearchParams;

  constructor(url: string) {
    this.#params = new URL(url).searchParams;
  }

  /** Null when absent or empty. */
  text(name: string): string | null {
    const value = this.#params.get(name);
    return value === null || value === "" ? null : value;
  }

  texts(name: string): string[] {
    return this.#params.getAll(name);
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.text(name)?.toLowerCase();
    if (value === undefined) return fallback;
    if (["true", "1", "yes", "on"].includes(value)) return true;
    if (["false", "0", "no", "off"].includes(value)) return false;
    throw invalid(name, "Input should be a valid boolean", "bool_parsing");
  }

  /** Null when absent. */
  int(name: string): number | null {
    const value = this.text(name);
    if (value === null) return null;
    if (!/^-?\d{1,15}$/.test(value)) throw invalid(name, "Input should be a valid integer", "int_parsing");
    return Number(value);
  }

  requiredText(name: string): string {
    const value = this.text(name);
    if (value === null) throw invalid(name, "Field required", "missing");
    return value;
  }

  requiredInt(name: string): number {
    this.requiredText(name);
    return this.int(name)!;
  }

  choice<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const value = this.text(name);
    if (value === null) return fallback;
    const found = choices.find((choice) => choice === value);
    if (found === undefined) throw invalid(name, `Input should be ${choices.join(", ")}`, "enum");
    return found;
  }

  /** Every value as text, the last one of repeated keys: the body of a GET submission. */
  record(): Record<string, string> {
    return Object.fromEntries(this.#params);
  }
}

function invalid(name: string, msg: string, type: string) {
  return unprocessable([{ loc: ["query", name], msg, type }]);
}
