/** The list of schema changes, in order. A number is never reused and a landed migration never edited. */
import { SQL as initial } from "./0001_initial.ts";

export interface Migration {
  readonly version: number;
  readonly sql: readonly string[];
}

export const migrations: readonly Migration[] = [
  { version: 1, sql: initial },
];
