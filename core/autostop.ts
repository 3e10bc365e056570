/** The `autostop` forms of resources (domain.md §1.3.7). Pure. */
import type { WaitFor } from "./cluster.ts";
import { SkyError } from "./errors.ts";
import { pyRepr } from "./format.ts";
import type { AutostopWish } from "./resources.ts";
import { parseMinutes } from "./sizes.ts";

export interface AutostopMap {
  readonly idle_minutes?: number | undefined;
  readonly down?: boolean | undefined;
  readonly wait_for?: string | undefined;
}

/** `true` is 0 minutes here; launching makes 1 of it. A map always enables. Throws invalid_argument. */
export function parseAutostop(wish: boolean | number | string | AutostopMap): AutostopWish {
  const enabled = { enabled: true, idleMinutes: 0, down: false, waitFor: null };
  if (typeof wish === "boolean") return { ...enabled, enabled: wish };
  if (typeof wish === "number" && wish < 0) return { ...enabled, enabled: false };
  if (typeof wish !== "object") return { ...enabled, idleMinutes: parseMinutes(wish) };
  const { idle_minutes: idleMinutes = 0, down = false, wait_for: waitFor } = wish;
  return { enabled: true, idleMinutes, down, waitFor: waitFor === undefined ? null : parseWaitFor(waitFor) };
}

/** Throws invalid_argument. */
export function parseWaitFor(text: string): WaitFor {
  const word = text.toLowerCase();
  if (word === "jobs_and_ssh" || word === "jobs" || word === "none") return word;
  throw new SkyError(
    "invalid_argument",
    `Unsupported autostop wait mode: ${pyRepr(text)}. Choose one of 'jobs_and_ssh', 'jobs', 'none'.`,
  );
}

/** The YAML form, as the reference dumps it. */
export function autostopYaml(wish: AutostopWish): false | Record<string, unknown> {
  if (!wish.enabled) return false;
  const waitFor = wish.waitFor === null ? {} : { wait_for: wish.waitFor };
  return { idle_minutes: wish.idleMinutes, down: wish.down, ...waitFor };
}
