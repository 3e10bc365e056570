/**
 * Values as people read them (cli.md §1.8, §14): relative times, durations, ages, truncation, money and Python's
 * repr quoting. Resources are printed by resources_text.ts, tables by table.ts. Pure.
 */

const SECOND = 1000;
const DAY_SECONDS = 86_400;

interface Interval {
  readonly years: number;
  readonly months: number;
  readonly weeks: number;
  /** 0 to 6, the rest after the weeks. */
  readonly days: number;
  readonly hours: number;
  readonly minutes: number;
  readonly seconds: number;
}

/** The calendar difference of two unix times in milliseconds, later minus earlier, in UTC. */
function interval(earlier: number, later: number): Interval {
  const from = new Date(Math.floor(earlier / SECOND) * SECOND);
  const to = new Date(Math.floor(later / SECOND) * SECOND);
  let seconds = to.getUTCSeconds() - from.getUTCSeconds();
  let minutes = to.getUTCMinutes() - from.getUTCMinutes();
  let hours = to.getUTCHours() - from.getUTCHours();
  let days = to.getUTCDate() - from.getUTCDate();
  let months = to.getUTCMonth() - from.getUTCMonth();
  let years = to.getUTCFullYear() - from.getUTCFullYear();
  if (seconds < 0) [seconds, minutes] = [seconds + 60, minutes - 1];
  if (minutes < 0) [minutes, hours] = [minutes + 60, hours - 1];
  if (hours < 0) [hours, days] = [hours + 24, days - 1];
  if (days < 0) {
    // The month before `to`; where it is shorter than the day we come from, the days simply add up.
    const lastMonth = new Date(Date.UTC(to.getUTCFullYear(), to.getUTCMonth(), 0)).getUTCDate();
    [days, months] = [days + Math.max(lastMonth, from.getUTCDate()), months - 1];
  }
  if (months < 0) [months, years] = [months + 12, years - 1];
  return { years, months, weeks: Math.floor(days / 7), days: days % 7, hours, minutes, seconds };
}

/** `1 min ago`, `2 hrs ago`, `a few secs ago`; `-` for a missing or negative time. Unix milliseconds. */
export function relativeTime(then: number | null | undefined, now: number): string {
  if (then === null || then === undefined || !Number.isFinite(then) || then < 0) return "-";
  const age = Math.max(0, now - then);
  if (age < SECOND) return "< 1 sec";
  const [count, unit] = largestUnit(interval(then, then + age));
  if (unit === "sec" && count <= 10) return "a few secs ago";
  return `${count} ${unit}${count === 1 ? "" : "s"} ago`;
}

function largestUnit(span: Interval): [number, string] {
  const restDays = span.weeks * 7 + span.days;
  if (span.years > 0) return [span.years + (span.months > 6 ? 1 : 0), "year"];
  if (span.months === 11 && restDays > 15) return [1, "year"];
  if (span.months > 0) return [span.months + (restDays >= 27 ? 1 : 0), "month"];
  if (span.weeks > 0) return [span.weeks + (span.days > 3 ? 1 : 0), "week"];
  if (span.days > 0) return [span.days + (span.hours >= 22 ? 1 : 0), "day"];
  if (span.hours > 0) return [span.hours, "hr"];
  if (span.minutes > 0) return [span.minutes, "min"];
  return [span.seconds, "sec"];
}

/** All non-zero units from start to end, e.g. `2h 1m 40s`, `< 1s`; `-` without a start. Unix milliseconds. */
export function duration(start: number | null | undefined, end: number): string {
  if (start === null || start === undefined || !Number.isFinite(start) || start < 0) return "-";
  if (start === 0 && end === 0) return "-";
  if (end - start < SECOND) return "< 1s";
  const span = interval(start, end);
  const parts = [
    span.years > 0 ? `${span.years} year${span.years === 1 ? "" : "s"}` : "",
    part(span.months, "mo"),
    part(span.weeks, "w"),
    part(span.days, "d"),
    part(span.hours, "h"),
    part(span.minutes, "m"),
    part(span.seconds, "s"),
  ];
  return parts.filter((text) => text !== "").join(" ");
}

function part(count: number, suffix: string): string {
  return count > 0 ? `${count}${suffix}` : "";
}

/** Kubernetes-style age of whole seconds, e.g. `5m30s`, `3d4h`; `0s` for nothing. */
export function compactAge(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !(seconds > 0)) return "0s";
  const total = Math.floor(seconds);
  const minutes = Math.floor(total / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  const years = Math.floor(days / 365);
  if (total < 120) return `${total}s`;
  if (minutes < 10) return `${minutes}m${part(total % 60, "s")}`;
  if (hours < 3) return `${minutes}m`;
  if (hours < 8) return `${hours}h${part(minutes % 60, "m")}`;
  if (hours < 48) return `${hours}h`;
  if (days < 8) return `${days}d${part(hours % 24, "h")}`;
  if (years < 2) return `${days}d`;
  if (years < 8) return `${years}y${part(days % 365, "d")}`;
  return `${Math.floor(total / DAY_SECONDS / 365)}y`;
}

/** Longer texts lose their end: whole words up to `max` characters, then `...`; a too long first word is cut. */
export function truncateEnd(text: string, max: number): string {
  if (text.length <= max) return text;
  const words = text.split(" ");
  let kept = words[0] ?? "";
  if (kept.length > max) return `${kept.slice(0, max)}...`;
  for (const word of words.slice(1)) {
    if (kept.length + 1 + word.length > max) break;
    kept += ` ${word}`;
  }
  return `${kept}...`;
}

/** Longer texts lose their middle: the result has exactly `max` characters, `...` among them. */
export function truncateMiddle(text: string, max = 25): string {
  if (text.length <= max) return text;
  const ends = Math.floor((max - 3) / 2);
  return `${text.slice(0, max - 3 - ends)}...${text.slice(text.length - ends)}`;
}

/** Whole numbers without decimals, otherwise one decimal. */
export function amount(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}

/** A float as Python prints it: at least one decimal. */
export function pyFloat(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e16 || size < 1e-4)) {
    const [digits = "", exponent = "0"] = value.toExponential().split("e");
    const power = Number(exponent);
    return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

/** The minutes of the AUTOSTOP column: `-`, `10m`, `2h`, `10m (down)`, `(down)`. */
export function autostopCell(idleMinutes: number, down: boolean): string {
  if (idleMinutes < 0) return down ? "(down)" : "-";
  const hours = idleMinutes / 60;
  const time = idleMinutes > 0 && Number.isInteger(hours) ? `${hours}h` : `${idleMinutes}m`;
  return down ? `${time} (down)` : time;
}

/** `1 cluster`, `2 clusters`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** `$ 0.10` of the cost report; `decimals` 3 for GPU tables. */
export function money(dollars: number, decimals = 2): string {
  return `$ ${dollars.toFixed(decimals)}`;
}

/** Python's `repr` of plain data: `'a'`, `"it's"`, `['a', 'b']`, `{'V100': 4}`, `True`, `None`. */
export function pyRepr(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  if (Array.isArray(value)) return `[${value.map(pyRepr).join(", ")}]`;
  if (value !== null && typeof value === "object") {
    return `{${Object.entries(value).map(([key, item]) => `${quoted(key)}: ${pyRepr(item)}`).join(", ")}}`;
  }
  return pyStr(value);
}

/** Python's `str` of plain data: as `pyRepr`, but a string is itself. */
export function pyStr(value: unknown): string {
  if (typeof value === "string") return value;
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value).toString() : pyFloat(value);
  return typeof value === "object" ? pyRepr(value) : String(value);
}

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let body = "";
  for (const char of text) body += escaped(char, quote);
  return `${quote}${body}${quote}`;
}

function escaped(char: string, quote: string): string {
  if (char === "\\" || char === quote) return `\\${char}`;
  if (char === "\n") return "\\n";
  if (char === "\r") return "\\r";
  if (char === "\t") return "\\t";
  const point = char.codePointAt(0) ?? 0;
  if (point < 0x20 || (point >= 0x7f && point <= 0xa0) || point === 0xad) {
    return `\\x${point.toString(16).padStart(2, "0")}`;
  }
  const invisible = /^[\p{Z}\p{C}]$/u.test(char) && char !== " ";
  if (!invisible) return char;
  return point > 0xffff
    ? `\\U${point.toString(16).padStart(8, "0")}`
    : `\\u${point.toString(16).padStart(4, "0")}`;
}

/** A repr that stays one readable line: cut after `max` characters. */
export function shortRepr(value: unknown, max = 200): string {
  const text = pyRepr(typeof value === "string" && value.length > max * 2 ? value.slice(0, max * 2) : value);
  return text.length <= max ? text : `${text.slice(0, max)}...`;
}
