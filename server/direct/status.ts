/** `GET /api/status` (wire.md §4.4): the request table, without results. */
import type { Hono } from "hono";
import { restrictPayload, toPayload } from "../../api/payload.ts";
import type { RequestRecord } from "../../core/request.ts";
import type { AppEnv, Deps } from "../deps.ts";
import { Query } from "../query.ts";

/** Records turned into JSON between two turns of the event loop. */
const BATCH = 200;

export function statusRoutes(app: Hono<AppEnv>, deps: Deps): void {
  app.get("/api/status", async (c) => {
    const query = new Query(c.req.url);
    const ids = query.texts("request_ids");
    const clusterName = query.text("cluster_name");
    const limit = query.int("limit");
    const fields = query.texts("fields");
    const brief = fields.length > 0 && !fields.includes("request_body");
    const records = await deps.engine.list(
      ids.length > 0 ? { ids } : {
        allStatus: query.flag("all_status", false),
        brief,
        ...(limit === null ? {} : { limit }),
        ...(clusterName === null ? {} : { clusterName }),
      },
    );
    const view = (record: RequestRecord) => {
      const payload = toPayload(record, "status");
      return fields.length === 0 ? payload : restrictPayload(payload, fields);
    };
    if (records.length <= BATCH) return c.json(records.map(view));
    return new Response(ReadableStream.from(jsonArray(records, view)), {
      headers: { "Content-Type": "application/json" },
    });
  });
}

async function* jsonArray(
  records: readonly RequestRecord[],
  view: (record: RequestRecord) => unknown,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const utf8 = new TextEncoder();
  for (let from = 0; from < records.length; from += BATCH) {
    const batch = records.slice(from, from + BATCH).map((record) => JSON.stringify(view(record))).join(",");
    yield utf8.encode(`${from === 0 ? "[" : ","}${batch}`);
  }
  yield utf8.encode("]");
}
