/** What a log stream is asked for, and what is followed for it. Types only. */
import type { LogSource } from "../streams/pump.ts";

/** A source and what its encoder must know. */
export interface Subject {
  readonly source: LogSource;
  /** Byte offset at which it begins. */
  readonly offset: number;
  /** Bytes from there on in which control lines are history and left out. */
  readonly history: number;
}

export interface Ask {
  readonly follow: boolean;
  /** Last lines only; null: all. */
  readonly tail: number | null;
  readonly offset: number;
}
