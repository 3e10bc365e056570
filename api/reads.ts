/** Body and answer of `POST /api/reads`, which is ours: several reads (routes.ts) in one exchange. Pure. */
import * as v from "valibot";
import type { WireError } from "./errors.ts";

/** Beside the envelope. `name` is an operation's, `body` its own fields. */
export const ReadsBody = v.object({
  reads: v.pipe(
    v.array(v.object({ name: v.string(), body: v.record(v.string(), v.unknown()) })),
    v.maxLength(64),
  ),
});

/** One for each read, in their order. */
export type ReadAnswer = { readonly value: unknown } | { readonly error: WireError };
