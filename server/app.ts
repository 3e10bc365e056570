/** The HTTP application: middleware, the direct routes, and one route per row of the operations table. */
import { Hono } from "hono";
import type { Operation } from "../api/operation.ts";
import { operations } from "../api/operations.ts";
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
  }
  return app;
}
