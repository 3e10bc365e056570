/** What the chaos client believes: every request it sent, what was acknowledged, and what it has seen since. */

export type Kind = "launch" | "exec" | "status" | "queue" | "cancel" | "down" | "stop" | "autostop";

export interface Sent {
  readonly kind: Kind;
  /** Idempotency key; repeated as it is when an answer was lost. */
  readonly key: string;
  readonly path: string;
  readonly body: Record<string, unknown>;
  readonly cluster: string | null;
  /** The job writes `begin` and `end` lines into a file of this name; null when the request runs no job. */
  readonly token: string | null;
  /** Set once the server has answered: from then on it must never be forgotten. */
  id: string | null;
  /** First final state seen: must stay. */
  final: string | null;
  /** Longest log prefix read so far. */
  log: Uint8Array;
}

/** Small seeded generator (mulberry32): a seed replays the same choices. */
export function random(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function pick<T>(from: readonly T[], next: () => number): T {
  return from[Math.floor(next() * from.length)]!;
}
