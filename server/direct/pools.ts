/**
 * The file of SSH node pools over HTTP (wire.md §7.8): reading, merging, dropping, keys; and the answers of `up` and
 * `down`, which tell the request's id in their bodies, too. What the file means is clouds/ssh's.
 */
import type { Context as HonoContext, Hono } from "hono";
import { splitEnvelope } from "../../api/envelope.ts";
import type { Operation } from "../../api/operation.ts";
import { operations } from "../../api/operations.ts";
import { HEADERS } from "../../api/wire.ts";
import { dropPool, keepKey, keyNames, mergePools, readPoolFile } from "../../clouds/ssh/pool_file.ts";
import { SkyError } from "../../core/errors.ts";
import { readJson } from "../bodies.ts";
import type { AppEnv, Deps } from "../deps.ts";
import { Refused } from "../refusal.ts";
import { checked, submit } from "../submit.ts";

const BASE = "/ssh_node_pools";
/** Bytes of an uploaded key, form and all. */
const MOST_KEY = 256 * 1024;
const SUCCESS = { status: "success" };

export function poolRoutes(app: Hono<AppEnv>, deps: Deps): void {
  const { env } = deps;
  app.get(BASE, async (c) => c.json(withoutPasswords(await readPoolFile(env) ?? {})));
  app.post(BASE, async (c) => {
    const json = await readJson(c.req.raw, deps.limits);
    await mergePools(env, checked("body", () => splitEnvelope(json).own));
    return c.json(SUCCESS);
  });
  app.get(`${BASE}/keys`, async (c) => c.json(await keyNames(env)));
  app.post(`${BASE}/keys`, async (c) => {
    if (Number(c.req.header("content-length") ?? Infinity) > MOST_KEY) {
      throw new Refused(413, "A key is smaller than that");
    }
    const form = await c.req.formData();
    const [name, file] = [form.get("key_name"), form.get("key_file")];
    if (typeof name !== "string" || !(file instanceof File)) {
      throw new SkyError("invalid_argument", "A key needs the fields 'key_name' and 'key_file'");
    }
    const path = await keepKey(env, name, new Uint8Array(await file.arrayBuffer()));
    return c.json({ ...SUCCESS, key_path: path });
  });
  const { poolsUp, poolsDown } = operations as unknown as Record<"poolsUp" | "poolsDown", Operation>;
  for (const [word, operation] of [["deploy", poolsUp], ["down", poolsDown]] as const) {
    app.post(`${BASE}/${word}`, (c) => answer(operation, c, deps));
    app.post(`${BASE}/:pool/${word}`, (c) => answer(operation, c, deps));
  }
  app.get(`${BASE}/:pool/status`, async (c) => {
    const name = c.req.param("pool");
    if (!Object.hasOwn(await readPoolFile(env) ?? {}, name)) throw noPool(name);
    const places = await deps.room.settings.get<Record<string, string[]>>("enabled_places:default") ?? {};
    const ready = places["ssh"]?.includes(name) === true;
    const reason = ready ? "" : `Not found ready by the last check. Run: sky check ssh`;
    return c.json({
      pool_name: name,
      context_name: `ssh-${name}`,
      status: ready ? "Ready" : "Not Ready",
      reason,
    });
  });
  app.delete(`${BASE}/:pool`, async (c) => {
    const name = c.req.param("pool");
    if (!await dropPool(env, name)) throw noPool(name);
    return c.json(SUCCESS);
  });
}

/** Nobody who asks needs them, and neither do we. */
function withoutPasswords(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPasswords);
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).filter(([key, inner]) =>
    key !== "password" || typeof inner === "object"
  );
  return Object.fromEntries(entries.map(([key, inner]) => [key, withoutPasswords(inner)]));
}

function noPool(name: string): Refused {
  return new Refused(404, `SSH Node Pool '${name}' not found`);
}

/** A pool in the path is what `infra` is in the body. */
async function answer(operation: Operation, c: HonoContext<AppEnv>, deps: Deps): Promise<Response> {
  const pool = c.req.param("pool");
  const { id } = await submit(operation, c, deps, { more: pool === undefined ? {} : { infra: pool } });
  c.header(HEADERS.requestId, id);
  return c.json({ ...SUCCESS, request_id: id, message: `Request submitted: ${id}` });
}
