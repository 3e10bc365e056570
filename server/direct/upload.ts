/** Uploads of workdirs and file mounts (wire.md §12.2): questions and parts over HTTP; storing is uploads/blobs.ts. */
import type { Context as HonoContext, Hono } from "hono";
import { withDeadline } from "../bodies.ts";
import type { AppEnv, Deps } from "../deps.ts";
import { Query } from "../query.ts";
import { checkBlobId } from "../uploads/blobs.ts";

export function uploadRoutes(app: Hono<AppEnv>, deps: Deps): void {
  app.get("/upload_v2/blob", async (c) => {
    const query = new Query(c.req.url);
    const blob = checkBlobId(query.requiredText("blob_id"));
    return c.json({ exists: await deps.blobs.exists(uploader(c, query), blob) });
  });
  app.post("/upload_v2", (c) => part(c, "v2"));
  app.post("/upload", (c) => part(c, "v1"));

  async function part(c: HonoContext<AppEnv>, version: "v1" | "v2"): Promise<Response> {
    const query = new Query(c.req.url);
    const description = {
      version,
      user: uploader(c, query),
      upload: query.requiredText("upload_id"),
      index: query.requiredInt("chunk_index"),
      total: query.requiredInt("total_chunks"),
    };
    const body = c.req.raw.body ?? new Blob([]).stream();
    return c.json(await deps.blobs.addPart(description, withDeadline(body, deps.limits.idleMs)));
  }
}

/** Proven identity replaces the claimed one: nobody fills another's folder. */
function uploader(c: HonoContext<AppEnv>, query: Query): string {
  return c.get("caller").user?.id ?? query.requiredText("user_hash");
}
