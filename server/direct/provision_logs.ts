/**
 * `POST /provision_logs` (wire.md §6.13): how a cluster came to be, which is the log of the request that last launched
 * or started it: one that was refused before it did anything said nothing, and is passed over.
 */
import type { Hono } from "hono";
import { splitEnvelope } from "../../api/envelope.ts";
import { FRAMES_TYPE } from "../../api/wire.ts";
import type { RequestRecord } from "../../core/request.ts";
import { readJson } from "../bodies.ts";
import type { AppEnv, Deps } from "../deps.ts";
import { Query } from "../query.ts";
import { Refused, unprocessable } from "../refusal.ts";
import { pump } from "../streams/pump.ts";
import { checked } from "../submit.ts";
import { logSize, requestSource } from "./request_source.ts";
import { askOf, encoderOf, streamHeaders } from "./stream.ts";

const MAKERS = ["sky.launch", "sky.start"];
/** Requests of a cluster that are looked through for its last launch. */
const SEARCHED = 1000;

export function provisionLogRoutes(app: Hono<AppEnv>, deps: Deps): void {
  app.post("/provision_logs", async (c) => {
    const json = await readJson(c.req.raw, deps.limits);
    const { cluster_name: name, worker = null } = checked("body", () => splitEnvelope(json).own);
    if (typeof name !== "string") {
      throw unprocessable([{ loc: ["body", "cluster_name"], msg: "Field required", type: "missing" }]);
    }
    if (worker !== null) {
      throw new Refused(404, `Workers of cluster '${name}' have no provision log of their own`);
    }
    const { id } = await lastLaunch(name, deps);
    const subject = await requestSource(id, askOf(new Query(c.req.url)), deps);
    const form = (c.req.header("accept") ?? "").includes(FRAMES_TYPE) ? "frames" : "console";
    const { beatMs, heartbeatMs, pollMs } = deps.timing;
    const body = pump(subject.source, encoderOf(form, subject), {
      beatMs: form === "frames" ? beatMs : heartbeatMs,
      pollMs,
      open: deps.streams,
    });
    return new Response(body as ReadableStream<Uint8Array<ArrayBuffer>>, { headers: streamHeaders(form) });
  });
}

async function lastLaunch(clusterName: string, deps: Deps): Promise<RequestRecord> {
  const records = await deps.engine.list({ clusterName, allStatus: true, limit: SEARCHED, brief: true });
  for (const record of records) {
    if (!MAKERS.includes(record.name)) continue;
    if (record.finishedAt === null || await logSize(record.id, deps) > 0) return record;
  }
  throw new Refused(404, `No provision log found for cluster '${clusterName}'`);
}
