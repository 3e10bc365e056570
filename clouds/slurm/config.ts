/**
 * `~/.slurm/config`: which Slurm clusters there are and how their login nodes are reached, in the syntax of OpenSSH
 * (domain.md §8.6). Owns reading that text; connecting is transport/ssh's. Pure.
 */

/** A cluster's login node. Null: what ssh takes by itself. */
export interface LoginHost {
  /** The cluster's name: the word after `Host`. */
  readonly name: string;
  readonly host: string;
  readonly user: string | null;
  readonly port: number | null;
  readonly identityFile: string | null;
  /** Everything else that bears on the connection, as `Key=value` for ssh's `-o`. */
  readonly options: readonly string[];
}

export interface SlurmConfig {
  /** In the order of the file. */
  readonly hosts: readonly LoginHost[];
  /** Lines that were not understood, in words. */
  readonly warnings: readonly string[];
}

/** Keys handed to ssh as they stand, lower case → its spelling. Nothing here runs a command on our side but proxies. */
const PASSED_ON = new Map(
  ("ProxyCommand ProxyJump IdentitiesOnly IdentityAgent CertificateFile HostKeyAlias AddressFamily BindAddress " +
    "BindInterface Ciphers Compression ConnectTimeout ConnectionAttempts GSSAPIAuthentication " +
    "GSSAPIDelegateCredentials HostKeyAlgorithms KexAlgorithms MACs PreferredAuthentications " +
    "PubkeyAcceptedAlgorithms PubkeyAuthentication ServerAliveCountMax ServerAliveInterval TCPKeepAlive")
    .split(" ").map((key) => [key.toLowerCase(), key]),
);

interface Block {
  readonly patterns: readonly string[];
  readonly settings: readonly (readonly [key: string, value: string])[];
}

/**
 * Read a config. `home` replaces a leading `~` of identity files. A name with a wildcard gives settings to the
 * clusters it matches and is none itself; of several values for one key the first counts, as in OpenSSH.
 */
export function parseSlurmConfig(text: string, options: { home: string }): SlurmConfig {
  const warnings: string[] = [];
  const blocks = blocksOf(text, warnings);
  const names = blocks.flatMap((block) => block.patterns).filter((name) => !/[*?!]/.test(name));
  const hosts = [...new Set(names)].flatMap((name) => {
    if (isSafeName(name)) return [hostOf(name, { blocks, home: options.home, warnings })];
    warnings.push(`Host ${JSON.stringify(name)}: not a name of a cluster`);
    return [];
  });
  return { hosts, warnings: [...new Set(warnings)] };
}

/** Part of commands, paths and tables: nothing that could be taken for an option or another word. */
function isSafeName(name: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.@-]*$/.test(name) && name.length <= 200;
}

function blocksOf(text: string, warnings: string[]): Block[] {
  // What stands before the first Host holds for all of them.
  const blocks: { patterns: string[]; settings: [string, string][] }[] = [{ patterns: ["*"], settings: [] }];
  for (const [index, line] of text.split(/\r\n|\n|\r/).entries()) {
    const setting = settingOf(line);
    if (setting === null) continue;
    const at = `line ${index + 1}`;
    if (typeof setting === "string") {
      warnings.push(`${at}: ${setting}`);
      continue;
    }
    const [key, value] = setting;
    if (key === "host") {
      blocks.push({ patterns: wordsOf(value), settings: [] });
    } else if (key === "match") {
      warnings.push(`${at}: Match is not supported here; its settings are left out`);
      blocks.push({ patterns: [], settings: [] });
    } else if (key === "include") {
      warnings.push(`${at}: Include is not supported here`);
    } else {
      blocks.at(-1)!.settings.push([key, value]);
    }
  }
  return blocks;
}

/** `[lower-case key, value]`, null for an empty line, text for what is wrong with it. */
function settingOf(line: string): [string, string] | string | null {
  const bare = line.trim();
  if (bare === "" || bare.startsWith("#")) return null;
  if (/\0/.test(bare)) return "it holds a NUL";
  const [match, key = "", value = ""] = /^([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.+)$/.exec(bare) ?? [];
  return match === undefined ? "a key needs a value" : [key.toLowerCase(), value.trim()];
}

/** Words of a value; double quotes hold a word together. */
function wordsOf(value: string): string[] {
  return [...value.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
}

function hostOf(
  name: string,
  { blocks, home, warnings }: { blocks: readonly Block[]; home: string; warnings: string[] },
): LoginHost {
  const settings = new Map<string, string>();
  for (const block of blocks) {
    if (!matches(block.patterns, name)) continue;
    for (const [key, value] of block.settings) if (!settings.has(key)) settings.set(key, value);
  }
  const known = new Set(["hostname", "user", "port", "identityfile", ...PASSED_ON.keys()]);
  for (const key of settings.keys()) {
    if (!known.has(key)) warnings.push(`Host ${name}: ${key} is not used here`);
  }
  const word = (key: string): string | null => {
    const value = settings.get(key);
    return value === undefined ? null : wordsOf(value)[0] ?? null;
  };
  const host = (word("hostname") ?? name).replaceAll("%h", name).replaceAll("%%", "%");
  const identity = word("identityfile");
  const port = Number(word("port") ?? Number.NaN);
  if (word("port") !== null && !isPort(port)) {
    warnings.push(`Host ${name}: ${JSON.stringify(word("port"))} is no port`);
  }
  if (host.startsWith("-")) warnings.push(`Host ${name}: ${JSON.stringify(host)} is no host name`);
  return {
    name,
    host: host.startsWith("-") ? name : host,
    user: word("user"),
    port: isPort(port) ? port : null,
    identityFile: identity === null || identity.toLowerCase() === "none" ? null : expand(identity, home),
    options: [...PASSED_ON].flatMap(([key, spelling]) => {
      const value = settings.get(key);
      return value === undefined ? [] : [`${spelling}=${value}`];
    }),
  };
}

/** OpenSSH's rule: some pattern matches and no negated one does. */
function matches(patterns: readonly string[], name: string): boolean {
  const negated = patterns.filter((pattern) => pattern.startsWith("!"));
  if (negated.some((pattern) => glob(pattern.slice(1), name))) return false;
  return patterns.some((pattern) => !pattern.startsWith("!") && glob(pattern, name));
}

/** `*` any text, `?` any one character. Linear: a hostile pattern costs no time. */
function glob(pattern: string, text: string): boolean {
  let [p, t, star, mark] = [0, 0, -1, 0];
  while (t < text.length) {
    if (p < pattern.length && (pattern[p] === "?" || (pattern[p] === text[t] && pattern[p] !== "*"))) {
      p++;
      t++;
    } else if (pattern[p] === "*") {
      [star, mark] = [p, t];
      p++;
    } else if (star >= 0) {
      p = star + 1;
      mark++;
      t = mark;
    } else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}

function expand(path: string, home: string): string {
  const whole = path.replaceAll("%d", home);
  if (whole === "~") return home;
  return whole.startsWith("~/") ? `${home}${whole.slice(1)}` : whole;
}
