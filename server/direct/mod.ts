/** Every route that answers within its exchange; queued and streaming ones come from the operations table. */
import type { Hono } from "hono";
import type { AppEnv, Deps } from "../deps.ts";
import { completionRoutes } from "./completion.ts";
import { downloadRoutes } from "./download.ts";
import { poolRoutes } from "./pools.ts";
import { getRoutes } from "./get.ts";
import { healthRoutes } from "./health.ts";
import { provisionLogRoutes } from "./provision_logs.ts";
import { readRoutes } from "./reads.ts";
import { statusRoutes } from "./status.ts";
import { streamRoutes } from "./stream.ts";
import { uploadRoutes } from "./upload.ts";
import { userRoutes } from "./users.ts";
import { validateRoutes } from "./validate.ts";

export function directRoutes(app: Hono<AppEnv>, deps: Deps): void {
  healthRoutes(app, deps);
  getRoutes(app, deps);
  streamRoutes(app, deps);
  readRoutes(app, deps);
  statusRoutes(app, deps);
  completionRoutes(app, deps);
  validateRoutes(app, deps);
  uploadRoutes(app, deps);
  downloadRoutes(app, deps);
  provisionLogRoutes(app, deps);
  userRoutes(app, deps);
  poolRoutes(app, deps);
}
