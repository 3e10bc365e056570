/** SSH node pools of a file, sent to the server (wire.md §7.8): keys first, since the pools then name the server's copies. */
import { SkyError } from "../core/errors.ts";
import { parse } from "../core/yaml.ts";
import type { Http } from "./http.ts";

interface PoolUpload {
  /** The file's text; `path` is for messages and relative keys. */
  readonly text: string;
  readonly path: string;
  /** For `~/`. */
  readonly home: string;
  /** Send the keys, too: the server does not see this machine's files. */
  readonly keys: boolean;
}

/** Merge the file's pools into the server's, by name. Throws invalid_config, file_not_found for a missing key. */
export async function uploadPools(http: Http, upload: PoolUpload): Promise<void> {
  const pools = poolsIn(upload.text, upload.path);
  const folder = upload.path.includes("/") ? upload.path.slice(0, upload.path.lastIndexOf("/") + 1) : "";
  const sent = new Map<string, Promise<string>>();
  const placed = async (value: unknown): Promise<unknown> => {
    if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
    const { identity_file: key, ...rest } = value as Record<string, unknown>;
    if (typeof key !== "string" || key === "") return value;
    const path = key.startsWith("~/")
      ? `${upload.home}${key.slice(1)}`
      : key.startsWith("/")
      ? key
      : folder + key;
    if (!upload.keys) return { identity_file: path, ...rest };
    if (!sent.has(path)) sent.set(path, sendKey(http, path));
    return { identity_file: await sent.get(path), ...rest };
  };
  const entries = await Promise.all(
    Object.entries(pools).map(async ([name, pool]) => {
      const own = await placed(pool);
      if (own === null || typeof own !== "object" || !("hosts" in own) || !Array.isArray(own.hosts)) {
        return [name, own] as const;
      }
      return [name, { ...own, hosts: await Promise.all(own.hosts.map(placed)) }] as const;
    }),
  );
  await http.json({
    method: "POST",
    path: "/ssh_node_pools",
    json: Object.fromEntries(entries),
    repeat: "safe",
    revive: "submit",
  });
}

function poolsIn(text: string, path: string): Record<string, unknown> {
  const data = parse(text, { code: "invalid_config" });
  if (data !== null && typeof data === "object" && !Array.isArray(data)) {
    return data as Record<string, unknown>;
  }
  throw new SkyError("invalid_config", `Cannot read ${path}: it must hold a mapping of SSH Node Pools`);
}

async function sendKey(http: Http, path: string): Promise<string> {
  let key: Uint8Array<ArrayBuffer>;
  try {
    key = await Deno.readFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new SkyError("file_not_found", `SSH Identity File Missing: ${path}`, { cause: error });
  }
  const name = `${path.slice(path.lastIndexOf("/") + 1)}-${(await digest(path)).slice(0, 8)}`;
  const answer = await http.json({
    method: "POST",
    path: "/ssh_node_pools/keys",
    body: () => {
      const form = new FormData();
      form.set("key_name", name);
      form.set("key_file", new File([key], name));
      return form;
    },
    repeat: "safe",
    revive: "submit",
  });
  const { key_path: kept } = (answer ?? {}) as { key_path?: unknown };
  if (typeof kept === "string") return kept;
  throw new SkyError("internal", "The server did not say where it keeps the key");
}

async function digest(text: string): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
