/**
 * `POST /api/reads`: ours. Questions that only look (routes.ts says which) answered many in one exchange, and without
 * a request made of any: no row, no log. The handlers are those of the official endpoints.
 */
import type { Hono } from "hono";
import { encodeError } from "../../api/errors.ts";
import { type Envelope, parseBody, splitEnvelope } from "../../api/envelope.ts";
import type { Operation } from "../../api/operation.ts";
import { operations } from "../../api/operations.ts";
import { type ReadAnswer, ReadsBody } from "../../api/reads.ts";
import { READS_PATH } from "../../api/routes.ts";
import type { SkyConfig } from "../../core/config.ts";
import type { Context, Log, User } from "../../core/context.ts";
import { isSkyError } from "../../core/errors.ts";
import { readJson } from "../bodies.ts";
import type { AppEnv, Deps } from "../deps.ts";
import { unprocessable } from "../refusal.ts";
import { callerOf, checked, environmentOf, workspaceOf } from "../submit.ts";

// The rows differ in their schemas only; here a schema is a schema.
const rows = new Map(
  (Object.values(operations) as unknown as Operation[]).map((
    operation,
  ) => [operation.name as string, operation]),
);

/** Nobody could read it: a read that has more to say than its result is no read. */
const SILENT: Log = { line() {}, status() {} };

export function readRoutes(app: Hono<AppEnv>, deps: Deps): void {
  app.post(READS_PATH, async (c) => {
    const json = await readJson(c.req.raw, deps.limits);
    const { envelope, reads } = checked("body", () => {
      const { envelope, own } = splitEnvelope(json);
      const { reads } = parseBody(ReadsBody, own);
      return { envelope, reads: reads.map(({ name, body }, at) => ({ name, body: bodyOf(name, body, at) })) };
    });
    const context = contextOf(envelope, callerOf(c, envelope, deps), { signal: c.req.raw.signal, deps });
    return c.json(await Promise.all(reads.map((read) => answer(read, context, deps))));
  });
}

/** Throws what `checked` makes a 422 of. */
function bodyOf(name: string, own: Record<string, unknown>, at: number): unknown {
  const operation = rows.get(name);
  if (operation === undefined || !operation.reads(own)) {
    throw unprocessable([{
      loc: ["body", "reads", at, "name"],
      msg: `'${name}' is not an operation that only reads`,
      type: "value_error",
    }]);
  }
  return parseBody(operation.body, own);
}

function contextOf(
  envelope: Envelope,
  user: User,
  { signal, deps }: { signal: AbortSignal; deps: Deps },
): Omit<Context, "requestId"> {
  const config = (envelope.override_skypilot_config ?? {}) as SkyConfig;
  return {
    user,
    workspace: workspaceOf(config),
    env: environmentOf(envelope, user),
    config,
    command: envelope.entrypoint_command ?? "",
    signal,
    log: SILENT,
    step: (_name, work) => work(),
    now: deps.now,
  };
}

async function answer(
  read: { name: string; body: unknown },
  context: Omit<Context, "requestId">,
  deps: Deps,
): Promise<ReadAnswer> {
  try {
    const value = await deps.work(read.name)(read.body, { ...context, requestId: crypto.randomUUID() });
    return { value };
  } catch (error) {
    if (!isSkyError(error)) deps.log.fault(`${read.name} in ${READS_PATH}`, error);
    return { error: encodeError(error) };
  }
}
