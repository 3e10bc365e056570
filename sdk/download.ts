/** Downloading job logs: the server's paths as a zip, unpacked below `~/sky_logs` (wire.md §12.4). */
import { dirname, join, resolve } from "@std/path";
import { Unzip, UnzipInflate } from "fflate";
import { HEADERS } from "../api/wire.ts";
import type { User } from "../core/context.ts";
import { SkyError } from "../core/errors.ts";
import { type Env, userHome } from "../core/paths.ts";
import type { Http } from "./http.ts";

export interface DownloadOptions {
  /** The envelope. */
  readonly body: Record<string, unknown>;
  readonly user: User;
  readonly env: Env;
}

/** Fetch `job id → server path`; job id → local path. Throws internal for members outside the asked paths. */
export async function downloadLogs(
  http: Http,
  paths: Readonly<Record<string, string>>,
  options: DownloadOptions,
): Promise<Record<string, string>> {
  const remote = [...new Set(Object.values(paths))];
  if (remote.length === 0) return {};
  const home = userHome(options.env);
  const prefix = `~/.sky/api_server/clients/${options.user.id}/sky_logs`;
  const localOf = (path: string) => join(home, path.replace(prefix, "~/sky_logs").replace(/^~\//, ""));
  const response = await http.send({
    method: "POST",
    path: "/download",
    json: { ...options.body, folder_paths: remote },
    limit: null,
    repeat: "safe",
  });
  const serverHome = response.headers.get(HEADERS.homePath);
  if (serverHome === null || response.body === null) {
    await response.body?.cancel();
    throw new SkyError("internal", "The SkyPilot API server did not say where its files are");
  }
  await unpack(response.body, (member) => {
    const path = `/${member}`.replace(`/${serverHome.replace(/^\/+/, "")}/`, "~/");
    const root = remote.find((root) => path === root || path.startsWith(`${root.replace(/\/+$/, "")}/`));
    if (root === undefined) throw new SkyError("internal", `Invalid folder path in the download: ${member}`);
    return within(localOf(root), path.slice(root.length));
  });
  return Object.fromEntries(Object.entries(paths).map(([id, path]) => [id, localOf(path)]));
}

function within(root: string, rest: string): string {
  const path = resolve(root, `./${rest}`);
  if (path === root || path.startsWith(`${root}/`)) return path;
  throw new SkyError("internal", `Invalid file name in the download: ${rest}`);
}

/** Unpack as it comes; sync writes, because the unzipper calls back synchronously. */
async function unpack(body: ReadableStream<Uint8Array>, place: (member: string) => string): Promise<void> {
  const open = new Set<Deno.FsFile>();
  const unzip = new Unzip((entry) => {
    const path = place(entry.name);
    if (entry.name.endsWith("/")) return Deno.mkdirSync(path, { recursive: true });
    Deno.mkdirSync(dirname(path), { recursive: true });
    const file = Deno.openSync(path, { write: true, create: true, truncate: true });
    open.add(file);
    entry.ondata = (error, chunk, final) => {
      if (error !== null) throw new SkyError("internal", `Cannot unpack '${entry.name}': ${error.message}`);
      for (let done = 0; done < chunk.length;) done += file.writeSync(chunk.subarray(done));
      if (!final) return;
      file.close();
      open.delete(file);
    };
    entry.start();
  });
  unzip.register(UnzipInflate);
  try {
    for await (const chunk of body) unzip.push(chunk, false);
    unzip.push(new Uint8Array(), true);
    if (open.size > 0) throw new SkyError("stream_cut", "The download of logs was cut");
  } finally {
    for (const file of open) file.close();
  }
}
