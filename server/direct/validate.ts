/** `POST /validate` (wire.md §6.15): read a DAG and say what is wrong with it, before anything is submitted. */
import type { Hono } from "hono";
import { ValidateBody } from "../../api/checks.ts";
import { errorDict, toErrorLike } from "../../api/errors.ts";
import { parseBody, splitEnvelope } from "../../api/envelope.ts";
import { checkClusterName } from "../../core/cluster.ts";
import { isSkyError } from "../../core/errors.ts";
import { readJson } from "../bodies.ts";
import type { AppEnv, Deps } from "../deps.ts";
import { checked } from "../submit.ts";

export function validateRoutes(app: Hono<AppEnv>, deps: Deps): void {
  app.post("/validate", async (c) => {
    const json = await readJson(c.req.raw, deps.limits);
    const body = checked("body", () => parseBody(ValidateBody, splitEnvelope(json).own));
    const { HURRIED, parseDag } = await import("../../core/task_yaml.ts");
    try {
      parseDag(body.dag, { limits: HURRIED });
      const name = body.request_options?.cluster_name ?? null;
      if (name !== null) checkClusterName(name);
      return c.json(null);
    } catch (error) {
      // Only 400 means "invalid" to SkyPilot's client (wire.md §18.9); anything else would count as valid.
      if (isSkyError(error)) return c.json({ detail: errorDict(toErrorLike(error)) }, 400);
      throw error;
    }
  });
}
