/** Archives for upload tests, made entry by entry so that they can be as bad as needed. */
import { strToU8, zipSync } from "fflate";

export interface TestEntry {
  readonly name: string;
  readonly content?: string | Uint8Array;
  /** Unix mode in the upper half of the external attributes. */
  readonly mode?: number;
}

export const LINK = 0o120755;

export function zipOf(entries: readonly TestEntry[]): Uint8Array<ArrayBuffer> {
  const files = Object.fromEntries(entries.map(({ name, content = "", mode = 0o100644 }) => {
    const bytes = typeof content === "string" ? strToU8(content) : content;
    return [name, [bytes, { os: 3, attrs: (mode << 16) >>> 0 }]];
  }));
  return zipSync(files as Parameters<typeof zipSync>[0]) as Uint8Array<ArrayBuffer>;
}

/** What one `\n` after `/` tells: path → `dir`, `-> target`, or mode and content. */
export async function tree(root: string, below = ""): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const entry of Deno.readDir(`${root}/${below}`)) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isSymlink) found[path] = `-> ${await Deno.readLink(`${root}/${path}`)}`;
    else if (entry.isDirectory) {
      found[path] = "dir";
      Object.assign(found, await tree(root, path));
    } else found[path] = await Deno.readTextFile(`${root}/${path}`);
  }
  return found;
}

export function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new Blob([bytes as Uint8Array<ArrayBuffer>]).stream();
}
