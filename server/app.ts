/** The HTTP application: middleware, the direct routes, and one route per row of the operations table. */
import { Hono } from "hono";
import type { Operation } from "../api/operation.ts";
import { operations } from "../api/operations.ts";
import { SLURM_NODES_PATH } from "../api/routes.ts";
import type { AppEnv, Deps } from "./deps.ts";
import { answerStreaming } from "./direct/logs.ts";
import { directRoutes } from "./direct/mod.ts";
import { guard } from "./middleware.ts";
import { answerSubmission } from "./submit.ts";

export function createApp(deps: Deps): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  guard(app, deps);
  directRoutes(app, deps);
  // The rows differ in their schemas only; from here on a schema is a schema.
  for (const operation of Object.values(operations) as unknown as Operation[]) {
    const answer = operation.kind === "streaming" ? answerStreaming : answerSubmission;
    app.on(operation.method, operation.path, (c) => answer(operation, c, deps));
    // What is asked may be in the query; the body of a GET never gets here.
    if (operation.path === SLURM_NODES_PATH) {
      app.get(SLURM_NODES_PATH, (c) => answer({ ...operation, method: "GET" }, c, deps));
    }
  }
  return app;
}
