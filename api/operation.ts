/** Operation: one row of the contract. Kinds: queued (a request that runs later), streaming (a request whose
 * answer is its log), direct (answered within the exchange; server/direct/ owns those). Pure. */
import type * as v from "valibot";
import type { Lane } from "../core/request.ts";

export type BodySchema = v.GenericSchema<unknown, unknown>;

/** Carries a result type through the table; never has a value. */
export interface ResultType<R> {
  readonly _result?: R;
}
export function type<R>(): ResultType<R> {
  return {};
}

export interface Operation<B extends BodySchema = BodySchema, R = unknown> {
  readonly kind: "queued" | "streaming";
  /** The stored request name with SkyPilot's prefix; clients choose the result decoder by it (wire.md §4.1). */
  readonly name: `sky.${string}`;
  readonly method: "GET" | "POST";
  readonly path: string;
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

type Optional = "method" | "lane" | "cluster" | "lock" | "preempts" | "resumable";

/** Fill in what most operations share: POST, short, no cluster, no lock, resumable. */
export function queued<B extends BodySchema, R>(
  entry: Omit<Operation<B, R>, "kind" | Optional> & Partial<Pick<Operation<B, R>, Optional>>,
): Operation<B, R> {
  return { kind: "queued", ...defaults, ...entry };
}

/** A request that runs inside the exchange: its body is the log, the client leaving cancels it (wire.md §5.4). */
export function streaming<B extends BodySchema, R>(
  entry: Omit<Operation<B, R>, "kind" | Optional> & Partial<Pick<Operation<B, R>, Optional>>,
): Operation<B, R> {
  return { kind: "streaming", ...defaults, resumable: false, ...entry };
}

const defaults = {
  method: "POST",
  lane: "short",
  cluster: null,
  lock: false,
  preempts: false,
  resumable: true,
} as const;

// deno-lint-ignore no-explicit-any -- inference positions only: a row of unknown schema and result
type AnyOperation = Operation<any, any>;
export type BodyOf<O extends AnyOperation> = O extends Operation<infer B, infer _R> ? v.InferOutput<B>
  : never;
/** What a caller may leave out: defaults are filled in by the schema. */
export type InputOf<O extends AnyOperation> = O extends Operation<infer B, infer _R> ? v.InferInput<B>
  : never;
export type ResultOf<O extends AnyOperation> = O extends Operation<infer _B, infer R> ? R : never;
