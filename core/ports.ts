/** Ports and port ranges (domain.md §1.3, appendix A.2). Pure. */
import { SkyError } from "./errors.ts";

type Range = readonly [from: number, to: number];

/**
 * Sorted, with neighbours collapsed to ranges, e.g. `["22", "8080-8084"]`; null for none. Texts may be comma-separated.
 * Throws invalid_argument.
 */
export function parsePorts(wish: number | string | readonly (number | string)[] | null): string[] | null {
  const items = (Array.isArray(wish) ? wish : [wish ?? ""]).flatMap((item) => String(item).split(","));
  const ranges = items.map((item) => item.trim()).filter((item) => item !== "").map(parseRange);
  const merged = merge(ranges);
  return merged.length === 0 ? null : merged.map(([from, to]) => from === to ? `${from}` : `${from}-${to}`);
}

function parseRange(item: string): Range {
  if (!/^\d+-\d+$/.test(item)) {
    if (/^\d.*-/.test(item)) throw badRange(item);
    const port = parsePort(item);
    return [port, port];
  }
  const [from = 0, to = 0] = item.split("-").map(parsePort);
  if (from > to) throw badRange(item);
  return [from, to];
}

function parsePort(text: string): number {
  const port = /^\d+$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65535) return port;
  throw new SkyError(
    "invalid_argument",
    `Invalid port ${text}. Please use a port number between 1 and 65535.`,
  );
}

function badRange(item: string): SkyError {
  return new SkyError(
    "invalid_argument",
    `Invalid port range ${item}. Please use the format "from-to", in which from <= to. e.g. "1-3".`,
  );
}

function merge(ranges: readonly Range[]): Range[] {
  const merged: [number, number][] = [];
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** True if every wanted port is among the open ones. */
export function portsWithin(wanted: readonly string[], open: readonly string[]): boolean {
  const ranges = merge(open.map(parseRange));
  return wanted.map(parseRange).every(([from, to]) =>
    ranges.some(([low, high]) => low <= from && to <= high)
  );
}
