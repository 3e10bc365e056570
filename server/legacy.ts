/**
 * Results for SkyPilot clients older than ours (wire.md §2.4, §14.8): before API version 53 a handle must be a pickle,
 * before 29 there is no AUTOSTOPPING. Pure.
 */
import type { RequestPayload } from "../api/requests.ts";
import { PICKLED_NONE } from "../api/payload.ts";

const JSON_HANDLES_SINCE = 53;
const AUTOSTOPPING_SINCE = 29;

/** The payload as a client of this API version (null: says nothing) can read it. */
export function forClient(payload: RequestPayload, apiVersion: number | null): RequestPayload {
  if (apiVersion === null || apiVersion >= JSON_HANDLES_SINCE || payload.status !== "SUCCEEDED") {
    return payload;
  }
  const edit = EDITS[payload.name];
  if (edit === undefined) return payload;
  const result: unknown = JSON.parse(payload.return_value);
  return { ...payload, return_value: JSON.stringify(edit(result, apiVersion)) };
}

type Edit = (result: unknown, apiVersion: number) => unknown;

const withPickledHandle = (record: unknown) =>
  isMap(record) && "handle" in record ? { ...record, handle: PICKLED_NONE } : record;

const EDITS: Readonly<Record<string, Edit>> = {
  "sky.launch": withPickledHandle,
  "sky.exec": withPickledHandle,
  "sky.start": () => PICKLED_NONE,
  "sky.status": (result, apiVersion) =>
    Array.isArray(result)
      ? result.map((record) => withPickledHandle(withOldStatus(record, apiVersion)))
      : result,
  "sky.cost_report": (result, apiVersion) =>
    Array.isArray(result) ? result.map((record) => withOldStatus(record, apiVersion)) : result,
};

function withOldStatus(record: unknown, apiVersion: number): unknown {
  if (apiVersion >= AUTOSTOPPING_SINCE || !isMap(record) || record.status !== "AUTOSTOPPING") return record;
  return { ...record, status: "INIT" };
}

function isMap(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
