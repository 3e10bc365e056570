/** Asserts about refusals: which SkyError, with which words. */
import { assertEquals, fail } from "@std/assert";
import { type ErrorCode, SkyError } from "../../core/errors.ts";

/** Runs and expects a SkyError with this code and exactly this message (or one that matches). */
export function assertRefuses(run: () => unknown, code: ErrorCode, message: string | RegExp): void {
  let error: unknown;
  try {
    run();
  } catch (caught) {
    error = caught;
  }
  if (!(error instanceof SkyError)) fail(`expected a SkyError, got ${error}`);
  if (typeof message === "string") assertEquals(error.message, message);
  else if (!message.test(error.message)) fail(`${error.message} does not match ${message}`);
  assertEquals(error.code, code);
}

/** Repeatable numbers in [0, 1) for property loops. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x80000000;
  };
}
