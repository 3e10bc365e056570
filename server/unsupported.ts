/**
 * What others' servers have and ours does not. SkyPilot's clients show an error that came with a request, but a
 * traceback for one that came with the exchange (wire.md §18.37): so they get a request, and it fails.
 */
import type { Context as HonoContext } from "hono";
import { errorBody } from "../api/errors.ts";
import { splitEnvelope } from "../api/envelope.ts";
import { HEADERS } from "../api/wire.ts";
import { SkyError } from "../core/errors.ts";
import { readJson } from "./bodies.ts";
import type { AppEnv, Deps } from "./deps.ts";
import { callerOf, checked, environmentOf } from "./submit.ts";

/** Below these, SkyPilot's clients read the answer itself. */
const DIRECT =
  /^\/(?:$|(?:api|users|auth|token|dashboard|dashboard_config|ssh_node_pools|debug|upload)(?:\/|$))/;
const NAME = /[^a-z0-9_.-]+/gi;
const MAX_NAME = 100;

export async function answerUnknown(c: HonoContext<AppEnv>, deps: Deps): Promise<Response> {
  const { apiVersion, own } = c.get("caller");
  const { method, path } = c.req;
  if (!own && apiVersion !== null && !DIRECT.test(path)) return await failedRequest(c, deps);
  if (method !== "POST") return c.json({ detail: "Not Found" }, 404);
  const what = `POST ${path.slice(0, 200)} is not supported by this API server`;
  return c.json(errorBody(new SkyError("not_supported", what)).body, 501);
}

/** A request of a name that no work answers to (work.ts). Its arguments are not kept: nobody will read them. */
async function failedRequest(c: HonoContext<AppEnv>, deps: Deps): Promise<Response> {
  const isJson = c.req.header("content-type")?.includes("json") ?? false;
  const json = isJson ? await readJson(c.req.raw, deps.limits) : null;
  const { envelope } = checked("body", () => splitEnvelope(json));
  const user = callerOf(c, envelope, deps);
  const { id } = await deps.engine.submit({
    name: `sky.${c.req.path.slice(1).replaceAll("/", ".").replace(NAME, "_").slice(0, MAX_NAME)}`,
    lane: "short",
    body: {},
    clusterName: null,
    lock: false,
    preempts: false,
    resumable: true,
    streaming: false,
    control: false,
    user,
    workspace: "default",
    env: environmentOf(envelope, user),
    config: {},
    command: envelope.entrypoint_command ?? "",
    idempotencyKey: null,
    redact: (body) => body,
  });
  c.header(HEADERS.requestId, id);
  return c.json(null);
}
