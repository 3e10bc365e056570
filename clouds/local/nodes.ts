/**
 * Nodes as directories: `<folder>/<name on cloud>/node<i>` is the HOME of node i. Owns their layout, the file
 * in each that says whether it is up (`~/.sky/node.json`), and taking them away again.
 */
import { basename, join } from "@std/path";
import { describe, SkyError } from "../../core/errors.ts";
import { LINKS_FILE } from "../transport/local.ts";

/** Length of a UUID as text. */
const UUID_LENGTH = 36;

export interface NodeFile {
  readonly version: 1;
  readonly state: "up" | "stopped";
  readonly ip: string;
  /** GPUs it may use; empty while it is stopped. */
  readonly gpus: readonly number[];
}

/** Throws invalid_argument for a name that is no file name of its own. */
export function clusterFolder(folder: string, nameOnCloud: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(nameOnCloud)) return join(folder, nameOnCloud);
  throw new SkyError("invalid_argument", `Cannot use '${nameOnCloud}' as the name of a local cluster`);
}

export function nodeHome(cluster: string, index: number): string {
  return join(cluster, `node${index}`);
}

/** Name under which a node claims things. */
export function nodeOwner(nameOnCloud: string, index: number): string {
  return `${nameOnCloud}/node${index}`;
}

export function isOwnedBy(nameOnCloud: string): (owner: string) => boolean {
  return (owner) => owner.startsWith(`${nameOnCloud}/`);
}

/** What a node's file says; null if the home or the file is missing or the file is not ours to understand. */
export async function readNode(home: string): Promise<NodeFile | null> {
  try {
    const data = JSON.parse(await Deno.readTextFile(join(home, ".sky", "node.json")));
    return data?.version === 1 && typeof data.ip === "string" ? data : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return null;
    throw error;
  }
}

export async function writeNode(home: string, node: NodeFile): Promise<void> {
  const path = join(home, ".sky", "node.json");
  const fresh = `${path}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(fresh, `${JSON.stringify(node)}\n`, { mode: 0o600 });
  await Deno.rename(fresh, path);
}

/** Make, or complete, the directories of a node. */
export async function makeHome(home: string): Promise<void> {
  await Deno.mkdir(home, { recursive: true, mode: 0o700 });
  for (const name of ["sky_workdir", "sky_logs", ".sky"]) {
    await Deno.mkdir(join(home, name), { recursive: true, mode: 0o700 });
  }
}

export async function homesIn(cluster: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(cluster));
    return entries.filter((entry) => entry.isDirectory).map((entry) => join(cluster, entry.name)).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

export async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, (error) => {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  });
}

/**
 * Take a cluster's directories away: all at once by a rename, then file by file; what a crash leaves of the
 * second is swept by the next call. Throws permission_denied if files remain that are another user's.
 */
export async function removeCluster(folder: string, cluster: string): Promise<void> {
  for (const home of await homesIn(cluster)) await removeLinks(home, cluster);
  // A name of its own: other clusters of this folder are torn down at the same time.
  const gone = `.gone-${basename(cluster)}-`;
  if (await exists(cluster)) await Deno.rename(cluster, join(folder, gone + crypto.randomUUID()));
  for (const entry of await entriesOf(folder)) {
    if (entry.startsWith(gone) && entry.length === gone.length + UUID_LENGTH) {
      await removeTree(join(folder, entry));
    }
  }
}

/** Names in a directory; none if it is not there. */
async function entriesOf(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Links that uploads made outside of the home, if they still lead into it. */
async function removeLinks(home: string, cluster: string): Promise<void> {
  const text = await Deno.readTextFile(join(home, LINKS_FILE)).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  });
  for (const line of text.split("\n")) {
    if (line === "") continue;
    try {
      const link: string = JSON.parse(line);
      if ((await Deno.readLink(link)).startsWith(`${cluster}/`)) await Deno.remove(link);
    } catch {
      continue; // A line cut short, a link no longer there or not ours to remove: no reason to fail a `down`.
    }
  }
}

/** Remove a tree whatever modes its directories have. */
export async function removeTree(path: string): Promise<void> {
  const remove = () => Deno.remove(path, { recursive: true });
  try {
    await remove().catch(async (error) => {
      if (error instanceof Deno.errors.NotFound) return;
      if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
      await openUp(path);
      await remove();
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    const code = error instanceof Deno.errors.PermissionDenied ? "permission_denied" : "command_failed";
    throw new SkyError(code, `Cannot remove ${path}: ${describe(error)}`, {
      hint: `Remove what is left of it: sudo rm -rf ${path}`,
      cause: error,
    });
  }
}

/** Let us into every directory below. */
async function openUp(path: string): Promise<void> {
  // Another user's directory: the removal says so.
  await Deno.chmod(path, 0o700).catch(() => {});
  const entries = await Array.fromAsync(Deno.readDir(path)).catch(() => []);
  for (const entry of entries) if (entry.isDirectory) await openUp(join(path, entry.name));
}
