/** `GET /api/completion/*` (wire.md §4.7): words for TAB, read from rows only. */
import type { Hono } from "hono";
import { isFinal } from "../../core/request.ts";
import type { AppEnv, Deps } from "../deps.ts";
import { Query } from "../query.ts";

const MAX_WORDS = 1000;

export function completionRoutes(app: Hono<AppEnv>, deps: Deps): void {
  const route = (kind: string, words: () => Promise<string[]>) =>
    app.get(`/api/completion/${kind}`, async (c) => {
      const start = new Query(c.req.url).text("incomplete") ?? "";
      return c.json((await words()).filter((word) => word.startsWith(start)).slice(0, MAX_WORDS));
    });
  route("cluster_name", async () => (await deps.room.clusters.list()).map((cluster) => cluster.name));
  route("api_request", async () => {
    const records = await deps.engine.list({ allStatus: true, limit: MAX_WORDS, brief: true });
    const active = records.filter((record) => !isFinal(record.status));
    const finished = records.filter((record) => isFinal(record.status));
    return [...active, ...finished].map((record) => record.id);
  });
  // There are no storages and volumes on this server, hence no names of them.
  route("storage_name", () => Promise.resolve([]));
  route("volume_name", () => Promise.resolve([]));
}
