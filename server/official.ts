/**
 * Results for SkyPilot's own clients, where they read them differently from ours (wire.md §7.2, §14.4, §14.8): handles of
 * old ones must be pickles, before API version 29 there is no AUTOSTOPPING, and no version knows a cloud `local`. Pure.
 */
import type { WireHandle } from "../api/clusters.ts";
import { JSON_HANDLES_SINCE, pickledHandle, pickledResources } from "../api/handles.ts";
import type { RequestPayload } from "../api/requests.ts";
import type { Caller } from "./deps.ts";
import { LOCAL_INFRA } from "./handlers/views.ts";

const AUTOSTOPPING_SINCE = 29;
/** Those before read pairs of cluster and GPUs, without the reason why it could not be asked. */
const SLURM_ERRORS_SINCE = 36;

/** The payload as this caller can read it. */
export function forClient(
  payload: RequestPayload,
  caller: Pick<Caller, "apiVersion" | "own">,
): RequestPayload {
  const { apiVersion, own } = caller;
  if (own || apiVersion === null || payload.status !== "SUCCEEDED") return payload;
  const edits = EDITS.filter(({ names, before }) =>
    names.includes(payload.name) && (before === null || apiVersion < before)
  );
  if (edits.length === 0) return payload;
  const result: unknown = JSON.parse(payload.return_value);
  return { ...payload, return_value: JSON.stringify(edits.reduce((value, { edit }) => edit(value), result)) };
}

interface Edit {
  readonly names: readonly string[];
  /** For clients of lower API versions only; null: for all. */
  readonly before: number | null;
  readonly edit: (result: unknown) => unknown;
}

const EDITS: readonly Edit[] = [
  {
    names: ["sky.enabled_clouds"],
    before: null,
    edit: each((name) => name === "local" ? LOCAL_INFRA : name),
  },
  { names: ["sky.launch", "sky.exec"], before: JSON_HANDLES_SINCE, edit: withPickledHandle },
  { names: ["sky.status"], before: JSON_HANDLES_SINCE, edit: each(withPickledHandle) },
  {
    names: ["sky.start"],
    before: JSON_HANDLES_SINCE,
    edit: (handle) => pickledHandle(handle as WireHandle | null),
  },
  { names: ["sky.cost_report"], before: JSON_HANDLES_SINCE, edit: each(withPickledResources) },
  {
    names: ["sky.realtime_slurm_gpu_availability"],
    before: SLURM_ERRORS_SINCE,
    edit: each((entry) => Array.isArray(entry) ? entry.slice(0, 2) : entry),
  },
  { names: ["sky.status", "sky.cost_report"], before: AUTOSTOPPING_SINCE, edit: each(withOldStatus) },
];

function each(edit: (item: unknown) => unknown): (result: unknown) => unknown {
  return (result) => Array.isArray(result) ? result.map(edit) : result;
}

function withPickledHandle(record: unknown): unknown {
  if (!isMap(record) || !("handle" in record)) return record;
  return { ...record, handle: pickledHandle(record["handle"] as WireHandle | null) };
}

function withPickledResources(record: unknown): unknown {
  if (!isMap(record)) return record;
  return { ...record, resources: pickledResources(isMap(record["resources"]) ? record["resources"] : null) };
}

function withOldStatus(record: unknown): unknown {
  return isMap(record) && record["status"] === "AUTOSTOPPING" ? { ...record, status: "INIT" } : record;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
