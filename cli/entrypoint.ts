/** The positional words of launch and exec: a YAML file, or a command to run (cli.md §2.1). */
import { resolve } from "@std/path";
import { SkyError } from "../core/errors.ts";
import { userHome } from "../core/paths.ts";
import type { Io } from "./command.ts";
import { requireYes } from "./prompt.ts";

export type Entrypoint =
  | { readonly kind: "yaml"; readonly path: string; readonly text: string }
  | { readonly kind: "command"; readonly command: string }
  | { readonly kind: "nothing" };

/** Decide what the words are and say so. A word that looks like a broken YAML path is asked about, even with -y. */
export async function readEntrypoint(io: Io, words: readonly string[]): Promise<Entrypoint> {
  const { out } = io;
  const entry = words.join(" ");
  if (entry === "") return { kind: "nothing" };
  if (entry.startsWith("recipes:")) {
    throw new SkyError("not_supported", `Cannot run '${entry}': recipes are not supported by this client`);
  }
  const found = await readYaml(io, entry);
  if (typeof found === "object") {
    out.line(`${out.style.cyan("YAML to run: ")}${entry}`);
    return { kind: "yaml", path: entry, text: found.text };
  }
  if (looksLikeYamlPath(entry)) {
    out.line(out.style.yellow(`'${entry}' looks like a yaml path but ${found}`));
    await requireYes(out, "It will be treated as a command to be run remotely. Continue?", {
      default: false,
    });
  }
  out.line(`${out.style.cyan("Command to run: ")}${entry}`);
  return { kind: "command", command: entry };
}

/** One shell word with the ending of a YAML file. An unbalanced quote makes it a command. */
function looksLikeYamlPath(entry: string): boolean {
  return /^(?:[^\s'"]|'[^']*'|"[^"]*")+$/.test(entry) && /(yaml|\.yml)['"]?$/.test(entry);
}

/** Bytes. core/yaml_reader.ts refuses longer texts; this keeps them from being read at all. */
const LARGEST = 40 * 1024 * 1024;
const CHECK = "Please check if the path is correct.";

/** The YAML's text, or the reason why it is none, to follow "looks like a yaml path but". */
async function readYaml(io: Io, entry: string): Promise<{ text: string } | string> {
  const path = resolve(io.cwd, entry.replace(/^~(?=\/|$)/, userHome(io.env)));
  const { looksLikeYaml } = await import("../core/yaml.ts");
  let bytes: Uint8Array;
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) return `is not a file. ${CHECK}`;
    if (size > LARGEST) return `is larger than 40 MB. ${CHECK}`;
    bytes = await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) return `cannot be read: permission denied. ${CHECK}`;
    // A command line is seldom a path: too long a name, a NUL in it, a file as directory … all mean "no such file".
    if (error instanceof Error) return `does not exist. ${CHECK}`;
    throw error;
  }
  const look = looksLikeYaml(bytes);
  return look.yaml ? { text: new TextDecoder().decode(bytes) } : look.reason;
}
