/** Answers that are awaited later than they arrive: a failure waits with them instead of ending the program. */

export type Outcome<T> = { readonly value: T } | { readonly error: unknown };
export type Settled<T> = Promise<Outcome<T>>;

export function settled<T>(answer: Promise<T>): Settled<T> {
  return answer.then((value) => ({ value }), (error: unknown) => ({ error }));
}

/** The value; throws the error. */
export function unwrap<T>(outcome: Outcome<T>): T {
  if ("error" in outcome) throw outcome.error;
  return outcome.value;
}
