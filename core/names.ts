/**
 * Names (cli.md §2.5, §2.6, domain.md §4.9): on the cloud, generated, reserved, cleaned, and globs over them. The
 * cluster name rule itself is in cluster.ts. Pure: randomness and file checks are the caller's.
 */
import { builtin } from "./builtin.ts";
import { SkyError } from "./errors.ts";

/** A name as the cloud sees it, unique per user. `limit` is the cloud's longest name. */
export function nameOnCloud(displayName: string, options: { userHash: string; limit: number }): string {
  const base = displayName.replace(/[._]/g, "-").toLowerCase();
  const user = `-${options.userHash}`;
  if (base.length + user.length <= options.limit) return base + user;
  const cut = base.slice(0, Math.max(0, options.limit - 2 - 1 - user.length)).replace(/-+$/, "");
  const digest = builtin("node:crypto").createHash("md5").update(displayName).digest("hex");
  return `${cut}-${BigInt(`0x${digest}`).toString(36).slice(0, 2)}${user}`;
}

/** The user part of generated names: lower-case letters, digits, `-` and `_`, at most 63. */
export function cleanUserName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9_-]/g, "").replace(/^[0-9-]+/, "").slice(0, 63).replace(
    /-$/,
    "",
  );
}

/** `sky-3f2a-alice`. `random` is four hex digits; also the name of jobs and DAGs without one. */
export function generatedClusterName(user: string, random: string): string {
  return `sky-${random}-${cleanUserName(user)}`;
}

const RESERVED = [
  { prefix: "sky-jobs-controller-", purpose: "managed jobs controller" },
  { prefix: "sky-serve-controller-", purpose: "sky serve controller" },
];

/** Throws not_supported for controller names; `verb` is what was about to happen. */
export function checkNotReserved(name: string, verb: "Launching tasks" | "Executing task"): void {
  const reserved = RESERVED.find(({ prefix }) => name.startsWith(prefix));
  if (reserved === undefined) return;
  throw new SkyError(
    "not_supported",
    `Cluster ${name} is reserved for ${reserved.purpose}. ${verb} on it is not allowed.`,
  );
}

/** True for names that end like a YAML or JSON file; whether such a file exists is the caller's question. */
export function looksLikeFilePath(name: string): boolean {
  return /\.(yaml|yml|json)$/.test(name);
}

/** True if the text holds a shell-style wildcard. */
export function isGlob(pattern: string): boolean {
  return /[*?[]/.test(pattern);
}

export interface GlobResult {
  /** Names that some pattern matched, each once, in the order of `names`. */
  readonly matched: readonly string[];
  /** Literal patterns that matched nothing; globs without a match are silent. */
  readonly missing: readonly string[];
}

/** Resolve names and globs against the known names. */
export function matchNames(patterns: readonly string[], names: readonly string[]): GlobResult {
  const found = new Set<string>();
  const missing: string[] = [];
  for (const pattern of patterns) {
    const hits = names.filter((name) => name === pattern || matchesGlob(pattern, name));
    for (const name of hits) found.add(name);
    if (hits.length === 0 && !isGlob(pattern) && !missing.includes(pattern)) missing.push(pattern);
  }
  return { matched: names.filter((name) => found.has(name)), missing };
}

/** Shell-style `*`, `?`, `[…]`, `[!…]` over the whole name, case-sensitive. Time is pattern × name at most. */
export function matchesGlob(pattern: string, name: string): boolean {
  const parts = globParts(pattern);
  let [p, n, star, starName] = [0, 0, -1, 0];
  while (n < name.length) {
    const part = parts[p];
    if (part === "*") [star, starName, p] = [p, n, p + 1];
    else if (part !== undefined && part.test(name[n] ?? "")) [p, n] = [p + 1, n + 1];
    else if (star >= 0) [p, starName, n] = [star + 1, starName + 1, starName + 1];
    else return false;
  }
  while (parts[p] === "*") p++;
  return p === parts.length;
}

type GlobPart = "*" | { test(char: string): boolean };

function globParts(pattern: string): GlobPart[] {
  const parts: GlobPart[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i] ?? "";
    if (char === "*") parts.push("*");
    else if (char === "?") parts.push({ test: () => true });
    else {
      const end = char === "[" ? classEnd(pattern, i) : -1;
      parts.push(end < 0 ? { test: (other) => other === char } : charClass(pattern.slice(i + 1, end)));
      if (end >= 0) i = end;
    }
  }
  return parts;
}

/** Index of the bracket that closes the class opened at `start`; a first `]` is a member. -1 if none. */
function classEnd(pattern: string, start: number): number {
  const first = pattern[start + 1] === "!" ? start + 2 : start + 1;
  return pattern.indexOf("]", first + 1);
}

function charClass(body: string): { test(char: string): boolean } {
  const negated = body.startsWith("!");
  const members = negated ? body.slice(1) : body;
  const test = (char: string): boolean => {
    for (let i = 0; i < members.length; i++) {
      const from = members[i] ?? "";
      const to = members[i + 1] === "-" && i + 2 < members.length ? members[i + 2] ?? "" : "";
      if (to === "" ? char === from : char >= from && char <= to) return true;
      if (to !== "") i += 2;
    }
    return false;
  };
  return { test: (char) => test(char) !== negated };
}
