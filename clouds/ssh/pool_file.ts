/**
 * The file of the pools, `~/.sky/ssh_node_pools.yaml`, and the keys that were uploaded for it: reading it, merging
 * pools into it, dropping one. What its words mean is pools.ts's.
 */
import { basename, dirname, join } from "@std/path";
import { isSkyError, SkyError } from "../../core/errors.ts";
import { type Env, sshKeysFolder, sshPoolsFile } from "../../core/paths.ts";
import { dump, parse } from "../../core/yaml.ts";
import { poolsOf } from "./pools.ts";

export type RawPools = Record<string, unknown>;

/** What the file holds; null if there is none. Throws invalid_config. */
export async function readPoolFile(env: Env): Promise<RawPools | null> {
  const path = sshPoolsFile(env);
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  let data: unknown;
  try {
    data = parse(text, { code: "invalid_config" });
  } catch (error) {
    if (!isSkyError(error)) throw error;
    const message = `Invalid SSH Node Pools in ${path}: ${error.message}`;
    throw new SkyError("invalid_config", message, { cause: error });
  }
  poolsOf(data, path);
  return (data ?? {}) as RawPools;
}

/** Put these pools into the file, in place of those of the same names. Throws invalid_config and writes nothing. */
export async function mergePools(env: Env, pools: RawPools): Promise<void> {
  const path = sshPoolsFile(env);
  poolsOf(pools, "the pools that were sent");
  await alone(path, async () => {
    const before = await readPoolFile(env) ?? {};
    await write(path, { ...before, ...pools });
  });
}

/** False if there is no such pool. */
export async function dropPool(env: Env, name: string): Promise<boolean> {
  const path = sshPoolsFile(env);
  return await alone(path, async () => {
    const before = await readPoolFile(env) ?? {};
    if (!Object.hasOwn(before, name)) return false;
    const { [name]: _gone, ...rest } = before;
    await write(path, rest);
    return true;
  });
}

/** Keep an uploaded key; its path with `~/`. Throws invalid_argument for a name that is no file name. */
export async function keepKey(env: Env, name: string, key: Uint8Array): Promise<string> {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(name)) {
    throw new SkyError("invalid_argument", `Cannot keep a key under the name '${name}'`);
  }
  const folder = sshKeysFolder(env);
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  await replace(join(folder, name), key);
  return `~/.sky/${basename(folder)}/${name}`;
}

/** Names of the keys that are kept. */
export async function keyNames(env: Env): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(sshKeysFolder(env)));
    return entries.filter((entry) => entry.isFile && !entry.name.startsWith(".")).map(({ name }) => name)
      .sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function write(path: string, pools: RawPools): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await replace(path, new TextEncoder().encode(dump(pools)));
}

async function replace(path: string, bytes: Uint8Array): Promise<void> {
  const fresh = join(dirname(path), `.${basename(path)}.${crypto.randomUUID()}`);
  try {
    await Deno.writeFile(fresh, bytes, { mode: 0o600, createNew: true });
    await Deno.rename(fresh, path);
  } catch (error) {
    await Deno.remove(fresh).catch(() => {}); // The first failure is the one to tell.
    throw error;
  }
}

const turns = new Map<string, Promise<unknown>>();

async function alone<T>(path: string, work: () => Promise<T>): Promise<T> {
  const turn = (turns.get(path) ?? Promise.resolve()).then(work);
  const settled = turn.catch(() => {}); // The caller sees the failure; the next in line must not.
  turns.set(path, settled);
  settled.then(() => {
    if (turns.get(path) === settled) turns.delete(path);
  });
  return await turn;
}
