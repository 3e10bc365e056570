/**
 * `POST /download` (wire.md §12.4): folders of downloaded logs as one zip, streamed. The folders are named as SkyPilot
 * names them; where they really lie is `clientLogs`.
 */
import type { Hono } from "hono";
import { join, normalize } from "@std/path";
import { splitEnvelope } from "../../api/envelope.ts";
import { HEADERS } from "../../api/wire.ts";
import { userHome } from "../../core/paths.ts";
import { readJson } from "../bodies.ts";
import type { AppEnv, Deps } from "../deps.ts";
import { Query } from "../query.ts";
import { Refused, unprocessable } from "../refusal.ts";
import { callerOf, checked } from "../submit.ts";
import { type ClientFolder, clientLogs } from "./client_folder.ts";

const BLOCK = 64 * 1024;

interface Member {
  /** Name in the zip. */
  readonly name: string;
  readonly path: string;
}

export function downloadRoutes(app: Hono<AppEnv>, deps: Deps): void {
  app.post("/download", async (c) => {
    const query = new Query(c.req.url);
    const json = await readJson(c.req.raw, deps.limits);
    const { envelope, own } = checked("body", () => splitEnvelope(json));
    const paths = own["folder_paths"];
    if (!Array.isArray(paths) || !paths.every((path) => typeof path === "string")) {
      throw unprocessable([{ loc: ["body", "folder_paths"], msg: "Field required", type: "missing" }]);
    }
    const folder = clientLogs(callerOf(c, envelope, deps).id, deps.home);
    const home = userHome(deps.env);
    const items = query.choice("relative", ["home", "items"], "home") === "items";
    const members: Member[] = [];
    for (const path of paths) members.push(...await membersOf(path, folder, { home, items }));
    return new Response(ReadableStream.from(pack(members)) as ReadableStream<Uint8Array<ArrayBuffer>>, {
      headers: {
        "Content-Type": "application/zip",
        "Content-Disposition": 'attachment; filename="download.zip"',
        "Cache-Control": "no-cache, no-transform",
        [HEADERS.homePath]: home,
      },
    });
  });
}

async function membersOf(
  asked: string,
  folder: ClientFolder,
  { home, items }: { home: string; items: boolean },
): Promise<Member[]> {
  const clean = normalize(asked).replace(/\/+$/, "");
  if (clean !== folder.shown && !clean.startsWith(`${folder.shown}/`)) {
    throw new Refused(400, `Invalid folder path: ${asked}`);
  }
  const below = clean.slice(folder.shown.length);
  const real = await realPath(join(folder.path, below));
  const root = await realPath(folder.path);
  if (real === null || root === null) throw new Refused(404, `Folder not found: ${asked}`);
  if (real !== root && !real.startsWith(`${root}/`)) throw new Refused(400, `Invalid folder path: ${asked}`);
  const base = items ? clean.slice(clean.lastIndexOf("/") + 1) : clean.replace("~", home).replace(/^\/+/, "");
  const files: Member[] = [];
  for await (const path of filesBelow(real, "")) {
    files.push({ name: path === "" ? base : `${base}/${path}`, path: join(real, path) });
  }
  return files;
}

/** Plain files only: a link could lead anywhere. */
async function* filesBelow(root: string, below: string): AsyncGenerator<string> {
  const info = await Deno.lstat(join(root, below));
  if (info.isFile) yield below;
  if (!info.isDirectory) return;
  for await (const entry of Deno.readDir(join(root, below))) {
    yield* filesBelow(root, below === "" ? entry.name : `${below}/${entry.name}`);
  }
}

/** Packed block by block as the reader takes it, so that neither memory nor the event loop feels a large log. */
async function* pack(members: readonly Member[]): AsyncGenerator<Uint8Array> {
  const { Zip, ZipDeflate } = await import("fflate");
  const ready: Uint8Array[] = [];
  const zip = new Zip((error, chunk) => {
    if (error !== null) throw error;
    if (chunk.length > 0) ready.push(chunk);
  });
  for (const { name, path } of members) {
    const entry = new ZipDeflate(name, { level: 3 });
    zip.add(entry);
    using file = await Deno.open(path);
    for (let done = false; !done;) {
      const block = new Uint8Array(BLOCK);
      const count = await file.read(block);
      done = count === null;
      entry.push(block.subarray(0, count ?? 0), done);
      yield* ready.splice(0);
    }
  }
  zip.end();
  yield* ready.splice(0);
}

async function realPath(path: string): Promise<string | null> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    throw error;
  }
}
