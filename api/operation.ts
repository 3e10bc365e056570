/** Operation: one row of the contract. Kinds: queued (a request that runs later), streaming (a request whose
 * answer is its log), direct (answered within the exchange; server/direct/ owns those). Pure. */
import type * as v from "valibot";
import type { Lane } from "../core/request.ts";
import type { Route } from "./routes.ts";

export type BodySchema = v.GenericSchema<unknown, unknown>;

/** Carries a result type through the table; never has a value. */
export interface ResultType<R> {
  readonly _result?: R;
}
export function type<R>(): ResultType<R> {
  return {};
}

export interface Operation<B extends BodySchema = BodySchema, R = unknown> extends Route {
  /** Own body fields; the envelope (wire.md §3.3) is taken off before. For GET: the query, every value text. */
  readonly body: B;
  readonly result: ResultType<R>;
  readonly lane: Lane | ((body: v.InferOutput<B>) => Lane);
  /** The cluster column (wire.md §16.5). */
  readonly cluster: ((body: v.InferOutput<B>) => string | null) | null;
  /** Runs alone among the locking requests of its cluster, in order of submission. */
  readonly lock: boolean;
  /** First cancels every other request on its cluster except those of its own name (down, stop). */
  readonly preempts: boolean;
  /** After a crash: run again from its journal. Otherwise it ends FAILED, saying so. */
  readonly resumable: boolean;
}

type Own<B extends BodySchema, R> = Omit<Operation<B, R>, keyof Route>;
type Optional = "lane" | "cluster" | "lock" | "preempts" | "resumable";

/**
 * Fill in what most operations share: short, no cluster, no lock, resumable. A streaming one runs inside its
 * exchange, where the client leaving cancels it (wire.md §5.4): nothing could be resumed.
 */
export function row<B extends BodySchema, R>(
  route: Route,
  own: Omit<Own<B, R>, Optional> & Partial<Pick<Own<B, R>, Optional>>,
): Operation<B, R> {
  return { ...defaults, resumable: route.kind === "queued", ...route, ...own };
}

const defaults = { lane: "short", cluster: null, lock: false, preempts: false } as const;

// deno-lint-ignore no-explicit-any -- inference positions only: a row of unknown schema and result
type AnyOperation = Operation<any, any>;
export type BodyOf<O extends AnyOperation> = O extends Operation<infer B, infer _R> ? v.InferOutput<B>
  : never;
/** What a caller may leave out: defaults are filled in by the schema. */
export type InputOf<O extends AnyOperation> = O extends Operation<infer B, infer _R> ? v.InferInput<B>
  : never;
export type ResultOf<O extends AnyOperation> = O extends Operation<infer _B, infer R> ? R : never;
