/**
 * A submission: the body of an exchange becomes a durable request, its id leaves in a header (wire.md §3.2). Owns the
 * taking apart of body and query; running is the engine's.
 */
import type { Context as HonoContext } from "hono";
import type { Operation } from "../api/operation.ts";
import { type BodyIssue, type Envelope, parseBody, splitEnvelope } from "../api/envelope.ts";
import { toPayload } from "../api/payload.ts";
import { HEADERS } from "../api/wire.ts";
import type { SkyConfig } from "../core/config.ts";
import { lookup } from "../core/config.ts";
import type { User } from "../core/context.ts";
import { isSkyError, SkyError } from "../core/errors.ts";
import type { RequestRecord } from "../core/request.ts";
import { readJson } from "./bodies.ts";
import type { AppEnv, Deps } from "./deps.ts";
import { Query } from "./query.ts";
import { redactBody } from "./redact.ts";
import { unprocessable } from "./refusal.ts";

/** Body fields of the envelope that the work needs later; stored with the body. */
export interface StoredExtras {
  /** Of wire.md §12.2: where uploaded files lie. */
  readonly file_mounts_blob_id?: string;
}

export interface Submitted {
  readonly id: string;
  readonly user: User;
}

const USER_ID = /^[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}$/;
const MAX_KEY = 255;
/** Never kept: it would let whoever reads the database speak as the caller. */
const UNKEPT = ["SKYPILOT_SERVICE_ACCOUNT_TOKEN"];

/**
 * Read, check and submit; `more`: body fields that the path tells. Throws Refused 422 before any record is made,
 * disk_full, server_busy.
 */
export async function submit(
  operation: Operation,
  c: HonoContext<AppEnv>,
  deps: Deps,
  { more = {} }: { more?: Readonly<Record<string, unknown>> } = {},
): Promise<Submitted & { own: unknown }> {
  const { envelope, own } = await readSubmission(operation, c, deps, more);
  const user = callerOf(c, envelope, deps);
  const extras: StoredExtras = envelope.file_mounts_blob_id === null
    ? {}
    : { file_mounts_blob_id: envelope.file_mounts_blob_id };
  const { lane, cluster, lock, preempts, resumable, kind, name } = operation;
  const config = (envelope.override_skypilot_config ?? {}) as SkyConfig;
  const { id } = await deps.engine.submit({
    name,
    lane: typeof lane === "function" ? lane(own) : lane,
    body: { ...own as Record<string, unknown>, ...extras },
    clusterName: cluster === null ? null : cluster(own),
    lock,
    preempts,
    resumable,
    streaming: kind === "streaming",
    // A cancel must run however full the lanes are.
    control: name === "sky.api_cancel",
    user,
    workspace: workspaceOf(config),
    env: environmentOf(envelope, user),
    config,
    command: envelope.entrypoint_command ?? "",
    // A stream is one exchange's own: repeating it is a new request, the old one ended with its exchange.
    idempotencyKey: kind === "streaming" ? null : idempotencyKey(c.req.raw.headers),
    redact: redactBody,
  });
  return { id, user, own };
}

/** The answer to a queued submission: `null` and the id; with X-Sky-Wait the finished record, if it comes in time. */
export async function answerSubmission(
  operation: Operation,
  c: HonoContext<AppEnv>,
  deps: Deps,
): Promise<Response> {
  const { id } = await submit(operation, c, deps);
  c.header(HEADERS.requestId, id);
  if (c.req.header(HEADERS.wait) !== "1") return c.json(null);
  const record = await waitShortly(id, c.req.raw.signal, deps);
  if (record === null) return c.json(null);
  c.header(HEADERS.finished, "1");
  return c.json(toPayload(record, "get"));
}

/** The finished record, or null when it takes too long, nobody waits any more or the server is going down. */
async function waitShortly(id: string, left: AbortSignal, deps: Deps): Promise<RequestRecord | null> {
  const enough = new AbortController();
  const stop = () => enough.abort();
  const timer = setTimeout(stop, deps.timing.waitMs);
  for (const signal of [left, deps.draining]) signal.addEventListener("abort", stop);
  if (left.aborted || deps.draining.aborted) stop();
  try {
    return await deps.engine.wait(id, enough.signal);
  } catch (error) {
    if (enough.signal.aborted) return null;
    throw error;
  } finally {
    clearTimeout(timer);
    for (const signal of [left, deps.draining]) signal.removeEventListener("abort", stop);
  }
}

async function readSubmission(
  operation: Operation,
  c: HonoContext<AppEnv>,
  deps: Deps,
  more: Readonly<Record<string, unknown>>,
): Promise<{ envelope: Envelope; own: unknown }> {
  const { method, body } = operation;
  if (method === "GET") {
    const query = new Query(c.req.url).record();
    return { envelope: splitEnvelope(null).envelope, own: checked("query", () => parseBody(body, query)) };
  }
  const json = await readJson(c.req.raw, deps.limits);
  return checked("body", () => {
    const { envelope, own } = splitEnvelope(json);
    return { envelope, own: parseBody(body, { ...own, ...more }) };
  });
}

/** Run a check of wire.ts; its findings become a 422. */
export function checked<T>(where: "body" | "query", check: () => T): T {
  try {
    return check();
  } catch (error) {
    const issues = isSkyError(error, "invalid_argument") ? error.details["issues"] : undefined;
    if (!Array.isArray(issues)) throw error;
    throw unprocessable((issues as BodyIssue[]).map(({ loc, msg, type }) => {
      const missing = msg.startsWith("Invalid key: Expected");
      return {
        loc: [where, ...loc.slice(1)],
        msg: missing ? "Field required" : msg,
        type: missing ? "missing" : type,
      };
    }));
  }
}

/** The token's user, else the one the envelope names, else the server's own. Throws Refused 422 for a strange id. */
export function callerOf(c: HonoContext<AppEnv>, envelope: Envelope | null, deps: Deps): User {
  const proven = c.get("caller").user;
  if (proven !== null) return proven;
  const id = envelope?.env_vars?.["SKYPILOT_USER_ID"];
  if (id === undefined) return deps.user;
  if (!USER_ID.test(id)) {
    throw unprocessable([{
      loc: ["body", "env_vars", "SKYPILOT_USER_ID"],
      msg: "Invalid user id",
      type: "value_error",
    }]);
  }
  return { id, name: envelope?.env_vars?.["SKYPILOT_USER"] ?? id };
}

/** What of the caller's environment is kept. */
export function environmentOf(envelope: Envelope, user: User): Record<string, string> {
  const kept = Object.entries(envelope.env_vars ?? {}).filter(([name]) => !UNKEPT.includes(name));
  return { ...Object.fromEntries(kept), SKYPILOT_USER_ID: user.id, SKYPILOT_USER: user.name };
}

/** The workspace that a caller's config names. */
export function workspaceOf(config: SkyConfig): string {
  const workspace = lookup(config, "active_workspace");
  return typeof workspace === "string" && workspace !== "" ? workspace : "default";
}

function idempotencyKey(headers: Headers): string | null {
  const key = headers.get(HEADERS.idempotencyKey);
  if (key === null || key === "") return null;
  if (key.length > MAX_KEY) throw new SkyError("invalid_argument", `${HEADERS.idempotencyKey} is too long`);
  return key;
}
