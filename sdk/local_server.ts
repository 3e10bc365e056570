/** Small questions to a server of this machine, before it is decided to use it. */
import type { Registration } from "../api/wire.ts";
import { isSkyError } from "../core/errors.ts";
import { askHealth } from "./health.ts";
import type { Target } from "./exchange.ts";
import { Http } from "./http.ts";
import { TIMING, type Timing } from "./timing.ts";

/** One try, no patience. */
const QUICK: Timing = { ...TIMING, connect: 0, resend: 0, busyTotal: 0, answer: 2_500 };

function quick(target: Target): Http {
  return new Http({
    ...target,
    token: null,
    cookies: null,
    clientType: null,
    fetch: globalThis.fetch,
    timing: QUICK,
    revive: null,
    notice: () => {},
  });
}

/** Whether the server answers that it is healthy. */
export async function answersHealth(
  server: Pick<Registration, "url" | "socket">,
  options: { limit?: number } = {},
): Promise<boolean> {
  using http = quick({ endpoint: server.url, socket: server.socket });
  try {
    await askHealth(http, options);
    return true;
  } catch (error) {
    if (isSkyError(error)) return false; // whatever is wrong, it is not healthy
    throw error;
  }
}

/** Whether no request is pending or running there. One that cannot say so counts as busy. */
export async function isIdle(server: Registration): Promise<boolean> {
  using http = quick({ endpoint: server.url, socket: server.socket });
  try {
    const rows = await http.json({
      method: "GET",
      path: "/api/status",
      query: { limit: 1 },
      waitBusy: false,
    });
    return Array.isArray(rows) && rows.length === 0;
  } catch (error) {
    if (isSkyError(error)) return false;
    throw error;
  }
}

/** Whether an official server, not one of ours, answers at a URL. */
export async function isStockServer(url: string): Promise<boolean> {
  using http = quick({ endpoint: url, socket: null });
  try {
    await askHealth(http);
    return http.own === false;
  } catch (error) {
    if (isSkyError(error)) return false; // nobody there, or nobody we could use
    throw error;
  }
}

/** Negative: `a` is older. Numbers by value, `-dev…` and the like before the release; unequal others by text. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [split(a), split(b)];
  for (let i = 0; i < 3; i++) {
    const difference = (left.numbers[i] ?? 0) - (right.numbers[i] ?? 0);
    if (difference !== 0) return difference;
  }
  if (left.rest === right.rest) return 0;
  if (left.rest === "" || right.rest === "") return left.rest === "" ? 1 : -1;
  return left.rest < right.rest ? -1 : 1;
}

function split(version: string): { numbers: number[]; rest: string } {
  const [, numbers = "", rest = ""] = /^(\d+(?:\.\d+)*)(.*)$/.exec(version.trim()) ?? [];
  return { numbers: numbers.split(".").map(Number), rest };
}
