/** `GET /api/get` (wire.md §4.2): wait for a request to finish, answer its record. */
import type { Hono } from "hono";
import { failedBody, toPayload } from "../../api/payload.ts";
import type { RequestRecord } from "../../core/request.ts";
import type { AppEnv, Deps } from "../deps.ts";
import { forClient } from "../official.ts";
import { SHUTTING_DOWN } from "../middleware.ts";
import { Query } from "../query.ts";
import { Refused } from "../refusal.ts";

export function getRoutes(app: Hono<AppEnv>, deps: Deps): void {
  app.get("/api/get", async (c) => {
    const id = await deps.engine.resolve(new Query(c.req.url).requiredText("request_id"));
    const record = await waitFor(id, c.req.raw.signal, deps);
    const payload = forClient(toPayload(record, "get"), c.get("caller"));
    return record.error === null ? c.json(payload) : c.json(failedBody(payload), 500);
  });
}

/** A client that leaves ends the wait; so does a drain, which the client takes as "ask again" (503). */
async function waitFor(id: string, left: AbortSignal, deps: Deps): Promise<RequestRecord> {
  const enough = new AbortController();
  const stop = () => enough.abort();
  for (const signal of [left, deps.draining]) signal.addEventListener("abort", stop);
  try {
    // A finished one is answered even while draining.
    const record = await deps.engine.record(id);
    if (record.finishedAt !== null) return record;
    if (deps.draining.aborted) throw new Refused(503, SHUTTING_DOWN);
    return await deps.engine.wait(id, enough.signal);
  } catch (error) {
    if (deps.draining.aborted || left.aborted) throw new Refused(503, SHUTTING_DOWN);
    throw error;
  } finally {
    for (const signal of [left, deps.draining]) signal.removeEventListener("abort", stop);
  }
}
